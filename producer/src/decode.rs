//! From a body to events: decode, drop noise, count the rest.

use std::iter;

use dockbell_proto::event::Event;
use dockbell_proto::input::{
    DecodeError, Disposition, Entry, Headers, Ignored, InputFormat, Report, decode, decode_any,
};
use dockbell_proto::names::Repository;
use jiff::Timestamp;

use crate::source::Source;

/// What a body came to.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Pushes of manifests.
    pub events: Vec<Event>,
    /// Noise, by kind.
    pub ignored: Vec<Ignored>,
    /// Why entries that ought to be events are none.
    pub rejected: Vec<&'static str>,
}

impl Decoded {
    /// Leaves out the events of repositories that are not to be `kept`, and counts them as rejected for this reason.
    pub fn keep(&mut self, kept: impl Fn(&Repository) -> bool, reason: &'static str) {
        let before = self.events.len();
        self.events.retain(|event| kept(&event.repository));
        let left_out = before - self.events.len();
        self.rejected.extend(iter::repeat_n(reason, left_out));
    }
}

/// The largest body that is read, in bytes. The references of a large index make the largest ones.
pub const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// The most entries of one body that are taken. Registries send one; more could not become durable in the time
/// that a registry waits.
const ENTRIES_LIMIT: usize = 1000;
const TOO_MANY: &str = "a body may hold at most 1000 events";

/// Decodes a body that `source` sent. Every report gets a `stamp` of its own, and its source is this one,
/// whatever it says.
pub fn decode_body(
    source: &Source,
    (headers, body): (&Headers, &[u8]),
    stamp: impl Fn() -> Timestamp,
) -> Result<Decoded, DecodeError> {
    let entries = decode(source.format, headers, body)?;
    let taken = entries.into_iter().enumerate().map(|(place, entry)| match entry {
        Ok(_) if place >= ENTRIES_LIMIT => Err(TOO_MANY),
        Ok(report) => Ok(Report { received_at: Some(stamp()), source: Some(source.name.clone()), ..report }),
        Err(reason) => Err(reason),
    });
    Ok(dispose(source, taken))
}

/// Decodes a message of the bus, which anybody may have published. It may be of any format, whatever its source sends
/// to an intake: an intake puts native events there, and what can be read is not given up. Reports without any time get
/// a `stamp`.
///
/// A body with too many entries is rejected as a whole, because nobody would be told of the part that is missing.
pub fn decode_message(
    source: &Source,
    (headers, body): (impl FnOnce() -> Headers, &[u8]),
    stamp: impl Fn() -> Timestamp,
) -> Result<Decoded, DecodeError> {
    let entries = decode_any(source.format, headers, body)?;
    if entries.len() > ENTRIES_LIMIT {
        return Ok(Decoded { rejected: vec![TOO_MANY], ..Decoded::default() });
    }
    Ok(dispose(source, stamped(entries, &stamp)))
}

/// Decodes a message of the bus whose source is not configured any more: what an intake of ours once accepted
/// from it is complete in itself. `other` stands in for what the configuration would say.
pub fn decode_orphan(other: &Source, body: &[u8], stamp: impl Fn() -> Timestamp) -> Result<Decoded, DecodeError> {
    let entries = decode(InputFormat::Native, &Headers::default(), body)?;
    Ok(dispose(other, stamped(entries, &stamp)))
}

/// A report that knows when it happened keeps that: a stamp would make an older push that comes again the newer
/// one. One that does not would lose against every other.
fn stamped(entries: Vec<Entry>, stamp: &impl Fn() -> Timestamp) -> impl Iterator<Item = Entry> {
    entries.into_iter().map(|entry| {
        let report = entry?;
        let knows_when = report.received_at.or(report.time).is_some_and(|at| at > Timestamp::UNIX_EPOCH);
        let received_at = if knows_when { report.received_at } else { Some(stamp()) };
        Ok(Report { received_at, ..report })
    })
}

fn dispose(source: &Source, entries: impl Iterator<Item = Entry>) -> Decoded {
    let mut decoded = Decoded::default();
    let known = source.registry.as_ref().filter(|_| source.format.guesses_the_registry());
    for entry in entries {
        let entry = entry.map(|report| Report { registry: known.cloned().or(report.registry), ..report });
        match entry.map(|report| report.into_disposition(&source.name, source.registry.as_ref())) {
            Ok(Disposition::Event(event)) => decoded.events.push(*event),
            Ok(Disposition::Ignored(kind)) => decoded.ignored.push(kind),
            Ok(Disposition::Rejected(reason)) | Err(reason) => decoded.rejected.push(reason),
        }
    }
    decoded
}

#[cfg(test)]
mod tests;
