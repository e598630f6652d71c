use std::cell::Cell;

use dockbell_proto::credential::{Credential, Proof};
use dockbell_proto::ids::SourceName;
use dockbell_proto::secret::Secret;
use dockbell_testkit::sample::moment;
use serde_json::json;

use super::*;

fn source() -> Source {
    Source {
        name: SourceName::parse("lab").unwrap(),
        format: InputFormat::Auto,
        credential: Credential { proof: Proof::Bearer, secret: Secret::new("t") },
        registry: None,
    }
}

/// Decodes with stamps that are a microsecond apart.
fn decoded(body: &serde_json::Value) -> Decoded {
    let stamps = Cell::new(moment().as_microsecond());
    let stamp = || {
        stamps.set(stamps.get() + 1);
        Timestamp::from_microsecond(stamps.get()).unwrap()
    };
    decode_body(&source(), (&Headers::default(), body.to_string().as_bytes()), stamp).unwrap()
}

#[test]
fn an_intake_sets_source_and_stamp_whatever_the_sender_says() {
    let body = json!({"schema": "dockbell.event/1", "repository": "a", "tag": "1", "source": "other", "received_at": "2000-01-01T00:00:00Z"});
    let event = decoded(&body).events.remove(0);
    assert_eq!(event.source.as_str(), "lab");
    assert!(event.received_at.is_some_and(|at| at > moment()));
}

#[test]
fn a_push_without_id_and_time_is_no_repetition_of_an_earlier_one() {
    let push = json!({"action": "push", "target": {"repository": "a", "tag": "latest"}});
    let events = decoded(&json!({"events": [push, push]})).events;
    assert_ne!(events[0].id, events[1].id);
    let timed =
        json!({"action": "push", "timestamp": "2026-01-01T00:00:00Z", "target": {"repository": "a", "tag": "latest"}});
    let events = decoded(&json!({"events": [timed, timed]})).events;
    assert_eq!(events[0].id, events[1].id, "the facts are the same");
}

#[test]
fn what_exceeds_the_bound_of_a_body_is_rejected_with_that_reason() {
    let push = json!({"action": "push", "target": {"repository": "a", "tag": "latest"}});
    let decoded = decoded(&json!({"events": vec![push; ENTRIES_LIMIT + 2]}));
    assert_eq!((decoded.events.len(), decoded.rejected.len()), (ENTRIES_LIMIT, 2));
}
