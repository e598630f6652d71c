//! Who gets in.

use std::time::Duration;

use axum::body::Body;
use dockbell_console::{Needs, ROUTES, Route};
use dockbell_proto::clock::Clock as _;
use dockbell_proto::ids::WebhookId;
use dockbell_testkit::sample;
use http::header::AUTHORIZATION;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::bench::{Bench, TOKEN, each, new_webhook, text};
use crate::document::operations;

fn request(method: &Method, path: &str, authorization: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path.replace("{id}", "wh_1"));
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Body::empty()).unwrap()
}

/// Those who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Stranger,
    Impostor,
    Reader,
    Writer,
    Ingester,
    Expired,
    Revoked,
    OperatorByToken,
    Operator,
}

impl Role {
    const ALL: [Self; 9] = [
        Self::Stranger,
        Self::Impostor,
        Self::Reader,
        Self::Writer,
        Self::Ingester,
        Self::Expired,
        Self::Revoked,
        Self::OperatorByToken,
        Self::Operator,
    ];

    /// What they present; none, if nothing.
    async fn presents(self, bench: &Bench) -> Option<String> {
        match self {
            Self::Stranger => None,
            Self::Impostor => Some("another".to_owned()),
            Self::Reader => Some(bench.token_for("*", &["read"]).await),
            Self::Writer => Some(bench.token_for("*", &["write"]).await),
            Self::Ingester => Some(bench.token_for("*", &["ingest"]).await),
            Self::Expired => {
                let ends = bench.clock.now() + Duration::from_secs(1);
                let token = bench.token(json!({ "name": "was", "operator": true, "expires_at": ends })).await;
                bench.clock.advance(Duration::from_secs(1));
                Some(token)
            }
            Self::Revoked => {
                let token = bench.token(json!({ "name": "was", "operator": true })).await;
                let id = text(&bench.get("/api/v1/tokens").await.json()["items"][0]["id"]);
                assert_eq!(bench.delete(&format!("/api/v1/tokens/{id}")).await.status, 204);
                Some(token)
            }
            Self::OperatorByToken => Some(bench.token(json!({ "name": "second", "operator": true })).await),
            Self::Operator => Some(TOKEN.to_owned()),
        }
    }

    /// The status by which they are kept out of a route; none, if they are let in.
    fn kept_out(self, needs: Needs) -> Option<u16> {
        let permitted = match self {
            _ if needs == Needs::Nothing => return None,
            Self::Stranger | Self::Impostor | Self::Expired | Self::Revoked => return Some(401),
            Self::Ingester => needs == Needs::Token,
            Self::Reader => matches!(needs, Needs::Token | Needs::Read),
            Self::Writer => needs != Needs::Operator,
            Self::OperatorByToken | Self::Operator => true,
        };
        (!permitted).then_some(403)
    }
}

/// Every operation of the description has a row of the table, and every row an operation.
#[tokio::test]
async fn the_table_of_routes_is_complete() {
    let bench = Bench::open();
    let described = operations(&bench).await;
    for (method, path) in &described {
        let rows = ROUTES.iter().filter(|route| route.method == *method && route.path == path).count();
        assert_eq!(rows, 1, "{method} {path}");
    }
    assert_eq!(ROUTES.len(), described.len());
    let document = bench.get("/api/v1/openapi.json").await.json();
    for Route { method, path, operation, needs } in &ROUTES {
        let described = &document["paths"][path][method.as_str().to_lowercase()];
        assert_eq!(described["operationId"], *operation, "{method} {path}");
        assert_eq!(described.get("security").is_some(), *needs == Needs::Nothing, "{method} {path}");
    }
}

#[tokio::test]
async fn every_role_gets_as_far_as_the_table_of_routes_says() {
    for role in Role::ALL {
        let bench = Bench::open();
        let token = role.presents(&bench).await;
        let authorization = token.map(|token| format!("Bearer {token}"));
        for Route { method, path, needs, .. } in &ROUTES {
            let answer = bench.send(request(method, path, authorization.as_deref())).await;
            match role.kept_out(*needs) {
                Some(401) => {
                    assert_eq!(answer.problem(401), "unauthorized", "{role:?} {method} {path}");
                    assert_eq!(answer.header("www-authenticate"), "Bearer");
                }
                Some(status) => assert_eq!(answer.problem(status), "forbidden", "{role:?} {method} {path}"),
                None => assert!(![401, 403].contains(&answer.status.as_u16()), "{role:?} {method} {path}"),
            }
        }
        // What is in no row is the operator's.
        let answer = bench.send(request(&Method::PUT, "/api/v1/webhooks/{id}", authorization.as_deref())).await;
        assert_eq!(answer.status.as_u16(), role.kept_out(Needs::Operator).unwrap_or(405), "{role:?}");
        let answer = bench.send(request(&Method::GET, "/api/v1/nothing", authorization.as_deref())).await;
        assert_eq!(answer.status.as_u16(), role.kept_out(Needs::Token).unwrap_or(404), "{role:?}");
    }
}

