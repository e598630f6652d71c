//! Replaying and discarding what a webhook missed while it was disabled.

use std::time::Duration;

use dockbell_backends::Bus as _;
use dockbell_backends::bus::Queue;
use dockbell_proto::clock::Clock as _;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::message::Message;
use dockbell_testkit::{sample, wait};
use serde_json::{Value, json};

use crate::bench::Bench;

fn delivery(webhook: &str, event: &str, tag: &str) -> Delivery {
    sample::delivery(&WebhookId::parse(webhook).unwrap(), &sample::batch(event, "team/app", &[tag]))
}

async fn skipped(bench: &Bench, webhook: &str) -> Value {
    bench.get(&format!("/api/v1/webhooks/{webhook}")).await.json()["health"]["skipped"].clone()
}

async fn depth(bench: &Bench) -> u64 {
    bench.backend.depth(Queue::Redeliveries).await.unwrap().messages
}

#[tokio::test]
async fn the_newest_change_of_each_tag_is_replayed_oldest_first_unless_it_was_overtaken() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let [old, new, other, overtaken, later] =
        [("e-1", "1.0"), ("e-3", "1.0"), ("e-2", "2.0"), ("e-4", "3.0"), ("e-5", "3.0")]
            .map(|(event, tag)| delivery(&webhook, event, tag));
    for missed in [&new, &old, &other, &overtaken] {
        bench.record_skipped(missed).await;
    }
    bench.record(&later, 200).await;
    assert_eq!(skipped(&bench, &webhook).await, 4);
    let path = format!("/api/v1/webhooks/{webhook}/replay");
    let replayed = bench.post(&path, json!({})).await;
    assert_eq!(replayed.status, 200);
    assert_eq!(replayed.json(), json!({ "replayed": 2, "overtaken": 2, "left_out": 0, "lost": 0 }));
    for expected in [&other, &new] {
        let received = bench.next_redelivery().await;
        let Message::Delivery(sent) = Message::decode(&received.body).unwrap() else { panic!("not a delivery") };
        assert_eq!((&sent.id, sent.request, sent.ordinal), (&expected.id, 1, 1));
        assert_eq!(sent.first_at, Some(bench.clock.now()));
        received.receipt.ack().await.unwrap();
    }
    wait::until("nothing more to be sent", async || (depth(&bench).await == 0).then_some(())).await;
    assert_eq!(skipped(&bench, &webhook).await, 0);
}

#[tokio::test]
async fn what_was_skipped_at_other_times_is_left_out() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    bench.record_skipped(&delivery(&webhook, "e-1", "1.0")).await;
    bench.clock.advance(Duration::from_mins(1));
    let since = bench.clock.now();
    bench.record_skipped(&delivery(&webhook, "e-2", "2.0")).await;
    bench.clock.advance(Duration::from_mins(1));
    let until = bench.clock.now();
    bench.record_skipped(&delivery(&webhook, "e-3", "3.0")).await;
    let path = format!("/api/v1/webhooks/{webhook}/replay");
    assert_eq!(bench.post(&path, json!({ "since": "noon" })).await.problem(422), "invalid");
    let replayed = bench.post(&path, json!({ "since": since, "until": until })).await.json();
    assert_eq!(replayed, json!({ "replayed": 1, "overtaken": 0, "left_out": 2, "lost": 0 }));
    assert_eq!(depth(&bench).await, 1);
}

#[tokio::test]
async fn what_the_history_does_not_hold_any_more_is_counted_as_lost() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    for number in 0..53 {
        bench.record_skipped(&delivery(&webhook, &format!("e-{number}"), &format!("t{number}"))).await;
    }
    let replayed = bench.post(&format!("/api/v1/webhooks/{webhook}/replay"), json!({})).await.json();
    assert_eq!(replayed, json!({ "replayed": 50, "overtaken": 0, "left_out": 0, "lost": 3 }));
    assert_eq!(depth(&bench).await, 50);
}

#[tokio::test]
async fn nothing_is_replayed_to_a_webhook_that_is_disabled() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    bench.record_skipped(&delivery(&webhook, "e-1", "1.0")).await;
    bench.patch(&format!("/api/v1/webhooks/{webhook}"), json!({ "enabled": false })).await;
    let path = format!("/api/v1/webhooks/{webhook}/replay");
    assert_eq!(bench.post(&path, json!({})).await.problem(409), "webhook-disabled");
    assert_eq!((depth(&bench).await, skipped(&bench, &webhook).await), (0, json!(1)));
}

#[tokio::test]
async fn what_is_discarded_is_not_sent_and_does_not_count_any_more() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    bench.record_skipped(&delivery(&webhook, "e-1", "1.0")).await;
    let discarded = bench.post(&format!("/api/v1/webhooks/{webhook}/discard-skipped"), Value::Null).await.json();
    assert_eq!(discarded, json!({ "discarded": 1 }));
    assert_eq!((depth(&bench).await, skipped(&bench, &webhook).await), (0, json!(0)));
    assert_eq!(bench.get("/api/v1/deliveries?state=skipped").await.json()["items"].as_array().unwrap().len(), 1);
}
