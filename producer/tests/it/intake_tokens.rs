//! Tokens that let reports of some repositories in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use dockbell_backends::Store as _;
use dockbell_backends::bus::Queue;
use dockbell_backends::embedded::Embedded;
use dockbell_producer::intake::{Intake, router};
use dockbell_producer::tokens::Tokens;
use dockbell_proto::clock::Clock as _;
use dockbell_proto::ids::TokenId;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::token::{Permission, Scope, Token, TokenHash, mint};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::harness::House;
use super::inbox::push;

/// An intake that asks `store` for tokens.
fn intake(house: &House, store: Option<Arc<Embedded>>) -> Router {
    let tokens = store.map(|store| Tokens::new(store));
    router(Intake { tokens, ..house.intake(house.bus.clone()) })
}

/// Makes a token for these repositories and returns its text.
async fn token(house: &House, number: u8, pattern: &str, permission: Permission) -> String {
    let id = TokenId::from_random([number; 16]);
    let text = mint(&id, [number; 32]).expose().to_owned();
    let (hash, created_at) = (TokenHash::of(&text), house.clock.now());
    let patterns = BTreeSet::from([Pattern::parse(pattern).unwrap()]);
    let scope = Scope::Repositories { patterns, permissions: BTreeSet::from([permission]) };
    let expires_at = Some(created_at + Duration::from_hours(1));
    let token = Token { id, name: "ci".to_owned(), hash, scope, created_at, expires_at };
    house.bus.access().put_token(&token).await.unwrap();
    text
}

async fn send(intake: &Router, path: &str, authorization: &str, repositories: &[&str]) -> (StatusCode, Value) {
    let events: Vec<Value> =
        repositories.iter().enumerate().map(|(id, repository)| push(&id.to_string(), repository, "x")).collect();
    let request = Request::post(path).header("authorization", authorization);
    let request = request.body(Body::from(json!({ "events": events }).to_string())).unwrap();
    let answer = intake.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    (status, serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap())
}

/// Whatever way the source itself shows its secret.
#[tokio::test]
async fn a_token_is_shown_by_header_or_path() {
    let house = House::open();
    let text = token(&house, 1, "team/*", Permission::Ingest).await;
    let intake = intake(&house, Some(house.bus.clone()));
    let (by_scheme, in_path) = (format!("Bearer {text}"), format!("/ingest/path/{text}"));
    for (path, authorization) in [
        ("/ingest/registry", by_scheme.as_str()),
        ("/ingest/signed", &by_scheme),
        ("/ingest/basic", &by_scheme),
        ("/ingest/verbatim", &text),
        (&in_path, "none"),
    ] {
        let (status, answer) = send(&intake, path, authorization, &["team/app"]).await;
        assert_eq!((status.as_u16(), &answer["accepted"]), (202, &json!(1)), "{path}");
    }
    assert_eq!(house.depth(Queue::Events).await.messages, 5);
}

/// A registry repeats for ever what is refused, and what is newer waits behind it.
#[tokio::test]
async fn what_a_token_does_not_reach_is_rejected_and_the_rest_taken() {
    let house = House::open();
    let text = token(&house, 1, "team/*", Permission::Ingest).await;
    let intake = intake(&house, Some(house.bus.clone()));
    let pushed = ["team/app", "other/app", "team", "team/a/b"];
    let (status, answer) = send(&intake, "/ingest/registry", &format!("Bearer {text}"), &pushed).await;
    let problems = json!(["the token does not reach the repository"]);
    let expected = json!({ "accepted": 2, "ignored": 0, "rejected": 2, "problems": problems });
    assert_eq!((status.as_u16(), answer), (202, expected));
    assert_eq!(house.depth(Queue::Events).await.messages, 2);
}

#[tokio::test]
async fn a_token_that_does_not_let_in_is_told_why() {
    let house = House::open();
    let text = token(&house, 1, "*", Permission::Ingest).await;
    let writes = token(&house, 2, "*", Permission::Write).await;
    let unknown = mint(&TokenId::from_random([3; 16]), [3; 32]).expose().to_owned();
    let open = intake(&house, Some(house.bus.clone()));
    let forged = format!("{text}x");
    for (text, status, detail) in [
        (&writes, 403, "permits to ingest"),
        (&unknown, 401, "send the secret of the source"),
        (&forged, 401, "send the secret of the source"),
    ] {
        let (refused, answer) = send(&open, "/ingest/registry", &format!("Bearer {text}"), &["team/app"]).await;
        assert_eq!(refused.as_u16(), status, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(detail), "{answer}");
    }
    let (status, answer) =
        send(&intake(&house, None), "/ingest/registry", &format!("Bearer {text}"), &["team/app"]).await;
    assert_eq!(status.as_u16(), 401);
    assert!(answer["detail"].as_str().unwrap().contains("`redis.url` is not set"), "{answer}");
    house.clock.advance(Duration::from_hours(1));
    assert_eq!(send(&open, "/ingest/registry", &format!("Bearer {text}"), &["team/app"]).await.0.as_u16(), 401);
    assert_eq!(house.depth(Queue::Events).await.messages, 0);
}

/// The bearer comes again; whoever has the secret of the source needs no store.
#[tokio::test]
async fn a_token_waits_for_a_store_that_is_away() {
    let (house, away) = (House::open(), House::open());
    let text = token(&away, 1, "*", Permission::Ingest).await;
    let intake = intake(&house, Some(away.bus.clone()));
    away.bus.close().await;
    let (status, answer) = send(&intake, "/ingest/registry", &format!("Bearer {text}"), &["team/app"]).await;
    assert_eq!(status.as_u16(), 503, "{answer}");
    assert_eq!(send(&intake, "/ingest/registry", "Bearer canary", &["team/app"]).await.0.as_u16(), 202);
}

#[tokio::test]
async fn a_token_that_is_revoked_lets_nobody_in_after_ten_seconds() {
    let house = House::open();
    let text = token(&house, 1, "*", Permission::Ingest).await;
    let intake = intake(&house, Some(house.bus.clone()));
    let authorization = format!("Bearer {text}");
    assert_eq!(send(&intake, "/ingest/registry", &authorization, &["team/app"]).await.0.as_u16(), 202);
    assert!(house.bus.access().remove_token(&TokenId::from_random([1; 16])).await.unwrap());
    assert_eq!(
        send(&intake, "/ingest/registry", &authorization, &["team/app"]).await.0.as_u16(),
        202,
        "it is remembered"
    );
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    assert_eq!(send(&intake, "/ingest/registry", &authorization, &["team/app"]).await.0.as_u16(), 401);
}
