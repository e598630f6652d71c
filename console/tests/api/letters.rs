//! Looking at what was given up, and deciding about it.

use dockbell_backends::Bus as _;
use dockbell_backends::bus::{Outgoing, Queue};
use dockbell_proto::clock::Clock as _;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::message::Message;
use dockbell_testkit::sample;
use serde_json::{Value, json};

use crate::bench::{Bench, each, text};
use crate::deliveries::as_asked_for;

fn delivery(webhook: &str, event: &str) -> Delivery {
    sample::delivery(&WebhookId::parse(webhook).unwrap(), &sample::batch(event, "team/app", &["1.0"]))
}

fn poison() -> Outgoing {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    Outgoing { id: "p".to_owned(), key: "k".to_owned(), headers, body: "no JSON".into(), maybe_repeated: false }
}

async fn positions(bench: &Bench, query: &str) -> Vec<u64> {
    let page = bench.get(&format!("/api/v1/dead-letters{query}")).await.json();
    assert_eq!(page["next"], Value::Null, "{query}");
    page["items"].as_array().unwrap().iter().map(|letter| letter["position"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_dead_letter_is_shown_with_its_reason_its_body_and_the_last_answer() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let owed = delivery(&webhook, "e");
    bench.record(&owed, 500).await;
    let position = bench.bury(&owed, "the receiver said no").await;
    let listed = bench.get("/api/v1/dead-letters").await.json()["items"][0].clone();
    let expected = json!({
        "position": position, "at": bench.clock.now(), "queue": "redeliveries", "reason": "the receiver said no",
        "message": format!("{}/0/1", owed.id), "delivery": owed.id, "webhook": webhook, "registry": "hub.test",
        "repository": "team/app", "tags": ["1.0"], "mark": null, "marked_at": null,
    });
    assert_eq!(listed, expected);
    let shown = bench.get(&format!("/api/v1/dead-letters/{position}")).await.json();
    assert_eq!(shown["headers"], json!({ "content-type": "application/json" }));
    let message = Message::Delivery(owed.clone());
    assert_eq!(text(&shown["body"]).as_bytes(), message.encode());
    assert_eq!(
        (&shown["last_attempt"]["status"], &shown["last_attempt"]["excerpt"]),
        (&json!(500), &json!("an answer"))
    );
    for nothing in ["0", "2", "7", "-1", "x", "18446744073709551616"] {
        assert_eq!(bench.get(&format!("/api/v1/dead-letters/{nothing}")).await.problem(404), "not-found", "{nothing}");
    }
}

#[tokio::test]
async fn dead_letters_are_listed_by_webhook_delivery_queue_time_and_mark() {
    let bench = Bench::open();
    let (first, second) = (bench.webhook_on("team/app").await, bench.webhook_on("*").await);
    let a = bench.bury(&delivery(&first, "a"), "gone").await;
    let b = bench.bury(&delivery(&second, "b"), "gone").await;
    let between = bench.clock.now();
    let c = bench.bury(&delivery(&first, "c"), "gone").await;
    let d = bench.bury_message(Queue::Events, poison(), "not JSON").await;
    assert_eq!(bench.post(&format!("/api/v1/dead-letters/{c}/discard"), Value::Null).await.status, 204);
    let c_id = delivery(&first, "c").id;
    for (query, expected) in [
        ("", vec![a, b, d]),
        (&format!("?webhook={first}"), vec![a]),
        (&format!("?webhook={first}&mark=any"), vec![a, c]),
        (&format!("?delivery={c_id}&mark=discarded"), vec![c]),
        ("?mark=revived", vec![]),
        ("?queue=events", vec![d]),
        (&format!("?until={between}"), vec![a, b]),
        (&format!("?since={between}&mark=any"), vec![b, c, d]),
        (&format!("?after={a}&limit=100"), vec![b, d]),
    ] {
        assert_eq!(positions(&bench, query).await, expected, "{query}");
    }
    let page = bench.get("/api/v1/dead-letters?limit=2").await.json();
    assert_eq!(each(&page["items"], "reason"), ["gone", "gone"]);
    assert_eq!(positions(&bench, &format!("?limit=2&after={}", text(&page["next"]))).await, [d]);
    for wrong in ["?since=yesterday", "?queue=dead", "?mark=x", "?after=x", "?webhook=7", "?delivery=7", "?other=1"] {
        assert_eq!(bench.get(&format!("/api/v1/dead-letters{wrong}")).await.problem(422), "invalid", "{wrong}");
    }
}

#[tokio::test]
async fn a_revived_delivery_is_a_redelivery_with_a_number_of_its_own() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let (recorded, forgotten) = (delivery(&webhook, "a"), delivery(&webhook, "b"));
    bench.record(&recorded, 500).await;
    let second = u32::try_from(bench.clock.now().as_second()).unwrap();
    for (owed, request) in [(&recorded, 1), (&forgotten, second)] {
        let tired = Delivery { ordinal: 10, not_before: Some(bench.clock.now()), ..owed.clone() };
        let position = bench.bury(&tired, "gone").await;
        let asked = bench.post(&format!("/api/v1/dead-letters/{position}/revive"), Value::Null).await;
        assert_eq!(asked.status, 202);
        assert_eq!(asked.json(), json!({ "position": position, "delivery": owed.id, "request": request }));
        let received = bench.next_redelivery().await;
        let expected = as_asked_for(&bench, owed, request);
        assert_eq!(Message::decode(&received.body).unwrap(), Message::Delivery(expected));
        received.receipt.ack().await.unwrap();
        let shown = bench.get(&format!("/api/v1/dead-letters/{position}")).await.json();
        assert_eq!((&shown["mark"], &shown["marked_at"]), (&json!("revived"), &json!(bench.clock.now())));
    }
    assert_eq!(positions(&bench, "").await, Vec::<u64>::new());
}

#[tokio::test]
async fn what_cannot_be_read_is_revived_unchanged() {
    let bench = Bench::open();
    let position = bench.bury_message(Queue::Redeliveries, poison(), "not JSON").await;
    let asked = bench.post(&format!("/api/v1/dead-letters/{position}/revive"), Value::Null).await;
    assert_eq!(asked.json(), json!({ "position": position, "delivery": null, "request": null }));
    let received = bench.next_redelivery().await;
    assert_eq!((received.id.as_str(), &received.body[..], received.maybe_repeated), ("p", &b"no JSON"[..], true));
    assert_eq!(received.headers, poison().headers);
}

#[tokio::test]
async fn dead_letters_are_revived_by_webhook_each_delivery_once() {
    let bench = Bench::open();
    let (first, second) = (bench.webhook_on("team/app").await, bench.webhook_on("*").await);
    let (a, b) = (delivery(&first, "a"), delivery(&first, "b"));
    for owed in [&a, &b, &Delivery { request: 1, ..a.clone() }, &delivery(&second, "c")] {
        bench.bury(owed, "gone").await;
    }
    let decided = bench.post(&format!("/api/v1/dead-letters/revive?webhook={first}"), Value::Null).await;
    assert_eq!(decided.status, 202);
    assert_eq!(decided.json(), json!({ "done": 3, "skipped": 0, "until": bench.clock.now(), "next": null }));
    assert_eq!(bench.backend.depth(Queue::Redeliveries).await.unwrap().messages, 2, "one of each delivery");
    assert_eq!(positions(&bench, "").await, [4]);
    let again = bench.post(&format!("/api/v1/dead-letters/revive?webhook={first}"), Value::Null).await.json();
    assert_eq!(again["done"], 0, "what carries a mark is left alone");
}

#[tokio::test]
async fn what_is_given_up_after_the_first_call_is_not_decided_about() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    for number in 0..101 {
        bench.bury(&delivery(&webhook, &format!("e{number}")), "gone").await;
    }
    let first = bench.post("/api/v1/dead-letters/discard?all=true", Value::Null).await.json();
    assert_eq!(first["done"], 100);
    bench.bury(&delivery(&webhook, "late"), "gone").await;
    let (until, after) = (text(&first["until"]), text(&first["next"]));
    let path = format!("/api/v1/dead-letters/discard?all=true&until={until}&after={after}");
    let second = bench.post(&path, Value::Null).await.json();
    assert_eq!((&second["done"], &second["next"]), (&json!(1), &Value::Null));
    assert_eq!(positions(&bench, "").await, [102]);
    for wrong in ["discard", "revive", "revive?after=1", "revive?all=false", "discard?all=yes", "discard?mark=any"] {
        let answer = bench.post(&format!("/api/v1/dead-letters/{wrong}"), Value::Null).await;
        assert_eq!(answer.problem(422), "invalid", "{wrong}");
    }
}

