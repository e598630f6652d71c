//! Looking at deliveries, and having them sent again.

use std::time::Duration;

use dockbell_backends::Store as _;
use dockbell_backends::store::{Parked, Parking};
use dockbell_proto::clock::Clock as _;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::message::Message;
use dockbell_testkit::sample;
use serde_json::{Value, json};

use crate::bench::{Bench, each, text};

fn delivery(webhook: &str, event: &str) -> Delivery {
    sample::delivery(&WebhookId::parse(webhook).unwrap(), &sample::batch(event, "team/app", &["1.0"]))
}

/// What a deliverer gets of a delivery that somebody asked for now.
pub(crate) fn as_asked_for(bench: &Bench, delivery: &Delivery, request: u32) -> Delivery {
    Delivery { request, ordinal: 1, not_before: None, first_at: Some(bench.clock.now()), ..delivery.clone() }
}

#[tokio::test]
async fn a_delivery_is_shown_with_its_attempts() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let delivery = delivery(&webhook, "e");
    bench.record(&delivery, 500).await;
    let first_at = bench.clock.now();
    bench.record(&Delivery { ordinal: 2, ..delivery.clone() }, 204).await;
    let shown = bench.get(&format!("/api/v1/deliveries/{}", delivery.id)).await.json();
    let attempt = |ordinal: u32, at: jiff::Timestamp| {
        json!({
            "request": 0, "ordinal": ordinal, "at": at, "took_ms": 34, "reason": null, "retry_at": null, "excerpt": "an answer",
            "outcome": "accepted", "status": 204, "verdict": "delivered", "verdict_reason": null,
        })
    };
    let mut refused = attempt(1, first_at);
    refused["outcome"] = json!("refused");
    refused["status"] = json!(500);
    refused["verdict"] = json!("dead");
    refused["verdict_reason"] = json!("the receiver said no");
    let expected = json!({
        "id": delivery.id, "webhook": webhook, "state": "delivered", "registry": "hub.test", "repository": "team/app",
        "changes": [{ "tag": "1.0", "digest": sample::digest(1), "pusher": "alice", "pushed_at": sample::moment() }],
        "first_at": first_at, "last_at": bench.clock.now(), "next_at": null, "parked_because": null,
        "attempts": [refused, attempt(2, bench.clock.now())],
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn a_superseded_delivery_tells_what_took_its_place() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let (older, later) = (delivery(&webhook, "e-1"), delivery(&webhook, "e-2"));
    bench.record_superseded(&older, later.content.newest().unwrap()).await;
    bench.record(&later, 200).await;
    let shown = bench.get(&format!("/api/v1/deliveries/{}", older.id)).await.json();
    let reason = format!("a later change took its place: event e-2-1.0 of {}", sample::moment());
    let attempt = &shown["attempts"][0];
    assert_eq!((&shown["state"], &attempt["verdict"]), (&json!("superseded"), &json!("superseded")));
    assert_eq!((&attempt["outcome"], &attempt["reason"]), (&json!("superseded"), &json!("nothing was sent")));
    assert_eq!((&attempt["verdict_reason"], &attempt["retry_at"]), (&json!(reason), &Value::Null));
    let listed = bench.get("/api/v1/deliveries?state=superseded").await.json();
    assert_eq!(each(&listed["items"], "id"), [older.id.as_str()]);
    let described = bench.get("/api/v1/openapi.json").await.json();
    for (schema, member) in [("Delivery", "state"), ("Attempt", "verdict"), ("Attempt", "outcome")] {
        let words = &described["components"]["schemas"][schema]["properties"][member]["enum"];
        assert!(words.as_array().unwrap().contains(&json!("superseded")), "{schema}: {words}");
    }
}

#[tokio::test]
async fn deliveries_are_listed_newest_first_by_webhook_and_state() {
    let bench = Bench::open();
    let (first, second) = (bench.webhook_on("team/app").await, bench.webhook_on("*").await);
    let deliveries = [delivery(&first, "a"), delivery(&second, "b"), delivery(&first, "c")];
    for (delivery, status) in deliveries.iter().zip([200, 500, 410]) {
        bench.record(delivery, status).await;
    }
    let [a, b, c] = deliveries.map(|delivery| delivery.id.to_string());
    for (query, expected) in [
        ("?", vec![&c, &b, &a]),
        (&format!("?webhook={first}"), vec![&c, &a]),
        ("?state=dead", vec![&c, &b]),
        (&format!("?state=delivered&webhook={first}"), vec![&a]),
        ("?state=retrying", vec![]),
    ] {
        let page = bench.get(&format!("/api/v1/deliveries{query}")).await.json();
        assert_eq!(each(&page["items"], "id").iter().collect::<Vec<_>>(), expected, "{query}");
        assert_eq!(page["next"], Value::Null);
    }
    let page = bench.get("/api/v1/deliveries?limit=2").await.json();
    assert_eq!(each(&page["items"], "id"), [c, b]);
    assert_eq!(page["items"][0].get("attempts"), None);
    let rest = bench.get(&format!("/api/v1/deliveries?limit=2&after={}", text(&page["next"]))).await.json();
    assert_eq!((each(&rest["items"], "id"), &rest["next"]), (vec![a], &Value::Null));
}

#[tokio::test]
async fn a_redelivery_carries_the_recorded_content_and_a_number_of_its_own() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let recorded = Delivery { ordinal: 3, not_before: Some(bench.clock.now()), ..delivery(&webhook, "e") };
    bench.record(&recorded, 500).await;
    let path = format!("/api/v1/deliveries/{}/redeliver", recorded.id);
    for request in [1, 2] {
        let asked = bench.post(&path, Value::Null).await;
        assert_eq!(asked.status, 202);
        assert_eq!(asked.json(), json!({ "id": recorded.id, "request": request }));
        let received = bench.next_redelivery().await;
        assert_eq!(received.id, format!("{}/{request}/1", recorded.id));
        assert_eq!(received.header("content-type"), Some("application/json"));
        assert!(!received.maybe_repeated);
        let expected = as_asked_for(&bench, &recorded, request);
        assert_eq!(Message::decode(&received.body).unwrap(), Message::Delivery(expected));
        received.receipt.ack().await.unwrap();
    }
}

