//! The audit trail.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::task::Poll;

use axum::body::Body;
use dockbell_chassis::limits::ClientAddress;
use dockbell_proto::clock::Clock as _;
use dockbell_testkit::{sample, wait};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::bench::{Bench, TOKEN, each, new_webhook, text};

async fn trail(bench: &Bench) -> Vec<Value> {
    bench.get("/api/v1/audit").await.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_trail_says_who_changed_what_and_never_to_what() {
    let bench = Bench::open();
    let token = bench.token_for("team/*", &["write"]).await;
    let token_id = text(&bench.get("/api/v1/tokens").await.json()["items"][0]["id"]);
    let webhook = text(&bench.call_as(&token, Method::POST, "/api/v1/webhooks", new_webhook()).await.json()["id"]);
    let path = format!("/api/v1/webhooks/{webhook}");
    let change = json!({ "url": "https://ci.test/canary-path?token=canary-new", "name": "canary-name" });
    assert_eq!(bench.patch(&path, change).await.status, 200);
    assert_eq!(bench.call_as(&token, Method::DELETE, &path, Value::Null).await.status, 204);
    let trail = trail(&bench).await;
    assert!(!json!(trail).to_string().contains("canary"), "{trail:?}");
    let told: Vec<Value> = trail
        .iter()
        .map(|change| {
            json!([change["action"], change["token"], change["subject"], change["repository"], change["members"]])
        })
        .collect();
    let expected = [
        json!(["remove_webhook", token_id, webhook, "team/app", []]),
        json!(["change_webhook", null, webhook, "team/app", ["name", "url"]]),
        json!(["create_webhook", token_id, webhook, "team/app", ["format", "headers", "name", "repository", "url"]]),
        json!(["create_token", null, token_id, null, ["name", "permissions", "repositories"]]),
    ];
    assert_eq!(told, expected);
    assert_eq!(trail[0]["token_name"], "owner");
    assert_eq!(trail[0]["at"], json!(bench.clock.now()));
}

#[tokio::test]
async fn what_is_refused_or_only_looked_at_leaves_no_trace() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let path = format!("/api/v1/webhooks/{webhook}");
    let before = trail(&bench).await.len();
    assert_eq!(bench.get(&path).await.status, 200);
    assert_eq!(bench.patch(&path, json!({ "name": "" })).await.status, 422);
    assert_eq!(bench.delete("/api/v1/webhooks/wh_none").await.status, 404);
    assert_eq!(bench.call_as("another", Method::DELETE, &path, Value::Null).await.status, 401);
    assert_eq!(trail(&bench).await.len(), before);
    let delivery = sample::delivery(
        &dockbell_proto::ids::WebhookId::parse(&webhook).unwrap(),
        &sample::batch("e", "team/app", &["1"]),
    );
    bench.record(&delivery, 500).await;
    assert_eq!(bench.post(&format!("/api/v1/deliveries/{}/redeliver", delivery.id), Value::Null).await.status, 202);
    let last = trail(&bench).await.remove(0);
    assert_eq!((&last["action"], &last["subject"]), (&json!("redeliver"), &json!(delivery.id)));
    assert_eq!(last["repository"], "team/app");
}

#[tokio::test]
async fn the_trail_names_the_address_of_the_caller() {
    let bench = Bench::open();
    let mut request = Request::post("/api/v1/webhooks")
        .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(new_webhook().to_string()))
        .unwrap();
    request.extensions_mut().insert(ClientAddress(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))));
    assert_eq!(bench.send(request).await.status, 201);
    assert_eq!(trail(&bench).await[0]["address"], "192.0.2.7");
    bench.webhook_on("team/app").await;
    assert_eq!(trail(&bench).await[0]["address"], Value::Null);
}

#[tokio::test]
async fn the_trail_is_read_in_pages() {
    let bench = Bench::open();
    for _ in 0..5 {
        bench.webhook_on("team/app").await;
    }
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = bench.get(&format!("/api/v1/audit?limit=2{after}")).await.json();
        found.extend(each(&page["items"], "id"));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(found, each(&json!(trail(&bench).await), "id"));
    assert_eq!(found.len(), 5);
    assert_eq!(bench.get("/api/v1/audit?limit=0").await.problem(422), "invalid");
}

/// Who could change something without a trace would hang up.
#[tokio::test]
async fn a_change_is_kept_although_its_caller_hangs_up() {
    let bench = Bench::open();
    let webhook = bench.webhook_on("team/app").await;
    let path = format!("/api/v1/webhooks/{webhook}");
    {
        let mut removing = pin!(bench.delete(&path));
        let asked = poll_fn(|context| Poll::Ready(removing.as_mut().poll(context)));
        assert!(asked.await.is_pending(), "it is under way");
    }
    let kept = async || trail(&bench).await.first().filter(|change| change["action"] == "remove_webhook").cloned();
    let change = wait::until("the change to be kept", kept).await;
    assert_eq!(change["subject"], webhook);
    assert_eq!(bench.get(&path).await.status, 404);
}