#[tokio::test]
async fn nothing_is_revived_for_a_webhook_that_is_disabled_or_removed() {
    let bench = Bench::open();
    let (disabled, removed) = (bench.webhook_on("team/app").await, bench.webhook_on("*").await);
    bench.patch(&format!("/api/v1/webhooks/{disabled}"), json!({ "enabled": false })).await;
    let first = bench.bury(&delivery(&disabled, "a"), "gone").await;
    let second = bench.bury(&delivery(&removed, "b"), "gone").await;
    bench.delete(&format!("/api/v1/webhooks/{removed}")).await;
    for (position, kind) in [(first, "webhook-disabled"), (second, "webhook-gone")] {
        let answer = bench.post(&format!("/api/v1/dead-letters/{position}/revive"), Value::Null).await;
        assert_eq!(answer.problem(409), kind);
    }
    let decided = bench.post("/api/v1/dead-letters/revive?all=true", Value::Null).await.json();
    assert_eq!((&decided["done"], &decided["skipped"]), (&json!(0), &json!(2)));
    assert_eq!(positions(&bench, "").await, [first, second], "they stay, to be revived later");
    assert_eq!(bench.backend.depth(Queue::Redeliveries).await.unwrap().messages, 0);
}

#[tokio::test]
async fn there_are_no_strays_where_nobody_else_publishes() {
    let bench = Bench::open();
    assert_eq!(bench.get("/api/v1/unrouted?limit=5").await.json(), json!({ "items": [], "next": null }));
    assert_eq!(bench.post("/api/v1/unrouted/replay", Value::Null).await.json(), json!({ "replayed": 0 }));
    assert_eq!(bench.get("/api/v1/unrouted?limit=0").await.problem(422), "invalid");
    assert_eq!(bench.post("/api/v1/unrouted/replay?after=1", Value::Null).await.problem(422), "invalid");
}
