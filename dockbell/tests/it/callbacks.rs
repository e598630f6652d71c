//! Receivers that report what came of a delivery, in the whole system.

use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::wait;
use reqwest::Method;
use serde_json::{Value, json};

use crate::calls::{push, send};
use crate::process::Home;

/// As Docker Hub's documentation shows it.
fn reported() -> Value {
    json!({ "state": "success", "description": "387 tests passed", "context": "CI by Acme", "target_url": "https://ci.acme.test/387" })
}

/// Made by the command line, released by the receiver of the first.
#[tokio::test]
async fn a_webhook_that_waits_for_another_is_called_when_the_receiver_of_that_one_reports_success() {
    let home = Home::new().with("DOCKBELL_PUBLIC_URL", "https://dockbell.test/");
    let (receiver, dockbell) = (Receiver::start().await, home.up().await);
    let caller = &dockbell.caller;
    let made = caller.add_webhook(("team/app", "dockerhub", &receiver.url("/tests"))).await;
    let first = made.id.as_str();
    let (url, name) = (receiver.url("/deploy"), ["--name", "deploy", "--repository", "team/app", "--format", "keel"]);
    let add = ["webhooks", "add", "--url", &url, "--after", first, "--within", "10m", "--filter", "tags=v*"];
    let added = home.operate(&dockbell, &[&add[..], &name[..]].concat()).await;
    assert!(added.stdout.contains(&format!("{first} reports success, for 10m")), "{added:?}");
    for (id, tag) in [("e-1", "v1.0"), ("e-2", "main")] {
        caller.report(&push(id, "team/app", tag)).await;
    }
    let told: Vec<(String, Value)> = receiver
        .wait_for(2)
        .await
        .iter()
        .map(|request| (request.path_and_query.clone(), serde_json::from_slice(&request.body).unwrap()))
        .collect();
    assert!(told.iter().all(|(path, _)| path == "/tests"), "{told:?}");
    for (_, payload) in &told {
        let path = payload["callback_url"].as_str().unwrap().strip_prefix("https://dockbell.test").unwrap();
        let report = caller.http.post(format!("{}{path}", caller.intake)).body(reported().to_string());
        assert_eq!(send(report).await.status, 200);
    }
    let deployed = receiver.wait_for(3).await.remove(2);
    assert_eq!(deployed.path_and_query, "/deploy");
    let payload: Value = serde_json::from_slice(&deployed.body).unwrap();
    assert_eq!(payload["tag"], "v1.0");
    let nothing_waits = async || {
        let waiting = caller.read("deliveries?state=parked").await;
        waiting["items"].as_array().unwrap().is_empty().then_some(())
    };
    wait::until("nothing to wait", nothing_waits).await;
    assert_eq!(receiver.requests().len(), 3, "the other tag does not pass");
    dockbell.stop_well().await;
}

#[tokio::test]
async fn a_receiver_reports_at_the_callback_url_and_the_history_shows_it_and_nothing_the_url() {
    let home = Home::new().with("DOCKBELL_PUBLIC_URL", "https://dockbell.test/").with("DOCKBELL_LOG_FILTER", "trace");
    let (receiver, dockbell) = (Receiver::start().await, home.up().await);
    let caller = &dockbell.caller;
    receiver.answer_with(vec![Answer::Status(200)]);
    caller.add_webhook(("team/app", "dockerhub", &receiver.url("/hook"))).await;
    caller.report(&push("e-1", "team/app", "1.0")).await;
    let request = receiver.wait_for(1).await.remove(0);
    let payload: Value = serde_json::from_slice(&request.body).unwrap();
    let url = payload["callback_url"].as_str().unwrap();
    let path = url.strip_prefix("https://dockbell.test").unwrap_or_else(|| panic!("{url}"));

    let post = |body: Value| caller.http.post(format!("{}{path}", caller.intake)).body(body.to_string());
    assert_eq!(send(post(reported())).await.status, 200);
    assert_eq!(send(post(reported())).await.status, 200);
    assert_eq!(send(post(json!({ "state": "failure" }))).await.status, 409);
    let delivered = async || {
        let found = caller.read("deliveries?state=delivered").await;
        found["items"][0]["id"].as_str().map(str::to_owned)
    };
    let id = wait::until("a delivery", delivered).await;
    let shown = home.operate(&dockbell, &["deliveries", "show", &id]).await;
    for text in ["success", "387 tests passed", "CI by Acme", "https://ci.acme.test/387"] {
        assert!(shown.stdout.contains(text), "{text}: {shown:?}");
    }

    // A redelivery is another occasion.
    let again = caller.api(Method::POST, &format!("deliveries/{id}/redeliver"), None).await;
    assert_eq!(again.status, 202, "{}", again.body);
    let again: Value = serde_json::from_slice(&receiver.wait_for(2).await[1].body).unwrap();
    assert_ne!(again["callback_url"], payload["callback_url"]);

    let (api, metrics) = (caller.read(&format!("deliveries/{id}")).await, caller.admin("/metrics").await.body);
    let code = url.rsplit_once('.').unwrap().1;
    assert_eq!(code.len(), 64);
    let log = dockbell.stop_well().await.stderr;
    assert!(log.contains("reported what came of a delivery") && log.contains("TRACE"), "it says what it does");
    for shown in [&shown.stdout, &api.to_string(), &metrics, &log] {
        assert!(!shown.contains(code), "the ticket is a secret");
    }
}
