//! What registries send comes out as expected on both ways in: over HTTP through the intake, and as a message through
//! the inbox.

use axum::body::Body;
use axum::http::Request;
use dockbell_backends::Bus as _;
use dockbell_backends::bus::Queue;
use dockbell_producer::decode::decode_body;
use dockbell_producer::fold::fold;
use dockbell_producer::intake::router;
use dockbell_proto::batch::Change;
use dockbell_proto::event::Event;
use dockbell_proto::input::{Headers, InputFormat};
use dockbell_testkit::sample::moment;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::corpus::{Entry, LAYERS_AT_MANIFESTS, corpus};
use super::expectation::{difference, expected_value};
use super::fixtures::fixtures;
use super::harness::{Consumed, House, TOKEN, source};
use super::inbox::{INBOX, bus};
use super::recording::Recording;

/// The recordings whose expectation is a list of reports, or an error, with the sources that may send them.
pub(crate) fn recordings() -> impl Iterator<Item = (Entry, Value, [InputFormat; 2])> {
    let is_sequence = |expected: &Value| expected.get("notifications_after_coalescing").is_some();
    corpus().into_iter().chain(fixtures()).filter_map(move |entry| {
        let expected = entry.expected.clone().filter(|expected| !is_sequence(expected))?;
        let formats = [InputFormat::Auto, entry.format];
        Some((entry, expected, formats))
    })
}

/// Everything that stands on the queue of events.
async fn events(house: &House) -> Vec<Event> {
    let count = usize::try_from(house.depth(Queue::Events).await.messages).unwrap();
    house.consume(Queue::Events, count).await.iter().map(Consumed::event).collect()
}

/// The reports that must become events: pushes of manifests that can be fetched.
pub(crate) fn pushes<'a>(name: &str, expected: &'a Value) -> Vec<&'a Value> {
    let is_event = |report: &&Value| {
        let is_blob = report["kind"] == "blob" && name != LAYERS_AT_MANIFESTS;
        report["action"] == "push" && !is_blob && !(report["tag"].is_null() && report["digest_strict"].is_null())
    };
    expected.as_array().map(|reports| reports.iter().filter(is_event).collect()).unwrap_or_default()
}

fn differences_of(event: &Event, expected: &Value) -> Vec<String> {
    let registry = if expected["registry"].is_null() { json!(event.source) } else { expected["registry"].clone() };
    let members = [
        ("repository", json!(event.repository)),
        ("tag", json!(event.tag)),
        ("digest_strict", json!(event.digest)),
        ("media_type", json!(event.media_type)),
        ("size", json!(event.size)),
        ("pusher", json!(event.pusher)),
        ("time", json!(event.time)),
        ("id", if expected["id"].is_null() { Value::Null } else { json!(event.id) }),
    ];
    let found =
        members.iter().filter_map(|(name, read)| difference(name, read, &expected_value(name, &expected[*name])));
    found.chain(difference("registry", &json!(event.registry), &registry)).collect()
}

/// What is wrong with the events that came of a recording.
pub(crate) fn problems(what: &str, name: &str, events: &[Event], expected: &Value) -> Vec<String> {
    let pushes = pushes(name, expected);
    if events.len() != pushes.len() {
        return vec![format!("{what}: {} events instead of {}", events.len(), pushes.len())];
    }
    let found = events.iter().zip(pushes).flat_map(|(event, expected)| differences_of(event, expected));
    found.map(|difference| format!("{what}: {difference}")).collect()
}

/// Everything that is wrong with what comes of the recordings, each sent by each of its sources to a house of its own.
async fn problems_of_all(send: impl AsyncFn(&House, &str, &Recording, &Value) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (entry, expected, formats) in recordings() {
        for source in formats.map(InputFormat::as_str) {
            let (house, what) = (House::open(), format!("{} from {source}", entry.name));
            let problem = send(&house, source, &entry.recording, &expected).await;
            found.extend(problem.map(|problem| format!("{what}: {problem}")));
            found.extend(problems(&what, &entry.name, &events(&house).await, &expected));
        }
    }
    found
}

#[tokio::test]
async fn every_recording_comes_out_as_expected_over_http() {
    let found = problems_of_all(async |house, source, recording, expected| {
        let mut request = Request::post(format!("/ingest/{source}")).header("authorization", format!("Bearer {TOKEN}"));
        for (name, value) in recording.headers() {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(recording.body.clone())).unwrap();
        let answer = router(house.intake(house.bus.clone())).oneshot(request).await.unwrap();
        let is_good = if expected["error"] == true { answer.status() == 400 } else { answer.status().is_success() };
        (!is_good).then(|| format!("the answer is {}", answer.status()))
    });
    let found = found.await;
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn every_recording_comes_out_as_expected_over_the_bus() {
    let found = problems_of_all(async |house, source, recording, expected| {
        let mut headers = recording.headers();
        headers.push(("dockbell-source", source));
        house.put_on(INBOX, recording.body.clone(), &headers).await;
        let running = house.empty_inbox(bus(house), 10);
        house.wait_for_depth(INBOX, 0).await;
        running.stop().await;
        let letters = house.bus.dead_letters(0, 10).await.unwrap();
        (letters.len() != usize::from(expected["error"] == true)).then(|| format!("dead letters: {letters:?}"))
    });
    let found = found.await;
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What `fixtures` come to in one window of their source.
fn changes(fixtures: &[&str], change_body: impl Fn(&mut Value)) -> Vec<Change> {
    let source = source("zot", InputFormat::Zot);
    let events = fixtures.iter().enumerate().flat_map(|(place, name)| {
        let entry = super::fixtures::fixtures().into_iter().find(|entry| entry.name == *name).unwrap();
        let mut body: Value = serde_json::from_slice(&entry.recording.body).unwrap();
        if place == 0 {
            change_body(&mut body);
        }
        let headers = Headers::of(entry.recording.headers());
        decode_body(&source, (&headers, body.to_string().as_bytes()), moment).unwrap().events
    });
    fold(&events.collect::<Vec<_>>(), moment(), moment()).batch.unwrap().changes
}

#[test]
fn an_index_folds_the_platforms_that_were_pushed_before_it() {
    let digest = format!("sha256:{}", "fedcba9876543210".repeat(4));
    let of_platform = |body: &mut Value| {
        (body["digest"], body["reference"]) = (json!(digest), json!(digest));
    };
    let changes = changes(&["zot_binary_push.json", "zot_binary_push_of_an_index.json"], of_platform);
    assert_eq!((changes.len(), changes[0].tag.as_str(), changes[0].children.len()), (1, "1.0", 1));
    let child = &changes[0].children[0];
    assert_eq!((child.digest.as_str(), child.platform.as_deref()), (digest.as_str(), Some("linux/arm64/v8")));
    let sizes: Vec<_> = child.blobs.iter().map(|blob| blob.size).collect();
    assert_eq!(sizes, [Some(100), Some(200)], "config and layers of the platform are known");
}
