//! From a body to events: decode, drop noise, count the rest.

use dockbell_proto::event::Event;
use dockbell_proto::input::{DecodeError, Disposition, Entry, Ignored, InputFormat, Report, decode};
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

/// The most entries of one body that are taken. Registries send one; more could not become durable in the time
/// that a registry waits.
const ENTRIES_LIMIT: usize = 1000;

/// Decodes a body that `source` sent. Every report gets a `stamp` of its own, and its source is this one,
/// whatever it says.
pub fn decode_body(source: &Source, body: &[u8], stamp: impl Fn() -> Timestamp) -> Result<Decoded, DecodeError> {
    let entries = decode(source.format, body)?;
    let taken = entries.into_iter().enumerate().map(|(place, entry)| match entry {
        Ok(_) if place >= ENTRIES_LIMIT => Err("a body may hold at most 1000 events"),
        Ok(report) => Ok(Report { received_at: Some(stamp()), source: Some(source.name.clone()), ..report }),
        Err(reason) => Err(reason),
    });
    Ok(dispose(source, taken))
}

/// Decodes a message of the events queue. It may be native whatever its source sends, because an intake puts
/// native events there.
pub fn decode_message(source: &Source, body: &[u8]) -> Result<Decoded, DecodeError> {
    let format = match source.format {
        InputFormat::Native => InputFormat::Native,
        InputFormat::Distribution | InputFormat::Auto => InputFormat::Auto,
    };
    Ok(dispose(source, decode(format, body)?.into_iter()))
}

/// Decodes a message of the events queue whose source is not configured any more: what an intake of ours once
/// accepted from it is complete in itself. `other` stands in for what the configuration would say.
pub fn decode_orphan(other: &Source, body: &[u8]) -> Result<Decoded, DecodeError> {
    Ok(dispose(other, decode(InputFormat::Native, body)?.into_iter()))
}

fn dispose(source: &Source, entries: impl Iterator<Item = Entry>) -> Decoded {
    let mut decoded = Decoded::default();
    for entry in entries {
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
