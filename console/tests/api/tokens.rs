//! Making tokens, looking at them, revoking them.

use std::time::Duration;

use dockbell_backends::Store as _;
use dockbell_backends::store::access::EXPIRED_TOKENS_KEPT;
use dockbell_proto::clock::Clock as _;
use dockbell_proto::ids::TokenId;
use dockbell_proto::token::TokenHash;
use http::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, each, text};

fn wanted() -> Value {
    json!({ "name": "owner of team/app", "repositories": ["team/app", "team/lib/*"], "permissions": ["write", "ingest"] })
}

#[tokio::test]
async fn a_token_is_shown_once_and_kept_as_its_hash() {
    let bench = Bench::open();
    let answer = bench.post("/api/v1/tokens", wanted()).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let mut made = answer.json();
    let token = text(&made["token"]);
    let id = text(&made["id"]);
    assert_eq!(answer.header("location"), format!("/api/v1/tokens/{id}"));
    assert!(token.starts_with(&format!("dbt_{}_", id.trim_start_matches("tk_"))), "{token}");
    made.as_object_mut().unwrap().remove("token");
    let expected = json!({
        "id": id, "name": "owner of team/app", "operator": false, "repositories": ["team/app", "team/lib/*"],
        "permissions": ["write", "ingest"], "created_at": bench.clock.now(), "expires_at": null, "expired": false,
    });
    assert_eq!(made, expected);
    assert_eq!(bench.get(&format!("/api/v1/tokens/{id}")).await.json(), expected);
    assert_eq!(bench.get("/api/v1/tokens").await.json()["items"], json!([expected]));
    let kept = bench.backend.access().token(&TokenId::parse(&id).unwrap()).await.unwrap().unwrap();
    assert_eq!(kept.hash, TokenHash::of(&token));
    assert!(!serde_json::to_string(&kept).unwrap().contains(token.rsplit_once('_').unwrap().1));
}

#[tokio::test]
async fn a_token_that_says_too_little_or_too_much_is_refused() {
    let bench = Bench::open();
    let without = |name: &str| {
        let mut wanted = wanted();
        wanted.as_object_mut().unwrap().remove(name);
        wanted
    };
    let with = |name: &str, value: Value| {
        let mut wanted = wanted();
        wanted[name] = value;
        wanted
    };
    let now = bench.clock.now();
    for (body, wrong) in [
        (without("name"), vec!["name"]),
        (without("repositories"), vec!["repositories"]),
        (without("permissions"), vec!["permissions"]),
        (with("repositories", json!([])), vec!["repositories"]),
        (with("repositories", json!("team/app")), vec!["repositories"]),
        (with("repositories", json!(["team/**"])), vec!["repositories"]),
        (with("repositories", json!(vec!["a"; 21])), vec!["repositories"]),
        (with("permissions", json!(["admin"])), vec!["permissions"]),
        (with("permissions", json!([7])), vec!["permissions"]),
        (with("operator", json!("yes")), vec!["operator"]),
        (with("operator", json!(true)), vec!["permissions", "repositories"]),
        (with("expires_at", json!(now)), vec!["expires_at"]),
        (with("expires_at", json!("soon")), vec!["expires_at"]),
        (with("tokens", json!(1)), vec!["tokens"]),
        (json!({ "repositories": 1, "permissions": 2 }), vec!["name", "permissions", "repositories"]),
    ] {
        let answer = bench.post("/api/v1/tokens", body.clone()).await;
        assert_eq!(answer.problem(422), "invalid", "{body}");
        let mut named = each(&answer.json()["errors"], "member");
        named.sort();
        assert_eq!(named, wrong, "{body}");
    }
    assert_eq!(bench.get("/api/v1/tokens").await.json()["items"], json!([]));
}

#[tokio::test]
async fn an_operators_token_reaches_everything_until_it_expires() {
    let bench = Bench::open();
    let ends = bench.clock.now() + Duration::from_hours(1);
    let token = bench.token(json!({ "name": "second", "operator": true, "expires_at": ends })).await;
    let webhook = bench.webhook_on("*").await;
    let path = format!("/api/v1/webhooks/{webhook}");
    assert_eq!(bench.call_as(&token, Method::GET, &path, Value::Null).await.status, 200);
    assert_eq!(bench.call_as(&token, Method::GET, "/api/v1/tokens", Value::Null).await.status, 200);
    bench.clock.advance(Duration::from_hours(1));
    assert_eq!(bench.call_as(&token, Method::GET, &path, Value::Null).await.problem(401), "unauthorized");
    let listed = bench.get("/api/v1/tokens").await.json()["items"][0].clone();
    assert_eq!((&listed["operator"], &listed["expired"]), (&json!(true), &json!(true)));
    bench.clock.advance(EXPIRED_TOKENS_KEPT);
    assert_eq!(bench.get("/api/v1/tokens").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_token_is_known_by_its_whole_text_until_it_is_revoked() {
    let bench = Bench::open();
    let token = bench.token_for("*", &["read"]).await;
    let id = text(&bench.get("/api/v1/tokens").await.json()["items"][0]["id"]);
    let asks =
        async |token: &str| bench.call_as(token, Method::GET, "/api/v1/webhooks", Value::Null).await.status.as_u16();
    assert_eq!(asks(&token).await, 200);
    let mut cut = token.clone();
    cut.pop();
    for other in
        [&cut, &format!("{token}x"), &token.to_uppercase(), "dbt_", &format!("dbt_{}_", id.trim_start_matches("tk_"))]
    {
        assert_eq!(asks(other).await, 401, "{other}");
    }
    // Its hash is not what is presented.
    assert_eq!(asks(&TokenHash::of(&token).to_string()).await, 401);
    assert_eq!(bench.delete(&format!("/api/v1/tokens/{id}")).await.status, 204);
    assert_eq!(asks(&token).await, 401);
    assert_eq!(bench.delete(&format!("/api/v1/tokens/{id}")).await.problem(404), "not-found");
    assert_eq!(bench.get(&format!("/api/v1/tokens/{id}")).await.problem(404), "not-found");
}
