//! What is tried with every format.
//!
//! An input is a body, or like a fixture `{"headers": {…}, "body": …}`.

use dockbell_proto::event::REFERENCES_LIMIT;
use dockbell_proto::ids::SourceName;
use dockbell_proto::input::{Disposition, Headers, InputFormat, decode, decode_any, validation_code};
use serde_json::Value;

/// Decodes an input, and checks what must hold of every event: it stands on the bus as a native event, is read from
/// there as it was written, and is bounded.
pub fn decoder(format: InputFormat, input: &[u8]) {
    let (headers, body) = parts(input).unwrap_or_else(|| (Headers::default(), input.to_vec()));
    validation_code(format, &body);
    let entries = decode(format, &headers, &body);
    if entries.is_ok() {
        assert!(decode_any(format, || headers.clone(), &body).is_ok(), "what a source may send is taken from the bus");
    }
    for report in entries.into_iter().flatten().flatten() {
        let source = SourceName::parse("fuzz").expect("a name");
        if let Disposition::Event(event) = report.into_disposition(&source, None) {
            assert!(event.references.len() <= REFERENCES_LIMIT);
            let json = serde_json::to_vec(&event).expect("an event is JSON");
            let mut entries = decode(InputFormat::Native, &Headers::default(), &json).expect("an event is native");
            let report = entries.remove(0).expect("an event keeps to its schema");
            assert_eq!(report.into_disposition(&source, None), Disposition::Event(event));
        }
    }
}

/// The headers and the body of an input that looks like a fixture with both.
fn parts(input: &[u8]) -> Option<(Headers, Vec<u8>)> {
    let value: Value = serde_json::from_slice(input).ok()?;
    let headers = value.get("headers")?.as_object()?;
    let headers = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    Some((Headers::of(headers), value.get("body")?.to_string().into_bytes()))
}
