//! What the intake refuses, and how.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use dockbell_backends::Bus;
use dockbell_backends::bus::Queue;
use dockbell_producer::intake::router;
use dockbell_testkit::sample::event;
use futures_util::stream;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::time::{Duration, Instant};
use tower::ServiceExt as _;

use super::faulty::{Fault, FaultyBus};
use super::harness::{House, TOKEN};

fn authorized(path: &str) -> Builder {
    Request::post(path).header("authorization", format!("Bearer {TOKEN}"))
}

fn native() -> Body {
    Body::from(serde_json::to_vec(&event("1", "team/app", Some("x"), 0)).unwrap())
}

async fn answer(house: &House, bus: Arc<dyn Bus>, request: Request<Body>) -> Response {
    router(house.intake(bus)).oneshot(request).await.unwrap()
}

/// The answer's status, headers and problem, which is checked to be one.
async fn problem(answer: Response) -> (StatusCode, HeaderMap, String) {
    let (status, headers) = (answer.status(), answer.headers().clone());
    assert_eq!(headers["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(problem["status"].as_u64(), Some(status.as_u16().into()));
    assert_eq!(problem["title"].as_str(), status.canonical_reason());
    let detail = problem["detail"].as_str().unwrap().to_owned();
    assert!(!detail.is_empty() && !detail.contains(TOKEN), "{detail}");
    (status, headers, detail)
}

async fn refusal(request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let house = House::open();
    let refusal = problem(answer(&house, house.bus.clone(), request).await).await;
    assert_eq!(house.depth(Queue::Events).await.messages, 0, "nothing of a refused request is kept");
    refusal
}

#[tokio::test]
async fn only_the_secret_of_the_source_opens_it() {
    for authorization in ["", "Bearer", "Bearer ", "Bearer canar", "Bearer Canary", "Basic canary", "canary"] {
        let mut request = Request::post("/ingest/registry");
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        let (status, headers, _) = refusal(request.body(native()).unwrap()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{authorization:?}");
        assert_eq!(headers["www-authenticate"], "Bearer");
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let house = House::open();
        let request = Request::post("/ingest/registry").header("authorization", format!("{scheme} {TOKEN}"));
        let answer = answer(&house, house.bus.clone(), request.body(native()).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{scheme}");
    }
}

#[tokio::test]
async fn a_source_that_is_not_configured_is_not_found() {
    for name in ["other", "Registry", "%2e%2e", "%ff", &"a".repeat(300)] {
        let request = authorized(&format!("/ingest/{name}")).body(native()).unwrap();
        assert_eq!(refusal(request).await.0, StatusCode::NOT_FOUND, "{name}");
    }
}

#[tokio::test]
async fn only_a_post_is_taken() {
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let request = authorized("/ingest/registry").method(method).body(native()).unwrap();
        let house = House::open();
        let answer = answer(&house, house.bus.clone(), request).await;
        assert_eq!(
            (answer.status(), &answer.headers()["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_compressed_body_is_refused_unread() {
    for (encoding, status) in [("gzip", 415), ("gzip, identity", 415), ("identity", 202), ("Identity", 202)] {
        let house = House::open();
        let request = authorized("/ingest/registry").header("content-encoding", encoding).body(native()).unwrap();
        assert_eq!(answer(&house, house.bus.clone(), request).await.status().as_u16(), status, "{encoding}");
    }
}

#[tokio::test]
async fn a_body_has_a_largest_size() {
    const LIMIT: usize = 4 * 1024 * 1024;
    let endless = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 4096])));
    for body in [Body::from(vec![b' '; LIMIT + 1]), Body::from_stream(endless)] {
        let (status, ..) = refusal(authorized("/ingest/registry").body(body).unwrap()).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    let mut largest = serde_json::to_vec(&event("1", "team/app", Some("x"), 0)).unwrap();
    largest.resize(LIMIT, b' ');
    let house = House::open();
    let request = authorized("/ingest/registry").body(Body::from(largest)).unwrap();
    assert_eq!(answer(&house, house.bus.clone(), request).await.status(), StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let began = Instant::now();
    let body = Body::from_stream(stream::pending::<Result<Bytes, io::Error>>());
    let house = House::open();
    let answer = answer(&house, house.bus.clone(), authorized("/ingest/registry").body(body).unwrap()).await;
    assert_eq!(problem(answer).await.0, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_event() {
    let whole = serde_json::to_vec(&event("1", "team/app", Some("x"), 0)).unwrap();
    let body = Body::from_stream(stream::iter([Ok(Bytes::from(whole)), Err(io::Error::other("reset"))]));
    assert_eq!(refusal(authorized("/ingest/registry").body(body).unwrap()).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_no_notification_is_told_what_was_expected() {
    for (source, body, detail) in [
        ("registry", r#"{"foo": 1}"#, "expected a distribution envelope"),
        ("registry", "[]", "expected a distribution envelope"),
        ("lab", r#"{"schema": "dockbell.event/1"}"#, "expected an object with `events`"),
        ("own", r#"{"events": []}"#, "expected an object with `\"schema\": \"dockbell.event/1\"`"),
        ("registry", "{", "not JSON: EOF"),
        ("registry", "", "not JSON: EOF"),
    ] {
        let request = authorized(&format!("/ingest/{source}")).body(Body::from(body)).unwrap();
        let (status, _, told) = refusal(request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(told.contains(detail), "{told}");
    }
    let deep = "[".repeat(100_000);
    let (status, ..) = refusal(authorized("/ingest/registry").body(Body::from(deep)).unwrap()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_does_not_answer_is_waited_for_half_a_second() {
    let house = House::open();
    let bus = FaultyBus::new(house.bus.clone(), Queue::Events);
    bus.fail_always(Some(Fault::Hangs));
    let began = Instant::now();
    let answer = answer(&house, bus, authorized("/ingest/registry").body(native()).unwrap()).await;
    let (status, headers, _) = problem(answer).await;
    assert_eq!((status, &headers["retry-after"]), (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap()));
    assert_eq!(began.elapsed(), Duration::from_millis(500));
}

#[tokio::test]
async fn a_bus_that_refuses_makes_the_registry_repeat_the_notification() {
    for fault in [Fault::Refused, Fault::AnswerLost] {
        let house = House::open();
        let bus = FaultyBus::new(house.bus.clone(), Queue::Events);
        bus.fail_next([fault]);
        let request = || authorized("/ingest/registry").body(native()).unwrap();
        let (status, headers, _) = problem(answer(&house, bus.clone(), request()).await).await;
        assert_eq!((status, &headers["retry-after"]), (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap()));
        assert_eq!(answer(&house, bus, request()).await.status(), StatusCode::ACCEPTED);
    }
}
