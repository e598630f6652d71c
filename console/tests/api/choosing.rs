//! What owners choose to be told of, and when.

use serde_json::{Value, json};

use crate::bench::{Bench, new_webhook, text};

fn told(member: &str, value: Value) -> Value {
    let mut given = new_webhook();
    given["format"] = json!("dockerhub");
    given[member] = value;
    given
}

async fn made(bench: &Bench, given: Value) -> String {
    let made = bench.post("/api/v1/webhooks", given).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    text(&made.json()["id"])
}

async fn refused(bench: &Bench, given: Value, member: &str) -> String {
    let refused = bench.post("/api/v1/webhooks", given.clone()).await;
    assert_eq!(refused.status, 422, "{given}");
    let problem = refused.json();
    assert_eq!(problem["errors"][0]["member"], member, "{problem}");
    text(&problem["errors"][0]["problem"])
}

#[tokio::test]
async fn the_parts_of_a_filter_change_one_by_one() {
    let bench = Bench::open();
    let id = made(&bench, told("filter", json!({ "tags": ["v*", "!*-rc*"], "kinds": ["index", "image"] }))).await;
    let path = format!("/api/v1/webhooks/{id}");
    let shown = json!({ "tags": ["v*", "!*-rc*"], "kinds": ["image", "index"] });
    assert_eq!(bench.get(&path).await.json()["filter"], shown);
    for (change, expected) in [
        (json!({ "name": "other" }), shown),
        (json!({ "filter": { "kinds": null } }), json!({ "tags": ["v*", "!*-rc*"] })),
        (
            json!({ "filter": { "only_changed": true, "tags": "latest" } }),
            json!({ "tags": ["latest"], "only_changed": true }),
        ),
        (
            json!({ "filter": { "repositories": ["team/**"], "only_changed": false, "tags": [] } }),
            json!({ "repositories": ["team/**"] }),
        ),
        (json!({ "filter": null }), json!({})),
    ] {
        let changed = bench.patch(&path, change.clone()).await;
        assert_eq!(changed.status, 200, "{change}: {:?}", changed.body);
        assert_eq!(bench.get(&path).await.json()["filter"], expected, "{change}");
    }
}

#[tokio::test]
async fn a_filter_that_means_nothing_is_refused() {
    let bench = Bench::open();
    for (filter, part) in [
        (json!({ "tags": ["[a"] }), "tags holds \"[a\", which is no glob"),
        (json!({ "kinds": ["helm"] }), "kinds must be among image, index, chart, artifact"),
        (json!({ "tag": "v*" }), "it has tags, repositories, kinds, only_changed"),
        (json!("v*"), "filter must be an object"),
    ] {
        let problem = refused(&bench, told("filter", filter.clone()), "filter").await;
        assert!(problem.contains(part), "{filter}: {problem}");
    }
    let id = made(&bench, told("filter", json!({}))).await;
    let refused = bench.patch(&format!("/api/v1/webhooks/{id}"), json!({ "filter": { "kinds": "helm" } })).await;
    assert_eq!(refused.status, 422);
}

#[tokio::test]
async fn a_webhook_may_wait_for_another_one() {
    let bench = Bench::open();
    let first = made(&bench, told("format", json!("dockerhub"))).await;
    let second = made(&bench, told("after", json!({ "webhook": first }))).await;
    let path = format!("/api/v1/webhooks/{second}");
    let after = |within: &str| json!({ "webhook": first, "within": within });
    for (change, expected) in [
        (json!({}), after("1h")),
        (json!({ "after": { "within": "90s" } }), after("1m30s")),
        (json!({ "name": "other" }), after("1m30s")),
        (json!({ "after": { "within": null } }), after("1h")),
        (json!({ "after": null }), json!(null)),
        (json!({ "after": { "webhook": first, "within": "7d" } }), after("7d")),
    ] {
        let changed = bench.patch(&path, change.clone()).await;
        assert_eq!(changed.status, 200, "{change}: {:?}", changed.body);
        assert_eq!(bench.get(&path).await.json()["after"], expected, "{change}");
    }
    let loops = bench.patch(&format!("/api/v1/webhooks/{first}"), json!({ "after": { "webhook": second } })).await;
    assert_eq!(loops.status, 422);
    assert!(text(&loops.json()["errors"][0]["problem"]).contains("wait for itself"), "{:?}", loops.body);
}

#[tokio::test]
async fn a_chain_in_which_nobody_would_report_is_refused() {
    let bench = Bench::open();
    let of = |changes: Value| {
        let mut given = told("format", json!("dockerhub"));
        given["repository"] = json!("team/*");
        given.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        given
    };
    let keel = made(&bench, of(json!({ "format": "keel" }))).await;
    let changes_alone = made(&bench, of(json!({ "filter": { "only_changed": true } }))).await;
    let narrow = made(&bench, of(json!({ "repository": "team/app" }))).await;
    let of_one_registry = made(&bench, of(json!({ "registry": "hub.test" }))).await;
    for (after, part) in [
        (json!({ "webhook": keel }), "has the format keel, in which nobody reports"),
        (json!({ "webhook": changes_alone }), "is told of changes alone"),
        (json!({ "webhook": narrow }), "is set on team/app, which does not cover team/*"),
        (json!({ "webhook": of_one_registry }), "is about one registry"),
        (json!({ "webhook": "wh_000000000000000000000000" }), "there is no webhook"),
        (json!({ "webhook": "1" }), "webhook must be an id"),
        (json!({ "within": "1h" }), "webhook must be given"),
        (json!({ "webhook": narrow, "within": "8d" }), "within must be a duration of 1s to 7d"),
        (json!({ "webhook": narrow, "until": 1 }), "there is no member \"until\""),
        (json!("wh_1"), "after must be an object"),
    ] {
        let problem = refused(&bench, of(json!({ "after": after })), "after").await;
        assert!(problem.contains(part), "{after}: {problem}");
    }
    let second = made(&bench, of(json!({ "repository": "team/app", "after": { "webhook": narrow } }))).await;
    let wider = bench.patch(&format!("/api/v1/webhooks/{second}"), json!({ "repository": "team/*" })).await;
    assert_eq!(wider.status, 422, "what it waits for does not cover it any more");
    assert_eq!(bench.get(&format!("/api/v1/webhooks/{second}")).await.json()["repository"], "team/app");
}

#[tokio::test]
async fn without_callbacks_nobody_can_be_waited_for() {
    let bench = Bench::open_without_callbacks();
    let first = made(&bench, told("format", json!("dockerhub"))).await;
    let problem = refused(&bench, told("after", json!({ "webhook": first })), "after").await;
    assert!(problem.contains("public_url"), "{problem}");
}
