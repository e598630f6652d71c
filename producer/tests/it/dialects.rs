//! What registries send comes out as expected on both ways in: over HTTP through the intake, and as a message through
//! the inbox.

use axum::body::Body;
use axum::http::Request;
use dockbell_backends::Bus as _;
use dockbell_backends::bus::Queue;
use dockbell_producer::intake::router;
use dockbell_proto::event::Event;
use dockbell_proto::input::InputFormat;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::corpus::{Entry, LAYERS_AT_MANIFESTS, corpus};
use super::expectation::{difference, expected_value};
use super::harness::{Consumed, House, TOKEN};
use super::inbox::{INBOX, bus};
use super::recording::Recording;

/// The recordings whose expectation is a list of reports, or an error, with the sources that may send them.
fn recordings() -> impl Iterator<Item = (Entry, Value, [InputFormat; 2])> {
    let is_sequence = |expected: &Value| expected.get("notifications_after_coalescing").is_some();
    corpus().into_iter().filter_map(move |entry| {
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
fn pushes<'a>(name: &str, expected: &'a Value) -> Vec<&'a Value> {
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
fn problems(what: &str, name: &str, events: &[Event], expected: &Value) -> Vec<String> {
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
        let status = if expected["error"] == true { 400 } else { 202 };
        (answer.status().as_u16() != status).then(|| format!("the answer is {}", answer.status()))
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
