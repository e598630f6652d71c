//! How a webhook proves where its deliveries come from, and how that changes.

use std::time::Duration;

use axum::body::Body;
use dockbell_backends::Store as _;
use dockbell_proto::clock::Clock as _;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::signature::SigningSecret;
use dockbell_proto::webhook::Webhook;
use http::Request;
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, new_webhook, text};

const DAY: Duration = Duration::from_hours(24);

async fn made(bench: &Bench, members: Value) -> (String, Value) {
    let mut given = new_webhook();
    given["headers"] = json!({});
    given.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let made = bench.post("/api/v1/webhooks", given).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let made = made.json();
    (format!("/api/v1/webhooks/{}", text(&made["id"])), made)
}

async fn kept(bench: &Bench, webhook: &Value) -> Webhook {
    bench.backend.webhook(&WebhookId::parse(&text(&webhook["id"])).unwrap()).await.unwrap().unwrap()
}

/// What a stranger reads of the public keys.
async fn public_keys(bench: &Bench, webhook: &Value) -> Answer {
    let path = format!("/.well-known/webhook-keys/{}", text(&webhook["id"]));
    bench.send(Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn what_proves_a_delivery_is_shown_without_its_secrets() {
    let bench = Bench::open();
    let authorization = json!({ "kind": "basic", "user": "alice", "password": "canary" });
    let all = json!(["x-signature", "v1a", "v1", "x-hub-signature-256"]);
    let (path, webhook) = made(&bench, json!({ "signatures": all, "authorization": authorization })).await;
    let kept = kept(&bench, &webhook).await;
    let shown = bench.get(&path).await.json();
    assert_eq!(shown["signatures"], json!(["v1", "x-hub-signature-256", "x-signature", "v1a"]));
    assert_eq!(shown["authorization"], json!({ "kind": "basic", "user": "alice", "password": "***" }));
    let key = &kept.proofs.key.as_ref().unwrap().current;
    assert_eq!(shown["public_keys"], json!([key.public().to_string()]));
    for secret in ["canary".to_owned(), key.expose(), kept.proofs.secret.current.expose()] {
        assert!(!shown.to_string().contains(&secret));
    }
    let changed = bench.patch(&path, json!({ "authorization": null, "signatures": ["v1"] })).await.json();
    assert_eq!((&changed["authorization"], &changed["signatures"]), (&json!(null), &json!(["v1"])));
    assert_eq!(changed["public_keys"], json!([]));
}

#[tokio::test]
async fn a_rotated_secret_is_shown_once_and_the_old_one_ends_after_a_day() {
    let bench = Bench::open();
    let (path, webhook) = made(&bench, json!({ "signatures": ["v1", "v1a"] })).await;
    let before = kept(&bench, &webhook).await.proofs;
    bench.clock.advance(Duration::from_mins(1));
    let rotated = bench.post(&format!("{path}/rotate"), Value::Null).await;
    assert_eq!(rotated.status, 200);
    let (rotated, now) = (rotated.json(), bench.clock.now());
    let after = kept(&bench, &webhook).await.proofs;
    assert_eq!(rotated["secret"], json!(after.secret.current.expose()));
    assert_ne!(rotated["secret"], webhook["secret"]);
    assert_eq!(rotated["older_secrets_until"], json!(now + DAY));
    let public = |proofs: &dockbell_proto::proof::Proofs| proofs.key.as_ref().unwrap().current.public().to_string();
    let both = json!([public(&after), public(&before)]);
    assert_eq!(rotated["public_keys"], both);
    assert_eq!(public_keys(&bench, &webhook).await.json(), json!({ "keys": both }));
    let shown = bench.get(&path).await.json();
    assert!(shown["secret"].is_null() && !shown.to_string().contains("whsec_"), "{shown}");

    bench.clock.advance(DAY.checked_sub(Duration::from_secs(1)).unwrap());
    assert_eq!(bench.get(&path).await.json()["older_secrets_until"], json!(now + DAY));
    bench.clock.advance(Duration::from_secs(1));
    let shown = bench.get(&path).await.json();
    assert_eq!((&shown["older_secrets_until"], &shown["public_keys"]), (&json!(null), &json!([public(&after)])));
}

#[tokio::test]
async fn secrets_of_before_are_few_and_none_is_lost_by_asking_again() {
    let bench = Bench::open();
    let (path, webhook) = made(&bench, json!({})).await;
    for _ in 0..3 {
        assert_eq!(bench.post(&format!("{path}/rotate"), Value::Null).await.status, 200);
        bench.clock.advance(Duration::from_hours(1));
    }
    let refused = bench.post(&format!("{path}/rotate"), Value::Null).await;
    assert_eq!(refused.problem(409), "too-many-secrets");
    assert!(text(&refused.json()["detail"]).contains("the next of them ends at 20"), "{}", refused.json());
    let signing = kept(&bench, &webhook).await.proofs;
    let secrets: Vec<String> = signing.secret.signing(bench.clock.now()).map(SigningSecret::expose).collect();
    assert_eq!((secrets.len(), json!(secrets.last())), (4, webhook["secret"].clone()));
    bench.clock.advance(Duration::from_hours(21));
    assert_eq!(bench.post(&format!("{path}/rotate"), Value::Null).await.status, 200);
    assert_eq!(
        bench.post("/api/v1/webhooks/wh_000000000000000000000001/rotate", Value::Null).await.problem(404),
        "not-found"
    );
}

#[tokio::test]
async fn public_keys_are_there_for_everybody_and_nothing_else_is() {
    let bench = Bench::open();
    let (path, webhook) = made(&bench, json!({})).await;
    assert_eq!(public_keys(&bench, &webhook).await.problem(404), "not-found");
    bench.patch(&path, json!({ "signatures": ["v1a"] })).await;
    let key = kept(&bench, &webhook).await.proofs.key.unwrap().current;
    assert_eq!(public_keys(&bench, &webhook).await.json(), json!({ "keys": [key.public().to_string()] }));
    for path in ["/.well-known/", "/.well-known/webhook-keys/", "/.well-known/webhook-keys/../../api/v1/webhooks"] {
        let answer = bench.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_header_that_a_proof_would_overwrite_is_refused() {
    let bench = Bench::open();
    let bearer = json!({ "kind": "bearer", "token": "canary" });
    let mut given = new_webhook();
    given["authorization"] = bearer.clone();
    let refused = bench.post("/api/v1/webhooks", given).await;
    assert_eq!(refused.problem(422), "invalid");
    let problem = text(&refused.json()["errors"][0]["problem"]);
    assert!(problem.starts_with("headers: authorization is set by what `authorization`"), "{problem}");

    let (path, _) = made(&bench, json!({ "authorization": bearer })).await;
    for change in [
        json!({ "headers": { "Authorization": "a" } }),
        json!({ "headers": { "x-signature": "a" }, "signatures": ["x-signature"] }),
    ] {
        assert_eq!(bench.patch(&path, change).await.problem(422), "invalid");
    }
    let swapped = bench.patch(&path, json!({ "headers": { "authorization": "a" }, "authorization": null })).await;
    assert_eq!(swapped.status, 200);
}