#[tokio::test]
async fn a_delivery_in_any_state_can_be_redelivered() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let [delivered, retrying, dead, superseded] = ["a", "b", "c", "d"].map(|event| delivery(&webhook, event));
    bench.record(&delivered, 200).await;
    bench.record_retrying(&retrying).await;
    bench.record(&dead, 410).await;
    bench.record_superseded(&superseded, delivered.content.newest().unwrap()).await;
    for (recorded, state) in
        [(delivered, "delivered"), (retrying, "retrying"), (dead, "dead"), (superseded, "superseded")]
    {
        let path = format!("/api/v1/deliveries/{}", recorded.id);
        assert_eq!(bench.get(&path).await.json()["state"], state);
        assert_eq!(bench.post(&format!("{path}/redeliver"), Value::Null).await.status, 202, "{state}");
        let received = bench.next_redelivery().await;
        let expected = as_asked_for(&bench, &recorded, 1);
        assert_eq!(Message::decode(&received.body).unwrap(), Message::Delivery(expected), "{state}");
        received.receipt.ack().await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_redelivered_to_a_webhook_that_is_disabled_or_removed() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let recorded = delivery(&webhook, "e");
    bench.record(&recorded, 500).await;
    let path = format!("/api/v1/deliveries/{}/redeliver", recorded.id);
    bench.patch(&format!("/api/v1/webhooks/{webhook}"), json!({ "enabled": false })).await;
    assert_eq!(bench.post(&path, Value::Null).await.problem(409), "webhook-disabled");
    bench.delete(&format!("/api/v1/webhooks/{webhook}")).await;
    assert_eq!(bench.post(&path, Value::Null).await.problem(404), "not-found");
}

#[tokio::test]
async fn a_parked_delivery_tells_why_and_until_when_it_waits() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let parked = delivery(&webhook, "e");
    let (at, until) = (bench.clock.now(), bench.clock.now() + Duration::from_mins(1));
    let reason = "its webhook is suspended".to_owned();
    let parking =
        Parking { delivery: parked.parked(until), at, until, reason: reason.clone(), limit: 10, is_held: false };
    assert!(matches!(bench.backend.park(&parking).await.unwrap(), Parked::Waits(_)));
    let listed = bench.get("/api/v1/deliveries?state=parked").await.json();
    let shown = &listed["items"][0];
    assert_eq!((&shown["id"], &shown["state"]), (&json!(parked.id), &json!("parked")));
    assert_eq!((&shown["parked_because"], &shown["next_at"]), (&json!(reason), &json!(until)));
    assert_eq!(bench.get(&format!("/api/v1/webhooks/{webhook}")).await.json()["health"]["waiting"], 1);
    for state in ["skipped", "expired"] {
        assert_eq!(bench.get(&format!("/api/v1/deliveries?state={state}")).await.json()["items"], json!([]));
    }
}