/// A webhook on `pattern`, what is owed to it, and what was given up of that.
async fn things(bench: &Bench, pattern: &str) -> (String, String, String) {
    let webhook = bench.webhook_on(pattern).await;
    let repository = if pattern == "*" { "other/app" } else { pattern };
    let id = WebhookId::parse(&webhook).unwrap();
    let delivery = sample::delivery(&id, &sample::batch(&format!("e-{webhook}"), repository, &["1.0"]));
    bench.record(&delivery, 500).await;
    let letter = bench.bury(&delivery, "the receiver said no").await;
    (webhook, delivery.id.to_string(), letter.to_string())
}

/// The path of a route about one of these things; none, if it is not about one.
fn about(path: &str, (webhook, delivery, letter): &(String, String, String)) -> Option<String> {
    let id = match path {
        _ if !path.contains("{id}") => return None,
        _ if path.starts_with("/api/v1/webhooks/") => webhook,
        _ if path.starts_with("/api/v1/deliveries/") => delivery,
        _ if path.starts_with("/api/v1/dead-letters/") => letter,
        _ => panic!("what is {path} about?"),
    };
    Some(path.replace("{id}", id))
}

/// What is not theirs is not there; what is, they reach by the same routes.
#[tokio::test]
async fn a_token_reaches_what_is_set_on_its_repositories_alone() {
    let scoped = ROUTES.iter().filter(|route| matches!(route.needs, Needs::Read | Needs::Write));
    let of_one = scoped.filter(|route| route.path.contains("{id}"));
    let mut walked = 0;
    for Route { method, path, .. } in of_one {
        let bench = Bench::open();
        let token = bench.token_for("team/*", &["write"]).await;
        for (pattern, is_theirs) in [("other/app", false), ("*", false), ("team/app", true)] {
            let path = about(path, &things(&bench, pattern).await).unwrap();
            let body = if *method == Method::PATCH || path.ends_with("/replay") { json!({}) } else { Value::Null };
            let answer = bench.call_as(&token, method.clone(), &path, body.clone()).await;
            if is_theirs {
                assert!(answer.status.is_success(), "{method} {path}: {:?}", answer.body);
            } else {
                assert_eq!(answer.problem(404), "not-found", "{method} {path} of {pattern}");
                let answer = bench.call(method.clone(), &path, body).await;
                assert!(answer.status.is_success(), "{method} {path}: {:?}", answer.body);
            }
        }
        walked += 1;
    }
    assert_eq!(walked, 14);
}

#[tokio::test]
async fn a_list_holds_what_the_token_reaches() {
    let bench = Bench::open();
    let (theirs, others) = (things(&bench, "team/app").await, things(&bench, "other/app").await);
    let token = bench.token_for("team/*", &["read"]).await;
    let list = async |path: &str| bench.call_as(&token, Method::GET, path, Value::Null).await;
    assert_eq!(each(&list("/api/v1/webhooks").await.json()["items"], "id"), std::slice::from_ref(&theirs.0));
    assert_eq!(
        each(&list("/api/v1/webhooks?repository=team/app").await.json()["items"], "id"),
        std::slice::from_ref(&theirs.0)
    );
    assert_eq!(list("/api/v1/webhooks?repository=other/app").await.problem(403), "forbidden");
    for path in ["/api/v1/deliveries", "/api/v1/dead-letters"] {
        let answer = list(path).await;
        assert_eq!(answer.problem(422), "invalid", "{path}");
        assert_eq!(each(&answer.json()["errors"], "member"), ["webhook"]);
        let own = list(&format!("{path}?webhook={}", theirs.0)).await.json();
        assert_eq!(own["items"].as_array().unwrap().len(), 1, "{path}");
        for webhook in [others.0.as_str(), "wh_none"] {
            let none = list(&format!("{path}?webhook={webhook}")).await.json();
            assert_eq!(none, json!({ "items": [], "next": null }), "{path}");
        }
    }
}

