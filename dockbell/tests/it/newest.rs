//! A receiver ends with the newest image of a tag.

use std::time::Duration;

use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::{sample, wait};
use serde_json::{Value, json};

use crate::calls::push;
use crate::payload::json as payload;
use crate::process::Home;

/// The pause before the retry, with room for a slow machine to deliver the second push within it.
const PAUSE: Duration = Duration::from_secs(8);

/// A push of one tag, whose digest `fill` tells apart.
fn push_of(id: &str, fill: u32) -> Value {
    let mut event = push(id, "team/app", "latest");
    event["digest"] = json!(sample::digest(fill));
    event
}

#[tokio::test]
async fn an_endpoint_that_was_down_is_not_taken_back_by_the_retry_of_an_older_push() {
    let home = Home::new().with("DOCKBELL_DELIVERY_SCHEDULE", &format!("{}s,1s", PAUSE.as_secs()));
    let (dockbell, receiver) = (home.up().await, Receiver::start().await);
    let caller = &dockbell.caller;
    let made = caller.add_webhook(("team/app", "batch", &receiver.url("/"))).await;
    receiver.answer_with(vec![Answer::Status(503)]);
    caller.report(&push_of("e-1", 1)).await;
    receiver.wait_for(1).await;
    caller.report(&push_of("e-2", 2)).await;
    receiver.wait_for(2).await;

    let superseded = async || {
        let page = caller.read(&format!("deliveries?webhook={}&state=superseded", made.id)).await;
        page["items"].as_array().unwrap().first().map(|item| item["id"].as_str().unwrap().to_owned())
    };
    let id = wait::until("the retry to be superseded", superseded).await;
    let digests: Vec<Value> =
        receiver.requests().iter().map(|request| payload(request)["changes"][0]["digest"].clone()).collect();
    assert_eq!(digests, [json!(sample::digest(1)), json!(sample::digest(2))], "nothing came after the newest");

    let delivery = caller.read(&format!("deliveries/{id}")).await;
    let verdicts: Vec<&str> =
        delivery["attempts"].as_array().unwrap().iter().map(|attempt| attempt["verdict"].as_str().unwrap()).collect();
    assert_eq!((&delivery["state"], &verdicts[..]), (&json!("superseded"), &["retry", "superseded"][..]));
    assert_eq!(delivery["changes"][0]["digest"], sample::digest(1));
    let webhook = caller.read(&format!("webhooks/{}", made.id)).await;
    assert_eq!(webhook["health"]["consecutive_failures"], 0);
    assert!((caller.metric("dockbell_verdicts_total", &["state=\"superseded\""]).await - 1.0).abs() < 0.5);
    assert!((caller.metric("dockbell_attempts_total", &[]).await - 2.0).abs() < 0.5, "nothing was attempted");

    let listed = home.operate(&dockbell, &["deliveries", "list", "--state", "superseded"]).await;
    assert!(listed.code == Some(0) && listed.stdout.contains(&id), "{listed:?}");
    let shown = home.operate(&dockbell, &["deliveries", "show", &id]).await;
    for words in ["superseded (nothing was sent)", "a later change took its place: event e-2 of "] {
        assert!(shown.stdout.contains(words), "{words:?} is not shown: {}", shown.stdout);
    }
    let asked = home.operate(&dockbell, &["deliveries", "redeliver", &id]).await;
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert_eq!(payload(&receiver.wait_for(3).await[2])["changes"][0]["digest"], sample::digest(1));
    dockbell.stop_well().await;
}
