//! The delivery policy of one webhook.

use serde_json::{Value, json};

use crate::bench::{Bench, new_webhook, text};

#[tokio::test]
async fn a_webhook_has_a_policy_of_its_own_that_changes_member_by_member() {
    let bench = Bench::open();
    let mut given = new_webhook();
    given["policy"] = json!({ "schedule": ["5s", "1m"], "cooldown": "90s", "trickle": 2 });
    let made = bench.post("/api/v1/webhooks", given).await.json();
    assert_eq!(made["policy"], json!({ "schedule": ["5s", "1m"], "cooldown": "1m30s", "trickle": 2 }));
    let path = format!("/api/v1/webhooks/{}", text(&made["id"]));
    let change = json!({ "policy": { "schedule": null, "disable_after": "20d" } });
    let changed = bench.patch(&path, change).await.json();
    assert_eq!(changed["policy"], json!({ "cooldown": "1m30s", "trickle": 2, "disable_after": "20d" }));
    assert_eq!(bench.patch(&path, json!({ "name": "b" })).await.json()["policy"], changed["policy"]);
    assert_eq!(bench.patch(&path, json!({ "policy": null })).await.json()["policy"], json!({}));
    assert_eq!(bench.get(&path).await.json()["policy"], json!({}));
}

#[tokio::test]
async fn a_policy_that_does_not_go_together_with_that_of_all_is_refused() {
    let bench = Bench::open();
    let path = format!("/api/v1/webhooks/{}", bench.webhook_on("team/app").await);
    let refused = async |policy: Value| {
        let answer = bench.patch(&path, json!({ "policy": policy })).await;
        assert_eq!(answer.problem(422), "invalid");
        let error = answer.json()["errors"][0].clone();
        assert_eq!(error["member"], "policy");
        text(&error["problem"])
    };
    let longer = refused(json!({ "cooldown": "7h" })).await;
    assert!(longer.starts_with("policy: cooldown must be") && longer.contains("longest_cooldown"), "{longer}");
    let several = refused(json!({ "cooldown": 7, "trickle": "2", "speed": 1 })).await;
    for words in ["cooldown must be a duration", "trickle must be a whole number", "not known"] {
        assert!(several.contains(words), "{several}");
    }
    assert_eq!(
        bench.patch(&path, json!({ "policy": { "longest_cooldown": "8h", "cooldown": "7h" } })).await.status,
        200
    );
}
