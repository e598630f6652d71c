//! Making, changing, removing and testing webhooks.

use std::time::Duration;

use dockbell_backends::Store as _;
use dockbell_proto::clock::Clock as _;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::message::Message;
use dockbell_proto::pattern::Pattern;
use dockbell_testkit::sample;
use serde_json::{Value, json};

use crate::bench::{Bench, each, new_webhook, text};

#[tokio::test]
async fn a_webhook_is_made_and_its_secret_shown_this_once() {
    let bench = Bench::open();
    let made = bench.post("/api/v1/webhooks", new_webhook()).await;
    assert_eq!(made.status, 201);
    let webhook = made.json();
    let path = format!("/api/v1/webhooks/{}", text(&webhook["id"]));
    assert_eq!(made.header("location"), path);
    assert_eq!(made.header("cache-control"), "no-store");
    let secret = text(&webhook["secret"]);
    let kept = bench.backend.webhook(&WebhookId::parse(&text(&webhook["id"])).unwrap()).await.unwrap().unwrap();
    assert!(secret.starts_with("whsec_"));
    assert_eq!(secret, kept.proofs.secret.current.expose());
    assert_eq!(kept.url.expose(), "https://ci.test/hooks?token=canary-url");
    assert_eq!(kept.headers["authorization"].expose(), "Bearer canary-header");

    for answer in [
        bench.get(&path).await,
        bench.get("/api/v1/webhooks").await,
        bench.get("/api/v1/webhooks?repository=team/app").await,
        bench.patch(&path, json!({ "name": "b" })).await,
    ] {
        assert_eq!(answer.status, 200);
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(!body.contains("whsec_") && !body.contains("canary"), "{body}");
    }
}

