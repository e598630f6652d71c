//! Who gets in.

use axum::body::Body;
use http::header::AUTHORIZATION;
use http::{Method, Request};

use crate::bench::{Bench, TOKEN};
use crate::document::operations;

fn request(method: &Method, path: &str, authorization: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path.replace("{id}", "wh_1"));
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn every_operation_but_the_description_public_keys_and_callbacks_asks_for_the_token() {
    let bench = Bench::open();
    let operations = operations(&bench).await;
    assert_eq!(operations.len(), 26);
    for (method, path) in operations {
        let answer = bench.send(request(&method, &path, None)).await;
        if path == "/api/v1/openapi.json" {
            assert_eq!(answer.status, 200);
            continue;
        }
        if ["/.well-known/webhook-keys/{id}", "/api/v1/callbacks/{id}"].contains(&path.as_str()) {
            assert_eq!(answer.problem(404), "not-found");
            continue;
        }
        assert_eq!(answer.problem(401), "unauthorized", "{method} {path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let answer = bench.send(request(&method, &path, Some("Bearer another"))).await;
        assert_eq!(answer.problem(401), "unauthorized", "{method} {path}");
        let answer = bench.send(request(&method, &path, Some(&format!("Bearer {TOKEN}")))).await;
        assert_ne!(answer.status, 401, "{method} {path}");
    }
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
