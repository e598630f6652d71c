//! Deliveries that wait, and those that a person asked for.

use std::time::Duration;

use dockbell_backends::store::Store as _;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::outcome::DeliveryState;
use dockbell_proto::webhook::Format;
use dockbell_testkit::receiver::Answer;
use dockbell_testkit::sample;
use tokio::time::Instant;

use super::harness::{House, Told, header};

#[tokio::test]
async fn a_delivery_whose_time_has_not_come_goes_back_to_wait() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let mut delivery = sample::delivery(&webhook.id, &sample::batch("e", "team/app", &["1"]));
    let (began, pause) = (Instant::now(), Duration::from_millis(400));
    delivery.not_before = Some(house.clock.now() + pause);
    let running = house.run_as(Told { pauses: vec![Duration::from_secs(1)], ..Told::default() });
    house.publish_waiting(&delivery).await;
    house.wait_until_idle().await;
    let requests = house.receiver.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].at - began >= pause);
    running.stop().await;
}

#[tokio::test]
async fn a_delivery_that_claims_to_wait_longer_than_any_may_is_attempted() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let mut delivery = sample::delivery(&webhook.id, &sample::batch("e", "team/app", &["1"]));
    delivery.not_before = Some(house.clock.now() + Duration::from_hours(24));
    let running = house.run();
    house.publish_waiting(&delivery).await;
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 1, "the clock was set back");
    running.stop().await;
}

#[tokio::test]
async fn a_redelivery_that_a_person_asked_for_is_sent_although_the_push_was_delivered() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let batch = sample::batch("e", "team/app", &["1"]);
    let running = house.run();
    house.publish(&batch).await;
    house.wait_until_idle().await;

    let first = sample::delivery(&webhook.id, &batch);
    let request = house.embedded.take_request(&first.id).await.unwrap().unwrap();
    assert_eq!(request, 1);
    house.receiver.answer_with(vec![Answer::Status(500)]);
    house.publish_waiting(&Delivery { request, ..first.clone() }).await;
    house.wait_until_idle().await;
    let requests = house.receiver.requests();
    assert_eq!(requests.len(), 3, "the push, the redelivery, and its retry");
    assert!(requests.iter().all(|request| header(request, "webhook-id") == first.id.as_str()));
    let record = house.history(&first.id).await;
    assert_eq!(record.state, DeliveryState::Delivered);
    let attempts: Vec<_> = record.attempts.iter().map(|attempt| (attempt.request, attempt.ordinal)).collect();
    assert_eq!(attempts, [(0, 1), (1, 1), (1, 2)]);
    running.stop().await;
}
