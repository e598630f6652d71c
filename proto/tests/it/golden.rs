//! The golden files: what released versions wrote stays readable. Their text is never edited.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use dockbell_proto::event::{EVENT_SCHEMA, Event, Schema};
use dockbell_proto::ids::SourceName;
use dockbell_proto::input::{Disposition, Headers, InputFormat, decode};
use dockbell_proto::message::Message;
use dockbell_proto::operations::{OPERATION_SCHEMA, OperationSchema, OperatorEvent};
use serde_json::{Value, json};

/// Every schema that some release wrote to the bus. A line is added with the release that reads a new one, and
/// goes when nothing that was written in it can stand on a queue any more.
const SCHEMAS: [&str; 4] = ["dockbell.batch/1", "dockbell.delivery/1", "dockbell.event/1", "dockbell.operation/1"];

/// The golden files by what their names say: `batch-1.json` holds `dockbell.batch/1`.
fn golden() -> BTreeMap<String, Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (kind, version) = name.rsplit_once('-').unwrap();
        (format!("dockbell.{kind}/{version}"), serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())
    };
    files.map(read).collect()
}

/// The schemas that the code reads, as it names them itself when it is given another.
fn read_by_the_code() -> BTreeSet<String> {
    let messages = Message::decode(br#"{"schema": "dockbell.nothing/1"}"#).unwrap_err().to_string();
    let events = serde_json::from_value::<Schema>(json!("dockbell.nothing/1")).unwrap_err().to_string();
    let operations = serde_json::from_value::<OperationSchema>(json!("dockbell.nothing/1")).unwrap_err().to_string();
    let named = |text: &str| -> Vec<String> {
        let expected = text.rsplit("expected ").next().unwrap();
        expected.split('`').filter(|part| part.starts_with("dockbell.")).map(ToOwned::to_owned).collect()
    };
    [messages, events, operations].iter().flat_map(|text| named(text)).collect()
}

/// The message or event of a golden file, written as this version writes it.
fn written_again(schema: &str, golden: &Value) -> Value {
    if schema.starts_with("dockbell.event/") {
        let mut entries = decode(InputFormat::Native, &Headers::default(), golden.to_string().as_bytes()).unwrap();
        let source = SourceName::parse("another").unwrap();
        let Disposition::Event(event) = entries.remove(0).unwrap().into_disposition(&source, None) else {
            panic!("{schema} is no event")
        };
        assert_eq!(serde_json::from_value::<Event>(golden.clone()).unwrap(), *event, "both ways of reading agree");
        return serde_json::to_value(event).unwrap();
    }
    if schema.starts_with("dockbell.operation/") {
        let event: OperatorEvent = serde_json::from_value(golden.clone()).unwrap();
        return serde_json::from_slice(&event.encode()).unwrap();
    }
    let message = Message::decode(golden.to_string().as_bytes()).unwrap_or_else(|error| panic!("{schema}: {error}"));
    serde_json::from_slice(&message.encode()).unwrap()
}

#[test]
fn every_schema_that_was_ever_written_has_a_golden_file_and_is_read() {
    let listed: BTreeSet<_> = SCHEMAS.into_iter().map(ToOwned::to_owned).collect();
    assert_eq!(golden().into_keys().collect::<BTreeSet<_>>(), listed, "golden files, and the list");
    assert_eq!(read_by_the_code(), listed, "what the code reads, and the list");
    assert!(listed.contains(EVENT_SCHEMA) && listed.contains(OPERATION_SCHEMA));
}

/// Nothing of it is lost: members that a release wrote are kept, under their names.
#[test]
fn what_past_releases_wrote_is_read_whole() {
    for (schema, golden) in golden() {
        assert_eq!(golden["schema"], json!(schema));
        assert_eq!(written_again(&schema, &golden), golden, "{schema}");
    }
}

#[test]
fn a_reader_ignores_members_that_it_does_not_know() {
    for (schema, golden) in golden() {
        let mut newer = golden.clone();
        newer["added_later"] = json!({"any": ["thing"]});
        assert_eq!(written_again(&schema, &newer), golden, "{schema}");
    }
}

#[test]
fn what_a_later_version_wrote_is_refused_by_its_name() {
    for (schema, golden) in golden() {
        let later = schema.replace("/1", "/99");
        let mut body = golden.clone();
        body["schema"] = json!(later);
        let body = body.to_string();
        let reason = if schema.starts_with("dockbell.event/") {
            decode(InputFormat::Auto, &Headers::default(), body.as_bytes()).unwrap_err().to_string()
        } else if schema.starts_with("dockbell.operation/") {
            serde_json::from_str::<OperatorEvent>(&body).unwrap_err().to_string()
        } else {
            Message::decode(body.as_bytes()).unwrap_err().to_string()
        };
        assert!(reason.contains(&later) && reason.contains(&schema), "{reason}");
    }
}
