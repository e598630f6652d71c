//! What the intake takes in.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use dockbell_backends::bus::Queue;
use dockbell_producer::intake::router;
use dockbell_testkit::sample::event;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::harness::{House, TOKEN};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A push of a manifest as a distribution registry reports it.
fn push(id: &str, tag: &str) -> Value {
    json!({
        "id": id, "timestamp": "2026-01-02T03:04:05Z", "action": "push", "actor": {"name": "alice"}, "request": {"host": "hub.test"},
        "target": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 7, "digest": format!("sha256:{}", "a".repeat(64)),
            "repository": "team/app", "tag": tag},
    })
}

fn noise() -> [Value; 3] {
    let mut pull = push("pull", "1");
    pull["action"] = json!("pull");
    let mut blob = push("blob", "1");
    blob["target"]["mediaType"] = json!("application/octet-stream");
    blob["target"]["tag"] = Value::Null;
    blob["target"]["tag"] = Value::Null;
    let mut rename = push("rename", "1");
    rename["action"] = json!("rename");
    [pull, blob, rename]
}

async fn post(house: &House, source: &str, body: impl ToString) -> (StatusCode, Value) {
    let intake = router(house.intake(house.bus.clone()));
    let request = Request::post(format!("/ingest/{source}"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("traceparent", TRACE)
        .body(Body::from(body.to_string()));
    let answer = intake.oneshot(request.unwrap()).await.unwrap();
    let status = answer.status();
    (status, serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap())
}

#[tokio::test]
async fn events_are_on_the_bus_when_the_answer_comes() {
    let house = House::open();
    let [pull, blob, rename] = noise();
    let (status, counts) =
        post(&house, "registry", json!({"events": [pull, push("1", "x"), blob, push("2", "y"), rename]})).await;
    assert_eq!((status, counts), (StatusCode::ACCEPTED, json!({"accepted": 2, "ignored": 3, "rejected": 0})));
    assert_eq!(house.depth(Queue::Events).await.messages, 2);
    let messages = house.consume(Queue::Events, 2).await;
    for (message, id) in messages.iter().zip(["1", "2"]) {
        assert_eq!(message.event().id.as_str(), id);
        assert!(message.headers.contains(&("dockbell-source".to_owned(), "registry".to_owned())));
        assert_eq!(message.event().source.as_str(), "registry");
        assert_eq!(message.event().trace.traceparent, TRACE);
    }
}

#[tokio::test]
async fn stamps_increase_within_a_request_and_over_requests_although_the_clock_stands_still() {
    let house = House::open();
    let intake = router(house.intake(house.bus.clone()));
    for request in 0..3 {
        let events: Vec<_> = (0..5).map(|n| push(&format!("{request}-{n}"), "x")).collect();
        let request = Request::post("/ingest/registry").header("authorization", format!("Bearer {TOKEN}"));
        let request = request.body(Body::from(json!({"events": events}).to_string())).unwrap();
        assert_eq!(intake.clone().oneshot(request).await.unwrap().status(), StatusCode::ACCEPTED);
    }
    let stamps: Vec<_> =
        house.consume(Queue::Events, 15).await.iter().map(|message| message.event().received_at.unwrap()).collect();
    assert!(stamps.is_sorted_by(|a, b| a < b), "{stamps:?}");
}

#[tokio::test]
async fn noise_alone_is_accepted_and_never_reaches_the_bus() {
    let house = House::open();
    let (status, counts) = post(&house, "registry", json!({"events": noise()})).await;
    assert_eq!((status, counts), (StatusCode::ACCEPTED, json!({"accepted": 0, "ignored": 3, "rejected": 0})));
    for body in [json!({"events": []}), json!({})] {
        assert_eq!(post(&house, "registry", body).await.0, StatusCode::ACCEPTED);
    }
    assert_eq!(house.depth(Queue::Events).await.messages, 0);
}

#[tokio::test]
async fn one_bad_event_does_not_keep_the_good_ones_out() {
    let house = House::open();
    let mut nameless = push("2", "x");
    nameless["target"]["repository"] = json!("../etc");
    let body = json!({"events": [push("1", "x"), nameless, {"neither": "event"}, push("3", "x")]});
    let (status, counts) = post(&house, "registry", body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!((&counts["accepted"], &counts["ignored"], &counts["rejected"]), (&json!(2), &json!(0), &json!(2)));
    assert_eq!(counts["problems"].as_array().unwrap().len(), 2);
    assert_eq!(house.depth(Queue::Events).await.messages, 2);
}

#[tokio::test]
async fn each_source_has_its_own_format() {
    let house = House::open();
    let native = serde_json::to_value(event("1", "team/app", Some("x"), 0)).unwrap();
    for (source, body, status) in [
        ("own", native.clone(), 202),
        ("own", push("1", "x"), 400),
        ("lab", push("1", "x"), 202),
        ("lab", native.clone(), 400),
        ("registry", native, 202),
    ] {
        assert_eq!(post(&house, source, body).await.0.as_u16(), status, "{source}");
    }
}
