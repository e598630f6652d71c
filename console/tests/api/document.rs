//! The description of the API says what is there.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Map, Value, json};

use crate::bench::{Bench, each, new_webhook, text};

async fn document(bench: &Bench) -> Value {
    bench.send(Request::get("/api/v1/openapi.json").body(Body::empty()).unwrap()).await.json()
}

/// Every operation that the description lists.
pub(crate) async fn operations(bench: &Bench) -> Vec<(Method, String)> {
    let document = document(bench).await;
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = |item: &Value| -> Vec<String> { item.as_object().unwrap().keys().cloned().collect() };
    let operations = paths.flat_map(|(path, item)| methods(item).into_iter().map(move |method| (method, path.clone())));
    operations.map(|(method, path)| (method.to_uppercase().parse().unwrap(), path)).collect()
}

#[tokio::test]
async fn the_description_lists_exactly_the_operations() {
    let listed: BTreeSet<String> =
        operations(&Bench::open()).await.iter().map(|(method, path)| format!("{method} {path}")).collect();
    let expected = [
        "DELETE /api/v1/tokens/{id}",
        "DELETE /api/v1/webhooks/{id}",
        "GET /.well-known/webhook-keys/{id}",
        "GET /api/v1/audit",
        "GET /api/v1/dead-letters",
        "GET /api/v1/dead-letters/{id}",
        "GET /api/v1/deliveries",
        "GET /api/v1/deliveries/{id}",
        "GET /api/v1/openapi.json",
        "GET /api/v1/tokens",
        "GET /api/v1/tokens/{id}",
        "GET /api/v1/unrouted",
        "GET /api/v1/webhooks",
        "GET /api/v1/webhooks/{id}",
        "GET /api/v1/webhooks/{id}/standing",
        "PATCH /api/v1/webhooks/{id}",
        "POST /api/v1/callbacks/{id}",
        "POST /api/v1/dead-letters/discard",
        "POST /api/v1/dead-letters/revive",
        "POST /api/v1/dead-letters/{id}/discard",
        "POST /api/v1/dead-letters/{id}/revive",
        "POST /api/v1/deliveries/{id}/redeliver",
        "POST /api/v1/secrets/reseal",
        "POST /api/v1/tokens",
        "POST /api/v1/unrouted/replay",
        "POST /api/v1/webhooks",
        "POST /api/v1/webhooks/{id}/discard-skipped",
        "POST /api/v1/webhooks/{id}/replay",
        "POST /api/v1/webhooks/{id}/resume",
        "POST /api/v1/webhooks/{id}/rotate",
        "POST /api/v1/webhooks/{id}/test",
    ];
    assert_eq!(listed, expected.map(str::to_owned).into());
}

#[tokio::test]
async fn every_reference_of_the_description_leads_somewhere() {
    let document = document(&Bench::open()).await;
    assert!(text(&document["openapi"]).starts_with("3.1"));
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(entries) => entries.iter().for_each(|value| collect_references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own_and_says_how_it_fails() {
    let document = document(&Bench::open()).await;
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(names.insert(text(&operation["operationId"])), "{method} {path}");
            assert!(!text(&operation["summary"]).is_empty(), "{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            let is_public = operation.get("security").is_some();
            assert_eq!(responses.contains_key("401"), !is_public, "{method} {path}");
            let public = ["/api/v1/openapi.json", "/.well-known/webhook-keys/{id}", "/api/v1/callbacks/{id}"];
            assert_eq!(is_public, public.contains(&path.as_str()), "{method} {path}");
            for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
                let described =
                    response.get("$ref").is_some() || response["content"]["application/problem+json"].is_object();
                assert!(described, "{method} {path} {status}");
            }
        }
    }
}

/// Gives every member of a schema a value that is right for none, and returns the members that are refused as
/// wrong rather than as unknown.
async fn refused(bench: &Bench, schema: &str, method: Method, path: &str) -> (Vec<String>, Vec<String>) {
    let document = document(bench).await;
    let properties = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
    let body: Map<String, Value> = properties.keys().map(|name| (name.clone(), json!(7))).collect();
    let answer = bench.call(method, path, Value::Object(body)).await;
    let wrong = answer.json()["errors"].as_array().unwrap().clone();
    let (unknown, wrong): (Vec<Value>, Vec<Value>) =
        wrong.into_iter().partition(|error| text(&error["problem"]).contains("is not a member"));
    assert_eq!(unknown, Vec::<Value>::new());
    let mut names = each(&Value::Array(wrong), "member");
    names.sort();
    (names, properties.keys().cloned().collect())
}

#[tokio::test]
async fn the_described_members_are_exactly_those_that_are_read() {
    let bench = Bench::open();
    let (refused_new, described) = refused(&bench, "NewWebhook", Method::POST, "/api/v1/webhooks").await;
    assert_eq!(refused_new, described);
    let (refused_change, described) = refused(&bench, "WebhookChange", Method::PATCH, "/api/v1/webhooks/wh_1").await;
    assert_eq!(refused_change, described);
    assert_eq!(refused_new, refused_change);
    let webhook = bench.webhook_on("team/app").await;
    let path = format!("/api/v1/webhooks/{webhook}/replay");
    let (refused_period, described) = refused(&bench, "Period", Method::POST, &path).await;
    assert_eq!(refused_period, described);
}

#[tokio::test]
async fn the_described_members_of_a_policy_are_exactly_those_that_are_read() {
    let bench = Bench::open();
    let document = document(&bench).await;
    let described = document["components"]["schemas"]["Policy"]["properties"].as_object().unwrap();
    let nothing: Map<String, Value> = described.keys().map(|name| (name.clone(), json!(false))).collect();
    let mut webhook = new_webhook();
    webhook["policy"] = Value::Object(nothing);
    let refusal = text(&bench.post("/api/v1/webhooks", webhook).await.json()["errors"][0]["problem"]);
    for name in described.keys() {
        assert!(refusal.contains(&format!("policy: {name} must be")), "{name}: {refusal}");
    }
    assert!(!refusal.contains("not known"), "{refusal}");
}
