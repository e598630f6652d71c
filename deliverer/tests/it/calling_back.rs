//! What receivers are told of where to report.

use std::time::Duration;

use dockbell_proto::callback::public_url::PublicUrl;
use dockbell_proto::callback::ticket::Ticket;
use dockbell_proto::webhook::Format;
use dockbell_testkit::receiver::{Answer, Recorded};
use dockbell_testkit::sample;
use serde_json::Value;

use super::harness::{House, Told};

fn callback_url(request: &Recorded) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    body["callback_url"].as_str().unwrap().to_owned()
}

/// An echo of what it got must not bring into the history what lets its readers report.
#[tokio::test]
async fn every_attempt_has_the_same_callback_url_which_the_history_does_not_show() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/hook").await;
    let batch = sample::batch("e", "team/app", &["1"]);
    let delivery = sample::delivery(&webhook.id, &batch);
    let ticket = Ticket::of(&delivery, &webhook.proofs.secret.current).expose();
    let echo = format!("you sent \"https://dockbell.test/api/v1/callbacks/{}\"", ticket.expose());
    house.receiver.answer_with(vec![Answer::StatusWithBody(500, echo.clone()), Answer::StatusWithBody(200, echo)]);
    let public_url = Some(PublicUrl::parse("https://dockbell.test").unwrap());
    let running = house.run_as(Told { public_url, pauses: vec![Duration::from_millis(50)], ..Told::default() });
    house.publish(&batch).await;
    let urls: Vec<String> = house.receiver.wait_for(2).await.iter().map(callback_url).collect();
    assert_eq!(urls, vec![format!("https://dockbell.test/api/v1/callbacks/{}", ticket.expose()); 2]);
    house.wait_until_idle().await;
    let excerpts: Vec<_> =
        house.history(&delivery.id).await.attempts.into_iter().map(|attempt| attempt.excerpt).collect();
    let masked = Some("you sent \"https://dockbell.test/api/v1/callbacks/***\"".to_owned());
    assert_eq!(excerpts, [masked.clone(), masked]);
    running.stop().await;
}

#[tokio::test]
async fn without_a_public_url_there_is_nowhere_to_report() {
    let house = House::open().await;
    house.webhook(1, Format::Dockerhub, "/hook").await;
    let running = house.run();
    house.publish(&sample::batch("e", "team/app", &["1"])).await;
    assert_eq!(callback_url(&house.receiver.wait_for(1).await[0]), "");
    house.wait_until_idle().await;
    running.stop().await;
}
