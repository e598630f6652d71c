//! Deliveries that wait, and those that a person asked for.

use std::time::Duration;

use dockbell_backends::store::Store as _;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::outcome::DeliveryState;
use dockbell_proto::webhook::Format;
use dockbell_testkit::receiver::Answer;
use dockbell_testkit::sample;

use super::harness::{House, header};

/// Its time has come by the bus; the wall clock was set back meanwhile.
#[tokio::test]
async fn a_delivery_that_the_bus_hands_out_is_attempted_whatever_the_wall_clock_says() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let mut delivery = sample::delivery(&webhook.id, &sample::batch("e", "team/app", &["1"]));
    delivery.not_before = Some(house.clock.now() + Duration::from_hours(1));
    let running = house.run();
    house.publish_waiting(&delivery).await;
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 1);
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
