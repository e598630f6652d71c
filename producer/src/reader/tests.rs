use bytes::Bytes;
use dockbell_backends::bus::{BusError, Receipt, Settle, Settlement};
use dockbell_proto::credential::{Credential, Proof};
use dockbell_proto::ids::SourceName;
use dockbell_proto::input::InputFormat;
use dockbell_proto::secret::Secret;
use dockbell_testkit::clock::ManualClock;
use dockbell_testkit::sample::{event, moment};
use serde_json::{Value, json};

use super::*;
use crate::source::Source;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Debug)]
struct Unsettled;

#[async_trait::async_trait]
impl Settle for Unsettled {
    async fn settle(&mut self, _: Settlement) -> Result<(), BusError> {
        Ok(())
    }
}

fn message(body: impl Into<Bytes>, headers: &[(&str, &str)]) -> Received {
    Received {
        id: String::new(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.into(),
        maybe_repeated: false,
        receipt: Receipt::new(Unsettled),
    }
}

fn reader() -> Reader {
    let source = |name: &str, format| Source {
        name: SourceName::parse(name).unwrap(),
        format,
        credential: Credential { proof: Proof::Bearer, secret: Secret::new("t") },
        registry: None,
    };
    let others = vec![source("distribution", InputFormat::Distribution), source("native", InputFormat::Native)];
    let sources = Sources::new(source("auto", InputFormat::Auto), others);
    Reader::new(Arc::new(sources), Arc::new(ManualClock::new(moment())))
}

fn read(reader: &Reader, body: &Value, headers: &[(&str, &str)]) -> Vec<Event> {
    reader.read(&message(body.to_string(), headers)).unwrap()
}

fn push(id: Option<&str>, timestamp: Option<&str>) -> Value {
    json!({"id": id, "timestamp": timestamp, "action": "push", "target": {"repository": "a", "tag": "latest"}})
}

#[test]
fn every_body_is_read_whatever_its_source_sends_to_an_intake_and_whatever_its_content_type_says() {
    let reader = reader();
    let bare: Value = serde_json::from_str(include_str!("../../tests/fixtures/bare_event.json")).unwrap();
    let native: Value = serde_json::from_str(include_str!("../../tests/fixtures/native_event.json")).unwrap();
    let recorded: Value =
        serde_json::from_str(include_str!("../../tests/fixtures/lab_v2_index_push_tag.json")).unwrap();
    let element = recorded["events"][0].clone();
    assert!(native.get("received_at").is_none() && native.get("source").is_none() && element.is_object());
    for source in ["auto", "distribution", "native"] {
        for content_type in ["application/json", "text/plain", "application/vnd.docker.distribution.events.v2+json"] {
            for (body, repository) in
                [(&bare, "team/app"), (&native, "team/app"), (&recorded, "team/multi"), (&element, "team/multi")]
            {
                let events = read(&reader, body, &[("content-type", content_type), ("dockbell-source", source)]);
                let found: Vec<_> = events.iter().map(|event| event.repository.as_str()).collect();
                assert_eq!(found, [repository], "{source}, {content_type}");
                assert_eq!(events[0].source.as_str(), source);
            }
        }
    }
}

#[test]
fn an_event_without_a_trace_takes_that_of_its_message() {
    let reader = reader();
    let headers = [("traceparent", TRACE), ("tracestate", "vendor=1")];
    let bodies = [push(None, None), json!({"events": [push(None, None), push(Some("2"), None)]})];
    for event in bodies.iter().flat_map(|body| read(&reader, body, &headers)) {
        assert_eq!((event.trace.traceparent.as_str(), event.trace.tracestate.as_str()), (TRACE, "vendor=1"));
    }
    assert!(read(&reader, &push(None, None), &[])[0].trace.is_empty());
    let own = TRACE.replace("b7ad", "aaaa");
    let mut traced = serde_json::to_value(event("1", "team/app", Some("x"), 0)).unwrap();
    traced["trace"] = json!({"traceparent": own});
    let event = &read(&reader, &traced, &headers)[0];
    assert_eq!((event.trace.traceparent.as_str(), event.trace.tracestate.as_str()), (own.as_str(), ""));
}

#[test]
fn an_event_that_knows_its_time_is_not_stamped_and_an_older_one_that_comes_later_stays_older() {
    let reader = reader();
    let newer = read(&reader, &push(Some("n"), Some("2026-01-01T00:00:02Z")), &[]).remove(0);
    let older = read(&reader, &push(Some("o"), Some("2026-01-01T00:00:01Z")), &[]).remove(0);
    assert_eq!((newer.received_at, older.received_at), (None, None));
    assert!(older.order() < newer.order());
}

#[test]
fn an_event_without_a_time_is_stamped_when_it_comes_and_before_its_id_is_made() {
    let reader = reader();
    for timeless in [push(None, None), push(None, Some("0001-01-01T00:00:00Z"))] {
        let events: Vec<_> = (0..3).flat_map(|_| read(&reader, &timeless, &[])).collect();
        assert!(events.is_sorted_by(|a, b| a.received_at < b.received_at), "{events:?}");
        assert!(events.iter().all(|event| event.received_at >= Some(moment())));
    }
    let [first, second] = [(); 2].map(|()| read(&reader, &push(None, None), &[]).remove(0));
    assert_ne!(first.id, second.id, "without id and time a push is no repetition");
}

#[test]
fn the_stamp_of_an_intake_is_kept() {
    let taken_in = event("1", "team/app", Some("x"), 0);
    let mut timeless = serde_json::to_value(&taken_in).unwrap();
    timeless["time"] = Value::Null;
    assert_eq!(read(&reader(), &timeless, &[])[0].received_at, taken_in.received_at);
}

#[test]
fn a_body_that_is_too_large_is_given_up_whole() {
    let reader = reader();
    let most = json!({"events": vec![push(None, None); 1000]});
    assert_eq!(read(&reader, &most, &[]).len(), 1000);
    let too_many = json!({"events": vec![push(None, None); 1001]}).to_string();
    assert!(reader.read(&message(too_many, &[])).unwrap_err().contains("1000"));
    let mut padded = push(None, None).to_string().into_bytes();
    padded.resize(BODY_LIMIT, b' ');
    assert_eq!(reader.read(&message(padded.clone(), &[])).unwrap().len(), 1);
    padded.push(b' ');
    assert!(reader.read(&message(padded, &[])).unwrap_err().contains("4 MiB"));
}
