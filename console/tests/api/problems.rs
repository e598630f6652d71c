//! What a caller is told when something is wrong.

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::bench::{Bench, TOKEN, each, new_webhook};

async fn post(bench: &Bench, content_type: &str, body: impl Into<Body>) -> crate::bench::Answer {
    let request = Request::builder().method(Method::POST).uri("/api/v1/webhooks");
    let request = request.header(AUTHORIZATION, format!("Bearer {TOKEN}")).header(CONTENT_TYPE, content_type);
    bench.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_told_apart_by_what_is_wrong_with_it() {
    let bench = Bench::open();
    assert_eq!(post(&bench, "application/json", "{\"name\":").await.problem(400), "malformed");
    assert_eq!(post(&bench, "application/json", "[]").await.problem(400), "malformed");
    assert_eq!(post(&bench, "text/plain", "{}").await.problem(415), "unsupported-media-type");
    assert_eq!(post(&bench, "application/x-www-form-urlencoded", "a=b").await.problem(415), "unsupported-media-type");
    let large = " ".repeat(dockbell_console::BODY_LIMIT + 1);
    assert_eq!(post(&bench, "application/json", large).await.problem(413), "too-large");
    let fits = format!("{}{{}}", " ".repeat(dockbell_console::BODY_LIMIT - 2));
    assert_eq!(post(&bench, "application/json; charset=utf-8", fits).await.problem(422), "invalid");
}

#[tokio::test]
async fn all_wrong_members_are_named_at_once() {
    let bench = Bench::open();
    let answer =
        bench.post("/api/v1/webhooks", json!({ "name": 1, "url": "http://[::1]/?canary", "colour": "red" })).await;
    assert_eq!(answer.problem(422), "invalid");
    assert_eq!(each(&answer.json()["errors"], "member"), ["name", "repository", "url", "format", "colour"]);
    assert!(!String::from_utf8_lossy(&answer.body).contains("canary"));
    let answer = bench.get("/api/v1/deliveries?webhook=a&state=b&limit=0&page=2").await;
    assert_eq!(answer.problem(422), "invalid");
    assert_eq!(each(&answer.json()["errors"], "member"), ["webhook", "state", "limit", "page"]);
}

#[tokio::test]
async fn an_id_of_nothing_is_not_found() {
    let bench = Bench::open();
    for (method, path) in [
        (Method::GET, "/api/v1/webhooks/wh_1"),
        (Method::GET, "/api/v1/webhooks/msg_1"),
        (Method::GET, "/api/v1/webhooks/%ff"),
        (Method::DELETE, "/api/v1/webhooks/wh_1"),
        (Method::POST, "/api/v1/webhooks/wh_1/test"),
        (Method::GET, "/api/v1/deliveries/msg_1"),
        (Method::POST, "/api/v1/deliveries/msg_1/redeliver"),
    ] {
        assert_eq!(bench.call(method, path, Value::Null).await.problem(404), "not-found", "{path}");
    }
    assert_eq!(bench.patch("/api/v1/webhooks/wh_1", json!({ "enabled": false })).await.problem(404), "not-found");
}

#[tokio::test]
async fn while_the_backend_is_away_the_caller_is_told_when_to_come_back() {
    let bench = Bench::open();
    bench.backend.close().await;
    for (method, path, body) in [
        (Method::GET, "/api/v1/webhooks", Value::Null),
        (Method::POST, "/api/v1/webhooks", new_webhook()),
        (Method::POST, "/api/v1/deliveries/msg_1/redeliver", Value::Null),
    ] {
        let answer = bench.call(method, path, body).await;
        assert_eq!(answer.problem(503), "store-away");
        assert_eq!(answer.header("retry-after"), "5");
    }
}