/// A page goes on where the one before ended, however few of all webhooks are theirs.
#[tokio::test]
async fn pages_of_the_webhooks_of_a_token_skip_and_repeat_nothing() {
    let bench = Bench::open();
    let mut theirs = Vec::new();
    for number in 0..30 {
        let id = bench.webhook_on(if number % 7 == 0 { "team/app" } else { "other/app" }).await;
        theirs.extend((number % 7 == 0).then_some(id));
    }
    let token = bench.token_for("team/app", &["read"]).await;
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/webhooks?limit=2{after}");
        let page = bench.call_as(&token, Method::GET, &path, Value::Null).await.json();
        assert!(page["items"].as_array().unwrap().len() <= 2);
        found.extend(each(&page["items"], "id"));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(found, theirs);
}

#[tokio::test]
async fn nothing_is_set_where_a_token_does_not_reach() {
    let bench = Bench::open();
    let (theirs, others) = (things(&bench, "team/app").await.0, things(&bench, "other/app").await.0);
    let token = bench.token_for("team/*", &["write"]).await;
    let mut wanted = new_webhook();
    for (repository, status) in [("team/web", 201), ("team/*", 201), ("other/app", 403), ("*", 403), ("team", 403)] {
        wanted["repository"] = json!(repository);
        let answer = bench.call_as(&token, Method::POST, "/api/v1/webhooks", wanted.clone()).await;
        assert_eq!(answer.status, status, "{repository}");
    }
    let path = format!("/api/v1/webhooks/{theirs}");
    let moved = bench.call_as(&token, Method::PATCH, &path, json!({ "repository": "other/app" })).await;
    assert_eq!(moved.problem(403), "forbidden");
    assert_eq!(bench.get(&path).await.json()["repository"], "team/app");
    // Whom it waits for must be theirs too: what is refused must not tell what others have.
    for (first, problem) in [(others.as_str(), "there is no webhook"), ("wh_none", "there is no webhook")] {
        let answer = bench.call_as(&token, Method::PATCH, &path, json!({ "after": { "webhook": first } })).await;
        assert_eq!(answer.problem(422), "invalid");
        assert!(text(&answer.json()["errors"][0]["problem"]).contains(problem), "{:?}", answer.body);
    }
}

/// Many at once are those of one webhook of theirs.
#[tokio::test]
async fn dead_letters_of_others_are_not_decided_about() {
    let bench = Bench::open();
    let (theirs, others) = (things(&bench, "team/app").await, things(&bench, "other/app").await);
    let token = bench.token_for("team/*", &["write"]).await;
    for verb in ["revive", "discard"] {
        let path = format!("/api/v1/dead-letters/{verb}");
        let answer = bench.call_as(&token, Method::POST, &format!("{path}?all=true"), Value::Null).await;
        assert_eq!(answer.problem(422), "invalid");
        let none = bench.call_as(&token, Method::POST, &format!("{path}?webhook={}", others.0), Value::Null).await;
        assert_eq!(none.json()["done"], 0);
    }
    let own = format!("/api/v1/dead-letters/discard?webhook={}", theirs.0);
    assert_eq!(bench.call_as(&token, Method::POST, &own, Value::Null).await.json()["done"], 1);
    assert_eq!(each(&bench.get("/api/v1/dead-letters").await.json()["items"], "webhook"), [others.0]);
}

#[tokio::test]
async fn what_does_not_exist_is_told_only_to_those_with_the_token() {
    let bench = Bench::open();
    let token = format!("Bearer {TOKEN}");
    for path in ["/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v1/webhooks/", "/api/v2/webhooks"] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            assert_eq!(bench.send(request(&method, path, None)).await.problem(401), "unauthorized", "{method} {path}");
            let answer = bench.send(request(&method, path, Some(&token))).await;
            assert_eq!(answer.problem(404), "not-found", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_refused_with_the_right_ones() {
    let bench = Bench::open();
    let token = format!("Bearer {TOKEN}");
    for (path, allowed) in [
        ("/api/v1/webhooks", "GET,HEAD,POST"),
        ("/api/v1/webhooks/wh_1", "GET,HEAD,PATCH,DELETE"),
        ("/api/v1/openapi.json", "GET,HEAD"),
    ] {
        assert_eq!(bench.send(request(&Method::PUT, path, None)).await.problem(401), "unauthorized");
        let answer = bench.send(request(&Method::PUT, path, Some(&token))).await;
        assert_eq!(answer.problem(405), "method-not-allowed", "{path}");
        let mut named: Vec<&str> = answer.header("allow").split(',').collect();
        named.sort_unstable();
        let mut expected: Vec<&str> = allowed.split(',').collect();
        expected.sort_unstable();
        assert_eq!(named, expected, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_below_api_is_left_to_others() {
    let bench = Bench::open();
    for path in ["/", "/ingest/lab", "/apis", "//api/v1/webhooks"] {
        let answer = bench.send(request(&Method::GET, path, None)).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (404, 0), "{path}");
    }
}
