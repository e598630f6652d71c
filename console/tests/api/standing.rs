//! How a webhook stands, and what its owner can do about it.

use std::time::Duration;

use dockbell_proto::ids::WebhookId;
use dockbell_testkit::sample;
use serde_json::{Value, json};

use crate::bench::{Bench, each, text};

async fn suspend(bench: &Bench, webhook: &str) {
    let id = WebhookId::parse(webhook).unwrap();
    for event in ["a", "b", "c", "d", "e"] {
        bench.clock.advance(Duration::from_secs(3));
        bench.record(&sample::delivery(&id, &sample::batch(event, "team/app", &["1.0"])), 500).await;
    }
}

async fn changes(bench: &Bench, path: &str) -> Value {
    bench.get(&format!("{path}/standing")).await.json()["changes"].clone()
}

#[tokio::test]
async fn a_suspended_webhook_says_until_when_and_why_and_is_tried_again_when_its_owner_asks() {
    let bench = Bench::open();
    let id = bench.webhook_on("team/app").await;
    let path = format!("/api/v1/webhooks/{id}");
    suspend(&bench, &id).await;
    let shown = bench.get(&path).await.json();
    assert_eq!((&shown["standing"], &shown["enabled"]), (&json!("suspended"), &json!(true)));
    let standing = bench.get(&format!("{path}/standing")).await.json();
    assert_eq!(standing["suspended_until"], shown["suspended_until"]);
    assert!(text(&standing["changes"][0]["reason"]).starts_with("5 attempts failed one after the other"), "{standing}");

    let resumed = bench.post(&format!("{path}/resume"), Value::Null).await;
    assert_eq!(resumed.status, 200);
    let resumed = resumed.json();
    assert_eq!((&resumed["standing"], &resumed["suspended_until"]), (&json!("healthy"), &Value::Null));
    assert_eq!(resumed["health"]["consecutive_failures"], 0);
    let told = changes(&bench, &path).await;
    assert_eq!(each(&told, "standing"), ["healthy", "suspended"]);
    assert!(text(&told[0]["reason"]).contains("its owner asked"), "{told}");
    bench.post(&format!("{path}/resume"), Value::Null).await;
    assert_eq!(changes(&bench, &path).await, told, "of a healthy webhook nothing changes");
}

#[tokio::test]
async fn switching_a_webhook_off_and_on_is_kept_and_told_and_forgets_its_failures() {
    let bench = Bench::open();
    let id = bench.webhook_on("team/app").await;
    let path = format!("/api/v1/webhooks/{id}");
    suspend(&bench, &id).await;
    for _ in 0..2 {
        let disabled = bench.patch(&path, json!({ "enabled": false })).await.json();
        assert_eq!((&disabled["standing"], &disabled["suspended_until"]), (&json!("disabled"), &Value::Null));
        assert_eq!(bench.post(&format!("{path}/resume"), Value::Null).await.problem(409), "webhook-disabled");
    }
    bench.clock.advance(Duration::from_secs(1));
    let enabled = bench.patch(&path, json!({ "enabled": true })).await.json();
    assert_eq!((&enabled["standing"], &enabled["health"]["consecutive_failures"]), (&json!("healthy"), &json!(0)));
    let told = changes(&bench, &path).await;
    assert_eq!(each(&told, "standing"), ["enabled", "disabled", "suspended"]);
    assert_eq!(each(&told, "reason")[..2], ["enabled by its owner", "disabled by its owner"]);
    let heard = bench.told();
    let kinds: Vec<&str> = heard.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["webhook.disabled", "webhook.enabled"]);
    let subject = heard[0].webhook.as_ref().unwrap();
    assert_eq!((subject.id.as_str(), subject.host.as_str()), (id.as_str(), "ci.test"));
}

#[tokio::test]
async fn of_a_webhook_that_is_not_there_nothing_is_told() {
    let bench = Bench::open();
    let path = format!("/api/v1/webhooks/{}", WebhookId::from_random([7; 16]));
    assert_eq!(bench.get(&format!("{path}/standing")).await.problem(404), "not-found");
    for action in ["resume", "discard-skipped"] {
        assert_eq!(bench.post(&format!("{path}/{action}"), Value::Null).await.problem(404), "not-found");
    }
    assert_eq!(bench.post(&format!("{path}/replay"), json!({})).await.problem(404), "not-found");
}
