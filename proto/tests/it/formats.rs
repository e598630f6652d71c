//! `docs/formats.md`: its schema and its example describe what the decoder takes.

use dockbell_proto::batch::Batch;
use dockbell_proto::input::{Headers, InputFormat, decode};
use dockbell_proto::options::{Options, Source};
use dockbell_proto::output::render;
use dockbell_proto::webhook::Format;
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../../docs/formats.md");

/// The first block of the document that opens with `fence`.
fn block(fence: &str) -> Value {
    let (_, rest) = DOCUMENT.split_once(fence).unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    serde_json::from_str(block).unwrap()
}

/// The example of a template is one that an owner could save.
#[test]
fn the_example_of_a_template_writes_json_whatever_is_known() {
    let (_, rest) = DOCUMENT.split_once("```jinja\n").unwrap();
    let source = Source::parse(rest.split_once("```").unwrap().0).unwrap();
    let options = Options { source: Some(source), ..Options::default() };
    let mut change = json!({"tag": "1.0", "order": "00001767323045000000-e1", "pushed_at": "2026-01-02T03:04:05Z",
        "event_ids": ["e1"]});
    for (pusher, text) in [(None, "somebody pushed team/app:1.0"), (Some("al\"ice"), "al\"ice pushed team/app:1.0")] {
        change["pusher"] = json!(pusher);
        let content: Batch = serde_json::from_value(json!({
            "source": "lab", "registry": "hub.test:5000", "repository": "team/app", "events": 1,
            "opened_at": "2026-01-02T03:04:05Z", "closed_at": "2026-01-02T03:04:06Z", "changes": [change],
        }))
        .unwrap();
        let rendered = render(Format::Template, &options, &content, (content.opened_at, "")).unwrap();
        let body: Value = serde_json::from_slice(&rendered.body).unwrap();
        assert_eq!(body, json!({"text": text, "digest": null, "platforms": 0}));
    }
}

fn is_taken(event: &Value) -> bool {
    let entries = decode(InputFormat::Native, &Headers::default(), event.to_string().as_bytes());
    entries.is_ok_and(|entries| entries.iter().all(Result::is_ok))
}

#[test]
fn the_example_of_the_native_event_is_valid_and_taken_whole() {
    let (schema, example) = (block("```json schema\n"), block("```json\n"));
    jsonschema::validate(&schema, &example).unwrap();
    let report =
        decode(InputFormat::Auto, &Headers::default(), example.to_string().as_bytes()).unwrap().remove(0).unwrap();
    assert!(report.notifies() && report.digest.is_some() && report.references.len() == 1 && report.metadata.is_some());
}

#[test]
fn schema_and_decoder_agree_on_what_is_valid() {
    let schema = jsonschema::validator_for(&block("```json schema\n")).unwrap();
    let base = block("```json\n");
    let with = |member: &str, value: Value| {
        let mut event = base.clone();
        event[member] = value;
        event
    };
    for valid in [
        with("tag", Value::Null),
        with("tag", json!("")),
        with("id", json!("any")),
        with("metadata", json!({"owner": "o"})),
        with("extra", json!(1)),
    ] {
        assert!(schema.is_valid(&valid) && is_taken(&valid), "{valid}");
    }
    for wrong in [
        with("schema", json!("other")),
        with("repository", json!("")),
        with("repository", json!("a".repeat(256))),
        with("tag", json!("-x")),
        with("digest", json!("md5:1")),
        with("metadata", json!({"star_count": "many"})),
        with("registry", json!("a".repeat(261))),
    ] {
        assert!(!schema.is_valid(&wrong) && !is_taken(&wrong), "{wrong}");
    }
}

#[test]
fn the_example_of_an_operator_event_is_the_golden_one() {
    let (_, section) = DOCUMENT.split_once("\n## Operator events\n").unwrap();
    let (example, _) = section.split_once("```json\n").unwrap().1.split_once("```").unwrap();
    let golden: Value = serde_json::from_str(include_str!("../golden/operation-1.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(example).unwrap(), golden);
}

/// What a reader pastes into a shell to try it.
#[test]
fn the_message_that_publishers_may_try_is_taken() {
    let (_, rest) = DOCUMENT.split_once("registry.events/publish -d '").unwrap();
    let (request, _) = rest.split_once("'\n").unwrap();
    let request: Value = serde_json::from_str(request).unwrap();
    let payload = request["payload"].as_str().unwrap();
    let report = decode(InputFormat::Auto, &Headers::default(), payload.as_bytes()).unwrap().remove(0).unwrap();
    assert!(report.notifies() && report.registry.is_some());
    assert_eq!(report.repository.unwrap().as_str(), request["routing_key"].as_str().unwrap());
}

/// Others write native events: every member that one has is described.
#[test]
fn every_member_of_a_native_event_is_described() {
    let golden: Value = serde_json::from_str(include_str!("../golden/event-1.json")).unwrap();
    let schema = block("```json schema\n");
    let (_, table) = DOCUMENT.split_once("| member | | meaning |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    for member in golden.as_object().unwrap().keys() {
        assert!(schema["properties"][member].is_object(), "{member} is not in the schema");
        assert!(table.contains(&format!("`{member}`")), "{member} is not in the table");
    }
    for (of, schema) in [("metadata", &schema["properties"]["metadata"]), ("trace", &schema["properties"]["trace"])] {
        for member in golden[of].as_object().unwrap().keys() {
            assert!(schema["properties"][member].is_object(), "{of}.{member} is not in the schema");
        }
    }
    jsonschema::validate(&schema, &golden).unwrap();
}

/// What each source sends stands in a block of its own, under the name of its format.
#[test]
fn the_example_of_every_source_is_a_push_in_its_format_and_in_any() {
    for format in InputFormat::ALL {
        if matches!(format, InputFormat::Auto | InputFormat::Native) {
            continue;
        }
        let example = block(&format!("```json {}\n", format.as_str())).to_string();
        for tried in [format, InputFormat::Auto] {
            let mut entries = decode(tried, &Headers::default(), example.as_bytes()).unwrap();
            let report = entries.remove(0).unwrap();
            assert!(report.notifies() && entries.is_empty(), "{} as {}", format.as_str(), tried.as_str());
            assert_eq!(report.tag.unwrap().as_str(), "1.4.2");
            assert!(report.repository.unwrap().as_str().ends_with("/app"));
        }
    }
}

/// A format that nobody is told of is used by nobody.
#[test]
fn every_format_is_named_where_sources_are_configured() {
    let operations = include_str!("../../../docs/operations.md");
    let row = operations.lines().find(|line| line.starts_with("| `sources.NAME.format`")).unwrap();
    for format in InputFormat::ALL {
        assert!(row.contains(&format!("`{}`", format.as_str())), "{}", format.as_str());
    }
}
