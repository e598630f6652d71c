//! From a body to events: decode, drop noise, count the rest.

use dockbell_proto::event::Event;
use dockbell_proto::input::{DecodeError, Disposition, Ignored, decode};

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

/// Decodes a body of `source`.
pub fn decode_body(source: &Source, body: &[u8]) -> Result<Decoded, DecodeError> {
    let mut decoded = Decoded::default();
    for entry in decode(source.format, body)? {
        match entry.map(|report| report.into_disposition(&source.name, source.registry.as_ref())) {
            Ok(Disposition::Event(event)) => decoded.events.push(*event),
            Ok(Disposition::Ignored(kind)) => decoded.ignored.push(kind),
            Ok(Disposition::Rejected(reason)) | Err(reason) => decoded.rejected.push(reason),
        }
    }
    Ok(decoded)
}
