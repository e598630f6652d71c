//! What receivers report of deliveries that they took.

use std::time::Duration;

use axum::body::Body;
use dockbell_backends::Store as _;
use dockbell_proto::callback::ticket::Ticket;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::signature::SigningSecret;
use dockbell_testkit::sample;
use http::Request;
use serde_json::{Value, json};

use crate::bench::{Answer, Bench};

async fn secret(bench: &Bench, webhook: &str) -> SigningSecret {
    let webhook = bench.backend.webhook(&WebhookId::parse(webhook).unwrap()).await.unwrap().unwrap();
    webhook.proofs.secret.current
}

fn delivery(bench: &Bench, webhook: &str) -> Delivery {
    let delivery = sample::delivery(&WebhookId::parse(webhook).unwrap(), &sample::batch("e", "team/app", &["1.0"]));
    Delivery { first_at: Some(dockbell_proto::clock::Clock::now(&*bench.clock)), ..delivery }
}

async fn path(bench: &Bench, delivery: &Delivery) -> String {
    let ticket = Ticket::of(delivery, &secret(bench, delivery.webhook.as_str()).await).expose();
    format!("/api/v1/callbacks/{}", ticket.expose())
}

/// As a receiver does, which has no token.
async fn report(bench: &Bench, path: &str, body: impl Into<Body>) -> Answer {
    bench.send(Request::post(path).body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_receiver_may_report_before_its_delivery_is_recorded_and_the_first_report_stands() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let delivery = delivery(&bench, &webhook);
    let path = path(&bench, &delivery).await;
    let members = json!({
        "state": "success", "description": "387 tests passed", "context": "CI", "target_url": "https://ci.test/387",
        "unknown": [1],
    });
    let answer = report(&bench, &path, members.to_string()).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let reported = answer.json();
    bench.record(&delivery, 200).await;
    assert_eq!(report(&bench, &path, members.to_string()).await.json(), reported, "a repetition changes nothing");
    for other in [json!({ "state": "failure" }), json!({ "state": "success" })] {
        assert_eq!(report(&bench, &path, other.to_string()).await.problem(409), "callback-conflict");
    }
    let shown = bench.get(&format!("/api/v1/deliveries/{}", delivery.id)).await.json();
    assert_eq!(shown["callbacks"], json!([reported]));
    assert_eq!((&reported["state"], &reported["request"]), (&json!("success"), &json!(0)));
    let listed = bench.get("/api/v1/deliveries").await.json();
    assert_eq!(listed["items"][0].get("callbacks"), None);
}

#[tokio::test]
async fn a_redelivery_has_a_callback_of_its_own() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let first = delivery(&bench, &webhook);
    let second = Delivery { request: 1, ..first.clone() };
    for (delivery, state) in [(&first, "failure"), (&second, "success")] {
        bench.record(delivery, 200).await;
        let answer = report(&bench, &path(&bench, delivery).await, json!({ "state": state }).to_string()).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    }
    let shown = bench.get(&format!("/api/v1/deliveries/{}", first.id)).await.json();
    let reported = |callback: &Value| (callback["request"].as_u64().unwrap(), callback["state"].clone());
    let reported: Vec<_> = shown["callbacks"].as_array().unwrap().iter().map(reported).collect();
    assert_eq!(reported, [(0, json!("failure")), (1, json!("success"))]);
}

#[tokio::test]
async fn what_was_not_sent_to_this_receiver_cannot_be_reported_about() {
    let bench = Bench::open();
    let (webhook, other) = (bench.webhook_on("team/app").await, bench.webhook_on("team/app").await);
    let delivery = delivery(&bench, &webhook);
    let good = path(&bench, &delivery).await;
    let body = || json!({ "state": "success" }).to_string();
    let forged = Ticket::of(&delivery, &secret(&bench, &other).await).expose();
    for wrong in ["nothing", forged.expose(), &format!("{}0", good.rsplit_once('/').unwrap().1)] {
        let answer = report(&bench, &format!("/api/v1/callbacks/{wrong}"), body()).await;
        assert_eq!(answer.problem(404), "not-found", "{wrong}");
    }
    bench.post(&format!("/api/v1/webhooks/{webhook}/rotate"), Value::Null).await;
    assert_eq!(report(&bench, &good, body()).await.status, 200, "the secret of before still vouches");
    bench.clock.advance(Duration::from_hours(25));
    assert_eq!(report(&bench, &good, body()).await.problem(404), "not-found", "and then no more");
    let good = path(&bench, &delivery).await;
    bench.clock.advance(Duration::from_hours(9 * 24));
    assert_eq!(report(&bench, &good, body()).await.problem(410), "callback-expired");
    bench.delete(&format!("/api/v1/webhooks/{webhook}")).await;
    assert_eq!(report(&bench, &good, body()).await.problem(404), "not-found");
}

#[tokio::test]
async fn a_report_keeps_to_its_limits() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let path = path(&bench, &delivery(&bench, &webhook)).await;
    for (members, member) in [
        (json!({}), "state"),
        (json!({ "state": "good" }), "state"),
        (json!({ "state": "success", "description": "é".repeat(256) }), "description"),
        (json!({ "state": "success", "context": 7 }), "context"),
        (json!({ "state": "success", "target_url": "javascript:alert(1)" }), "target_url"),
    ] {
        let answer = report(&bench, &path, members.to_string()).await;
        assert_eq!(answer.problem(422), "invalid");
        assert_eq!(answer.json()["errors"][0]["member"], member, "{:?}", answer.body);
    }
    assert_eq!(report(&bench, &path, "[]").await.problem(400), "malformed");
    assert_eq!(report(&bench, &path, " ".repeat(dockbell_console::BODY_LIMIT + 1)).await.problem(413), "too-large");
    let longest =
        json!({ "state": "error", "description": "é".repeat(255), "context": "é".repeat(100), "target_url": "" });
    assert_eq!(report(&bench, &path, longest.to_string()).await.status, 200);
}
