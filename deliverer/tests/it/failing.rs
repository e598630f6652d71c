//! Receivers that fail.

use dockbell_backends::bus::{Bus as _, Outgoing, Queue};
use dockbell_backends::embedded::EmbeddedLimits;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::message::Message;
use dockbell_proto::outcome::{DeliveryState, Outcome, Verdict};
use dockbell_proto::webhook::Format;
use dockbell_testkit::receiver::Answer;
use dockbell_testkit::{sample, wait};
use tokio::time::Duration;

use super::harness::{House, Told, header};

#[tokio::test]
async fn a_failure_is_retried_by_the_schedule_and_counted_until_it_is_delivered() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::Status(500), Answer::Close, Answer::Hang]);
    let told = Told { pauses: vec![Duration::from_millis(50), Duration::from_millis(200)], ..Told::default() };
    let running = house.run_as(told);
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    let requests = house.receiver.wait_for(3).await;
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(50));
    assert!(requests[2].at - requests[1].at >= Duration::from_millis(200));
    let health = house.health(&webhook).await;
    assert_eq!(health.consecutive_failures, 2);
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert_eq!((record.state, record.attempts.len()), (DeliveryState::Retrying, 2));
    assert_eq!(health.failing_since, Some(record.attempts[0].at));
    assert_eq!(record.attempts[0].outcome, Outcome::Refused { status: 500, retry_after: None });
    assert!(matches!(record.attempts[1].outcome, Outcome::Unreachable { .. }), "{record:?}");
    running.kill().await;
}

#[tokio::test]
async fn a_success_resets_the_counters() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::Status(500), Answer::Status(404)]);
    let running = house.run();
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.wait_until_idle().await;
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert_eq!((record.state, record.attempts.len()), (DeliveryState::Delivered, 3));
    assert_eq!(record.attempts.iter().map(|attempt| attempt.ordinal).collect::<Vec<_>>(), [1, 2, 3]);
    let health = house.health(&webhook).await;
    assert_eq!((health.consecutive_failures, health.failing_since), (0, None));
    assert_eq!(house.dead_letters().await, []);
    running.stop().await;
}

#[tokio::test]
async fn a_delivery_whose_schedule_is_exhausted_is_kept_as_a_dead_letter() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::StatusWithBody(502, "no backend".to_owned()));
    let running = house.run();
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 3);
    let reason = "given up after 3 attempts; the last one: the receiver answered 502";
    let letters = house.dead_letters().await;
    assert_eq!((letters.len(), letters[0].reason.as_str(), letters[0].queue), (1, reason, Queue::Redeliveries));
    let kept = match Message::decode(&letters[0].body).unwrap() {
        Message::Delivery(delivery) => delivery,
        Message::Batch(batch) => panic!("{batch:?}"),
    };
    assert_eq!(Delivery { not_before: None, ..kept }, Delivery { ordinal: 3, ..sample::delivery(&webhook.id, &batch) });
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert_eq!((record.state, record.next_at), (DeliveryState::Dead, None));
    assert_eq!(record.attempts[2].verdict, Verdict::Dead { reason: reason.to_owned() });
    assert_eq!(record.attempts[2].excerpt.as_deref(), Some("no backend"));
    assert_eq!(house.health(&webhook).await.consecutive_failures, 3);
    running.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_asked_again() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Batch, "/").await;
    house.receiver.answer_always(Answer::Status(410));
    let running = house.run();
    house.publish(&sample::batch("e", "team/app", &["1"])).await;
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 1);
    assert!(house.dead_letters().await[0].reason.contains("410"));
    assert_eq!(house.health(&webhook).await.consecutive_failures, 1);
    running.stop().await;
}

#[tokio::test]
async fn a_target_that_the_policy_forbids_is_dead_and_not_counted() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let running = house.run_as(Told { allowed: "10.0.0.0/8", ..Told::default() });
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.wait_until_idle().await;
    assert!(house.receiver.requests().is_empty());
    let letters = house.dead_letters().await;
    assert!(letters[0].reason.contains("loopback addresses are not allowed"), "{letters:?}");
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert!(matches!(record.attempts[0].outcome, Outcome::Blocked { .. }), "{record:?}");
    assert_eq!((record.state, house.health(&webhook).await.consecutive_failures), (DeliveryState::Dead, 0));
    running.stop().await;
}

#[tokio::test]
async fn a_redirect_is_a_refusal_and_is_not_followed() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let elsewhere = vec![("location", house.receiver.url("/elsewhere"))];
    house.receiver.answer_with(vec![Answer::StatusWithHeaders(308, elsewhere)]);
    let running = house.run();
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.wait_until_idle().await;
    let requests = house.receiver.requests();
    assert_eq!(requests.iter().map(|request| request.path_and_query.as_str()).collect::<Vec<_>>(), ["/", "/"]);
    assert_eq!(header(&requests[0], "webhook-id"), header(&requests[1], "webhook-id"));
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert_eq!(record.attempts[0].outcome, Outcome::Refused { status: 308, retry_after: None });
    running.stop().await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let house = House::open().await;
    house.webhook(1, Format::Batch, "/").await;
    house.receiver.answer_with(vec![Answer::StatusWithHeaders(429, vec![("retry-after", "1".to_owned())])]);
    let told = Told { pauses: vec![Duration::from_millis(50), Duration::from_secs(9)], ..Told::default() };
    let running = house.run_as(told);
    house.publish(&sample::batch("e", "team/app", &["1"])).await;
    let requests = house.receiver.wait_for(2).await;
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1));
    running.stop().await;
}

#[tokio::test]
async fn one_failing_webhook_does_not_keep_a_batch_from_being_settled() {
    let house = House::open().await;
    house.webhook(1, Format::Batch, "/fails").await;
    house.webhook(2, Format::Batch, "/works").await;
    house.receiver.answer_always_at("/fails", Answer::Status(500));
    let running = house.run_as(Told { pauses: vec![Duration::from_hours(1)], ..Told::default() });
    house.publish(&sample::batch("e", "team/app", &["1"])).await;
    let settled = async || {
        use dockbell_backends::bus::Bus as _;
        let fresh = house.embedded.depth(Queue::Deliveries).await.unwrap().messages;
        let waiting = house.embedded.depth(Queue::Redeliveries).await.unwrap();
        (fresh == 0 && (waiting.messages, waiting.delayed) == (0, 1)).then_some(())
    };
    wait::until("the batch to be settled and one delivery to wait", settled).await;
    assert_eq!(house.receiver.requests().len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_delivery_that_finds_no_room_to_wait_expires_and_others_go_on() {
    let house = House::open_small(EmbeddedLimits { queue_bytes: 64 * 1024, ..EmbeddedLimits::default() }).await;
    let failing = house.webhook(1, Format::Dockerhub, "/failing").await;
    house.webhook(2, Format::Dockerhub, "/healthy").await;
    house.receiver.answer_always_at("/failing", Answer::Status(500));
    let filling = Outgoing {
        body: vec![b'x'; 63 * 1024].into(),
        ..Outgoing::carrying(&Message::Batch(sample::batch("f", "other", &["1"])))
    };
    house.embedded.publish_after(Queue::Redeliveries, filling, Duration::from_hours(1)).await.unwrap();
    let running = house.run();
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.receiver.wait_for(2).await;
    let record = house.history(&sample::delivery(&failing.id, &batch).id).await;
    assert_eq!(record.state, DeliveryState::Expired);
    let reason = record.attempts[0].verdict.reason().unwrap();
    assert!(reason.contains("full"), "{reason}");
    assert_eq!(house.dead_letters().await, []);
    running.stop().await;
}