#[tokio::test]
async fn a_webhook_is_shown_masked_with_its_health() {
    let bench = Bench::open();
    let mut given = new_webhook();
    given["registry"] = json!("Hub.Test:5000");
    given["enabled"] = json!(false);
    let made = bench.post("/api/v1/webhooks", given).await.json();
    let shown = bench.get(&format!("/api/v1/webhooks/{}", text(&made["id"]))).await.json();
    let expected = json!({
        "id": made["id"], "name": "deploy", "repository": "team/app", "registry": "hub.test:5000", "filter": {}, "after": null,
        "url": "https://ci.test/hooks?token=***", "format": "dockerhub", "options": {}, "headers": { "authorization": "***" },
        "signatures": ["v1"], "authorization": null, "public_keys": [], "older_secrets_until": null, "enabled": false, "created_at": sample::moment(), "updated_at": sample::moment(),
        "disabled_reason": null, "standing": "disabled", "suspended_until": null, "policy": {},
        "tls": { "ca_certificates": null, "client_certificate": null, "client_key": null, "skip_verify": false },
        "health": {
            "consecutive_failures": 0, "failing_since": null, "succeeded_at": null, "waiting": 0, "skipped": 0,
        },
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn a_webhook_shows_its_failures() {
    let bench = Bench::open();
    let id = bench.webhook_on("team/app").await;
    let delivery = sample::delivery(&WebhookId::parse(&id).unwrap(), &sample::batch("e", "team/app", &["1"]));
    bench.record(&delivery, 500).await;
    let health = bench.get(&format!("/api/v1/webhooks/{id}")).await.json()["health"].clone();
    assert_eq!(health["consecutive_failures"], 1);
    assert_eq!(health["failing_since"], json!(bench.clock.now()));
}

#[tokio::test]
async fn a_webhook_changes_by_merge_patch() {
    let bench = Bench::open();
    let mut given = new_webhook();
    given["registry"] = json!("hub.test");
    let id = text(&bench.post("/api/v1/webhooks", given).await.json()["id"]);
    let path = format!("/api/v1/webhooks/{id}");
    bench.clock.advance(Duration::from_mins(1));

    let changed = bench.patch(&path, json!({ "registry": null, "headers": { "x-new": "1" }, "enabled": false })).await;
    assert_eq!(changed.status, 200);
    let changed = changed.json();
    assert_eq!(changed["registry"], Value::Null);
    assert_eq!(changed["headers"], json!({ "authorization": "***", "x-new": "***" }));
    assert_eq!((&changed["enabled"], &changed["name"]), (&json!(false), &json!("deploy")));
    assert_eq!(changed["updated_at"], json!(bench.clock.now()));
    assert_eq!(changed["created_at"], json!(sample::moment()));

    let all = json!({
        "name": "b", "repository": "*", "url": "https://b.test/", "format": "batch", "registry": "b.test", "headers": null,
        "enabled": true,
    });
    let changed = bench.patch(&path, all.clone()).await.json();
    for member in ["name", "repository", "url", "format", "registry", "enabled"] {
        assert_eq!(changed[member], all[member], "{member}");
    }
    assert_eq!(changed["headers"], json!({}));
    assert_eq!(bench.patch(&path, json!({ "id": "wh_2" })).await.problem(422), "invalid");
    assert_eq!(bench.get(&path).await.json(), changed);
}

#[tokio::test]
async fn a_webhook_is_removed_once() {
    let bench = Bench::open();
    let path = format!("/api/v1/webhooks/{}", bench.webhook_on("team/app").await);
    let removed = bench.delete(&path).await;
    assert_eq!(removed.status, 204);
    assert!(removed.body.is_empty());
    assert_eq!(bench.delete(&path).await.problem(404), "not-found");
    assert_eq!(bench.get(&path).await.problem(404), "not-found");
}

#[tokio::test]
async fn webhooks_are_listed_in_pages() {
    let bench = Bench::open();
    let mut made = Vec::new();
    for repository in ["team/app", "other", "team/app", "team/*", "team/app"] {
        made.push(bench.webhook_on(repository).await);
    }
    assert_eq!(pages(&bench, "/api/v1/webhooks?limit=2").await, [&made[..2], &made[2..4], &made[4..]]);
    let on_app = [made[0].clone(), made[2].clone(), made[4].clone()];
    let path = "/api/v1/webhooks?limit=2&repository=team%2Fapp";
    assert_eq!(pages(&bench, path).await, [&on_app[..2], &on_app[2..]]);
    assert_eq!(pages(&bench, "/api/v1/webhooks?repository=team/*").await, [&made[3..4]]);
    assert_eq!(pages(&bench, "/api/v1/webhooks?repository=none").await, [&[] as &[String]]);
}

async fn pages(bench: &Bench, path: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = path.to_owned();
    loop {
        let page = bench.get(&next).await.json();
        pages.push(each(&page["items"], "id"));
        match &page["next"] {
            Value::Null => return pages,
            after => next = format!("{path}&after={}", text(after)),
        }
    }
}

#[tokio::test]
async fn one_pattern_has_at_most_a_hundred_webhooks() {
    let bench = Bench::open();
    for number in 0..100 {
        let webhook = sample::webhook(number, "team/app", dockbell_proto::webhook::Format::Batch, "https://ci.test/");
        bench.backend.put_webhook(&webhook).await.unwrap();
    }
    let answer = bench.post("/api/v1/webhooks", new_webhook()).await;
    assert_eq!(answer.problem(409), "too-many-webhooks");
    assert!(text(&answer.json()["detail"]).contains("100 webhooks on team/app"));

    let path = format!("/api/v1/webhooks/{}", bench.webhook_on("team/*").await);
    assert_eq!(bench.patch(&path, json!({ "repository": "team/app" })).await.problem(409), "too-many-webhooks");
    let one_of_them = bench.backend.webhooks_on(&Pattern::parse("team/app").unwrap()).await.unwrap().remove(0).id;
    let same = bench.patch(&format!("/api/v1/webhooks/{one_of_them}"), json!({ "repository": "team/app" })).await;
    assert_eq!(same.status, 200);
}

#[tokio::test]
async fn a_test_goes_the_way_of_every_other_delivery() {
    let bench = Bench::open();
    let id = bench.webhook_on("team/*").await;
    let asked = bench.post(&format!("/api/v1/webhooks/{id}/test"), Value::Null).await;
    assert_eq!(asked.status, 202);
    let delivery_id = text(&asked.json()["delivery"]);

    let received = bench.next_redelivery().await;
    assert_eq!(received.id, format!("{delivery_id}/1/1"), "it is a request of a person");
    assert_eq!(received.header("content-type"), Some("application/json"));
    let Message::Delivery(delivery) = Message::decode(&received.body).unwrap() else { panic!("not a delivery") };
    assert_eq!((delivery.id.as_str(), delivery.webhook.as_str()), (delivery_id.as_str(), id.as_str()));
    let content = &delivery.content;
    assert_eq!((content.repository.as_str(), content.registry.as_str()), ("team/dockbell-test", "registry.example"));
    assert_eq!(content.changes[0].tag.as_str(), "dockbell-test");
    assert_eq!(content.changes[0].pusher.as_deref(), Some("dockbell"));
    received.receipt.ack().await.unwrap();
    bench.record(&delivery, 200).await;
    let push = sample::delivery(&delivery.webhook, &sample::batch("e", "team/app", &["1"]));
    bench.record(&push, 200).await;
    for (id, is_test) in [(&delivery.id, json!(true)), (&push.id, Value::Null)] {
        assert_eq!(bench.get(&format!("/api/v1/deliveries/{id}")).await.json()["is_test"], is_test, "{id}");
    }

    bench.patch(&format!("/api/v1/webhooks/{id}"), json!({ "enabled": false })).await;
    let asked = bench.post(&format!("/api/v1/webhooks/{id}/test"), Value::Null).await;
    assert_eq!(asked.problem(409), "webhook-disabled");
}
