//! No batch is larger than the bus takes, whatever came into its window.

use std::sync::Arc;
use std::time::Duration;

use dockbell_producer::fold::fold;
use dockbell_producer::publish::batch_message;
use dockbell_producer::weight::weight;
use dockbell_producer::window::{Moment, WindowPolicy, Windows};
use dockbell_proto::batch::BATCH_LIMIT;
use dockbell_proto::event::{Event, REFERENCES_LIMIT};
use dockbell_proto::message::Message;
use dockbell_testkit::sample::{digest, event, moment};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Kinds of events of one repository, of which windows are filled.
#[derive(Debug, Clone)]
enum Push {
    /// Tags of one index with so many platforms, after their manifests.
    Index { tags: u32, platforms: u32, blobs: u32, text: String },
    /// Tags, of which nothing more is said, by ids of this length.
    Bare { tags: u32, id_length: usize },
    /// One tag again and again.
    Same { times: u32, id_length: usize },
    /// A tag with metadata.
    Told { text: String, length: usize },
}

/// Texts that grow when they are written as JSON, or not at all.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("\"".to_owned()), Just("\u{1}".to_owned()), Just("測".to_owned())]
}

fn push() -> impl Strategy<Value = Push> {
    let most = u32::try_from(REFERENCES_LIMIT).unwrap();
    prop_oneof![
        (1u32..8, 1..=most, 0u32..20, text()).prop_map(|(tags, platforms, blobs, text)| Push::Index {
            tags,
            platforms,
            blobs,
            text
        }),
        (1u32..2000, 1usize..140).prop_map(|(tags, id_length)| Push::Bare { tags, id_length }),
        (1u32..2000, 1usize..140).prop_map(|(times, id_length)| Push::Same { times, id_length }),
        (text(), 1usize..30_000).prop_map(|(text, length)| Push::Told { text, length }),
    ]
}

fn references(count: u32, first: u32, text: &str, platform: Option<&str>) -> Value {
    let text = text.repeat(256);
    (0..count)
        .map(|n| json!({"digest": digest(first + n), "media_type": text, "size": u64::MAX, "platform": platform}))
        .collect()
}

fn events(serial: u32, push: &Push) -> Vec<Event> {
    // JSON writes a quote as two characters.
    let id = |n: u32, length: usize| format!("{serial}-{n}-{}", "\"".repeat(length));
    let tagged = |id: &str, tag: &str| event(id, "team/app", Some(tag), serial.into());
    let bare =
        |id: &str, tag: &str| Event { media_type: None, size: None, pusher: None, time: None, ..tagged(id, tag) };
    match push {
        Push::Index { tags, platforms, blobs, text } => {
            let child = |n: u32| Event {
                digest: Some(serde_json::from_value(json!(digest(n))).unwrap()),
                references: serde_json::from_value(references(*blobs, 1000, text, None)).unwrap(),
                ..event(&id(n, 1), "team/app", None, 0)
            };
            let index = |n: u32| Event {
                references: serde_json::from_value(references(*platforms, 0, text, Some("linux/arm64/v8"))).unwrap(),
                ..tagged(&id(1000 + n, 36), &format!("t{n}"))
            };
            (0..*platforms).map(child).chain((0..*tags).map(index)).collect()
        }
        Push::Bare { tags, id_length } => (0..*tags).map(|n| bare(&id(n, *id_length), &format!("t{n}"))).collect(),
        Push::Same { times, id_length } => (0..*times).map(|n| bare(&id(n, *id_length), "x")).collect(),
        Push::Told { text, length } => {
            let text = text.repeat(*length / text.len());
            let metadata =
                json!({"description": text, "full_description": text, "dockerfile": text, "url": text, "owner": text});
            let metadata = serde_json::from_value::<dockbell_proto::event::Metadata>(metadata).unwrap().bounded();
            vec![Event { metadata: Some(Arc::new(metadata)), ..tagged(&id(0, 36), "told") }]
        }
    }
}

/// Pushes the events as the collector does, and checks every batch that comes of them.
fn check(events: Vec<Event>) -> Result<(), TestCaseError> {
    let policy = WindowPolicy::new(Duration::from_secs(1), Duration::from_secs(5), 10_000).unwrap();
    let mut windows = Windows::new(policy);
    let mut closed = Vec::new();
    for event in events {
        let size = weight(&event);
        closed.extend(windows.push(event, size, (), (Moment::ZERO, moment())).closed);
    }
    closed.extend(windows.close_all());
    for closed in closed {
        let Some(batch) = fold(&closed.events, moment(), moment()).batch else { continue };
        let body = batch_message(batch).body;
        prop_assert!(body.len() <= BATCH_LIMIT, "{} bytes of {} events", body.len(), closed.events.len());
        prop_assert!(Message::decode(&body).is_ok());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn every_window_makes_a_batch_within_the_limit(pushes in proptest::collection::vec(push(), 1..6)) {
        check((0..).zip(&pushes).flat_map(|(serial, push)| events(serial, push)).collect())?;
    }
}
