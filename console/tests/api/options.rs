//! What owners choose of what the format of their webhook leaves open.

use serde_json::{Value, json};

use crate::bench::{Bench, new_webhook, text};

fn alin(options: Value) -> Value {
    let mut given = new_webhook();
    given["format"] = json!("alin");
    given["headers"] = json!({ "x-own": "canary" });
    given["options"] = options;
    given
}

#[tokio::test]
async fn options_change_one_by_one_and_go_with_their_format() {
    let bench = Bench::open();
    let made = bench.post("/api/v1/webhooks", alin(json!({ "header": "X-Image", "host": "mirror.test" }))).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let path = format!("/api/v1/webhooks/{}", text(&made.json()["id"]));
    assert_eq!(bench.get(&path).await.json()["options"], json!({ "header": "x-image", "host": "mirror.test" }));
    for (change, expected) in [
        (json!({ "name": "other" }), json!({ "header": "x-image", "host": "mirror.test" })),
        (json!({ "options": { "host": null } }), json!({ "header": "x-image" })),
        (json!({ "options": { "host": "a.test" } }), json!({ "header": "x-image", "host": "a.test" })),
        (
            json!({ "format": "dockerhub", "options": { "repo_name": "qualified" } }),
            json!({ "repo_name": "qualified" }),
        ),
        (json!({ "options": null }), json!({})),
        (json!({ "options": { "repo_name": "short" } }), json!({ "repo_name": "short" })),
        (json!({ "format": "batch" }), json!({})),
    ] {
        let changed = bench.patch(&path, change.clone()).await;
        assert_eq!(changed.status, 200, "{change}: {:?}", changed.body);
        assert_eq!(bench.get(&path).await.json()["options"], expected, "{change}");
    }
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused_with_what_there_is() {
    let bench = Bench::open();
    for (options, part) in [
        (json!({ "repo_name": "short" }), "has no option \"repo_name\"; it has header, host"),
        (json!({ "header": "host" }), "cannot be set"),
        (json!({ "header": "x-own" }), "sets already"),
        (json!({ "header": "x-signature" }), "sets already"),
        (json!(["header"]), "options must be an object"),
    ] {
        let mut given = alin(options.clone());
        given["signatures"] = json!(["x-signature"]);
        let refused = bench.post("/api/v1/webhooks", given).await;
        assert_eq!(refused.status, 422, "{options}");
        let problem = refused.json();
        assert_eq!(problem["errors"][0]["member"], "options");
        assert!(text(&problem["errors"][0]["problem"]).contains(part), "{problem}");
    }
    let made = bench.post("/api/v1/webhooks", alin(json!({ "header": "x-image" }))).await.json();
    let path = format!("/api/v1/webhooks/{}", text(&made["id"]));
    let refused = bench.patch(&path, json!({ "headers": { "x-image": "1" } })).await;
    assert_eq!(refused.status, 422, "a header of the owner takes the place of the tag's");
}

#[tokio::test]
async fn a_template_is_rendered_before_it_is_kept() {
    let bench = Bench::open();
    let template = |source: &str| {
        let mut given = new_webhook();
        given["format"] = json!("template");
        given["options"] = json!({ "source": source });
        given
    };
    let made = bench.post("/api/v1/webhooks", template(r#"{"text": "{{ repository }}:{{ change.tag }}"}"#)).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let forever = "{% for a in 'aaaaaaaaaaaaaaaa' %}".repeat(9) + &"{% endfor %}".repeat(9);
    for (source, part) in [
        ("{{ nothing }}", "undefined value"),
        (forever.as_str(), "does too much"),
        ("{% for a in changes recursive %}{{ loop(changes) }}{% endfor %}", "no recursion"),
        ("{{ 'a' * 100000000 }}", "there is no '*'"),
        (r#"{"size": {{ change.size }}}"#, "with a push of which only the tag is known"),
        ("{{ change.tag", "line 1"),
    ] {
        let refused = bench.post("/api/v1/webhooks", template(source)).await;
        assert_eq!(refused.status, 422, "{source}");
        let problem = refused.json();
        assert_eq!(problem["errors"][0]["member"], "options");
        assert!(text(&problem["errors"][0]["problem"]).contains(part), "{problem}");
    }
    let without = bench
        .post(
            "/api/v1/webhooks",
            json!({ "format": "template", "name": "a", "repository": "*",
        "url": "https://receiver.test/" }),
        )
        .await;
    assert!(text(&without.json()["errors"][0]["problem"]).contains("set its option source"));
    let path = format!("/api/v1/webhooks/{}", text(&made.json()["id"]));
    assert_eq!(bench.patch(&path, json!({ "options": { "source": null } })).await.status, 422);
    assert_eq!(
        bench.patch(&path, json!({ "format": "empty", "url": "https://receiver.test/{tag}?d={digest}" })).await.status,
        200
    );
    assert_eq!(bench.patch(&path, json!({ "url": "https://{tag}/" })).await.status, 422);
}
