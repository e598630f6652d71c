//! Kills, at the moments that matter.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dockbell_backends::bus::{Bus as _, Outgoing, Queue};
use dockbell_backends::embedded::EmbeddedLimits;
use dockbell_backends::store::Store as _;
use dockbell_deliverer::transport::Deadlines;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::message::Message;
use dockbell_proto::outcome::{DeliveryState, Outcome, Verdict};
use dockbell_proto::webhook::{Format, WebhookPatch};
use dockbell_testkit::receiver::Answer;
use dockbell_testkit::{sample, wait};

use super::harness::{House, Told, header};
use super::watched::Watched;

#[tokio::test]
async fn a_kill_before_the_answer_makes_one_more_attempt_with_the_same_id() {
    let mut house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::Hang]);
    let running = house.run();
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.receiver.wait_for(1).await;
    running.kill().await;
    house.reopen().await;
    let running = house.run();
    house.wait_until_idle().await;
    let requests = house.receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(header(&requests[0], "webhook-id"), header(&requests[1], "webhook-id"));
    assert_eq!(requests[0].body, requests[1].body);
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert_eq!((record.state, record.attempts.len()), (DeliveryState::Delivered, 1), "the first was never recorded");
    running.stop().await;
}

/// Two of its three deliveries were recorded before the kill: only the third is made.
#[tokio::test]
async fn what_was_recorded_before_a_kill_is_not_sent_again() {
    let mut house = House::open().await;
    house.webhook(1, Format::Dockerhub, "/done").await;
    house.webhook(2, Format::Batch, "/hangs").await;
    house.receiver.answer_at("/hangs", vec![Answer::Hang]);
    let running = house.run();
    let batch = sample::batch("e", "team/app", &["1", "2"]);
    house.publish(&batch).await;
    house.receiver.wait_for(3).await;
    for tag in ["1", "2"] {
        let webhook = sample::webhook(1, "team/app", Format::Dockerhub, "");
        let change = batch.changes.iter().find(|change| change.tag.as_str() == tag).unwrap();
        house.history(&sample::delivery(&webhook.id, &batch.only(change)).id).await;
    }
    running.kill().await;
    house.reopen().await;
    let running = house.run();
    house.wait_until_idle().await;
    let requests = house.receiver.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[3].path_and_query, "/hangs");
    running.stop().await;
}

#[tokio::test]
async fn a_delivery_that_was_recorded_and_not_settled_is_not_sent_again() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let batch = sample::batch("e", "team/app", &["1"]);
    let delivery = sample::delivery(&webhook.id, &batch);
    house.record(&delivery, Outcome::Accepted { status: 200 }, Verdict::Delivered).await;
    house.publish_again(&batch).await;
    let running = house.run();
    house.wait_until_idle().await;
    assert!(house.receiver.requests().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_retry_that_was_recorded_and_never_published_is_made_up_for() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let batch = sample::batch("e", "team/app", &["1"]);
    let delivery = sample::delivery(&webhook.id, &batch);
    let at = house.clock.now() + Duration::from_millis(50);
    house.record(&delivery, Outcome::Refused { status: 500, retry_after: None }, Verdict::Retry { at }).await;
    house.publish_again(&batch).await;
    let running = house.run();
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 1);
    let record = house.history(&delivery.id).await;
    assert_eq!(record.attempts.iter().map(|attempt| attempt.ordinal).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(record.state, DeliveryState::Delivered);
    running.stop().await;
}

#[tokio::test]
async fn a_death_that_was_recorded_and_never_carried_out_is_made_up_for() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let batch = sample::batch("e", "team/app", &["1"]);
    let reason = "gone".to_owned();
    let delivery = sample::delivery(&webhook.id, &batch);
    house.record(&delivery, Outcome::Refused { status: 410, retry_after: None }, Verdict::Dead { reason }).await;
    house.publish_again(&batch).await;
    let running = house.run();
    house.wait_until_idle().await;
    assert!(house.receiver.requests().is_empty());
    assert_eq!(house.dead_letters().await[0].reason, "gone");
    running.stop().await;
}

#[tokio::test]
async fn a_second_copy_of_a_settled_attempt_is_dropped() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let mut delivery = sample::delivery(&webhook.id, &sample::batch("e", "team/app", &["1"]));
    delivery.ordinal = 2;
    let at = house.clock.now();
    house.record(&delivery, Outcome::Refused { status: 500, retry_after: None }, Verdict::Retry { at }).await;
    let running = house.run();
    house.publish_waiting(&delivery).await;
    house.wait_until_idle().await;
    assert!(house.receiver.requests().is_empty(), "the original carries out its verdict");
    running.stop().await;
}

#[tokio::test]
async fn a_retry_that_waits_survives_a_kill() {
    let mut house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::Status(500)]);
    let batch = sample::batch("e", "team/app", &["1"]);
    let running = house.run();
    house.publish(&batch).await;
    house.history(&sample::delivery(&webhook.id, &batch).id).await;
    running.kill().await;
    house.reopen().await;
    let running = house.run();
    house.wait_until_idle().await;
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert_eq!(record.state, DeliveryState::Delivered);
    assert_eq!(record.attempts.iter().map(|attempt| attempt.ordinal).collect::<Vec<_>>(), [1, 2]);
    running.stop().await;
}

/// A retry whose publish was repeated stands on the queue twice, and both come when their time has come.
#[tokio::test]
async fn two_copies_of_an_attempt_make_it_once() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Late(Duration::from_millis(300), 200));
    let delivery = Delivery { ordinal: 2, ..sample::delivery(&webhook.id, &sample::batch("e", "team/app", &["1"])) };
    for _ in 0..3 {
        house.publish_waiting(&delivery).await;
    }
    let running = house.run();
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_shutdown_waits_no_longer_than_an_attempt_may_take() {
    let mut house = House::open().await;
    house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::Hang]);
    let deadlines = Deadlines { connect: Duration::from_secs(1), total: Duration::from_secs(2) };
    let running = house.run_as(Told { deadlines, ..Told::default() });
    house.publish(&sample::batch("e", "team/app", &["1"])).await;
    house.receiver.wait_for(1).await;
    let began = tokio::time::Instant::now();
    running.stop().await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    let judged = async || (house.embedded.depth(Queue::Deliveries).await.unwrap().messages == 0).then_some(());
    wait::until("the attempt to be judged and its batch settled", judged).await;
    house.reopen().await;
    let running = house.run();
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_shutdown_waits_for_an_answer_that_comes_soon() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::Late(Duration::from_millis(500), 200)]);
    let running = house.run();
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.receiver.wait_for(1).await;
    running.stop().await;
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert_eq!(record.state, DeliveryState::Delivered);
    house.wait_until_idle().await;
}

/// The message came to a second deliverer while the first one, which had lost the bus, was still at it. The first
/// records its attempt and dies before it publishes the retry.
#[tokio::test]
async fn whoever_holds_the_message_carries_out_what_another_recorded_and_died_of() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::Late(Duration::from_millis(500), 500)]);
    let batch = sample::batch("e", "team/app", &["1"]);
    let delivery = sample::delivery(&webhook.id, &batch);
    let running = house.run_as(Told { pauses: vec![Duration::from_millis(50); 5], ..Told::default() });
    house.publish_again(&batch).await;
    house.receiver.wait_for(1).await;
    let verdict = Verdict::Retry { at: house.clock.now() + Duration::from_millis(50) };
    house.record(&delivery, Outcome::Refused { status: 500, retry_after: None }, verdict).await;
    house.wait_until_idle().await;
    let record = house.history(&delivery.id).await;
    assert_eq!((record.state, house.receiver.requests().len()), (DeliveryState::Delivered, 2));
    running.stop().await;
}

/// The first has recorded the attempt and died before it published the retry, while the message, which came to a second
/// deliverer, waited there for its turn. By then the webhook is disabled.
async fn disabled_before_its_turn(is_asked_in_vain: bool) {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let slow = sample::webhook(2, "team/slow", Format::Dockerhub, &house.receiver.url("/slow"));
    house.embedded.put_webhook(&slow).await.unwrap();
    house.receiver.answer_always_at("/slow", Answer::Late(Duration::from_secs(2), 200));
    let store = Watched::new(&house.embedded);
    let running = house.run_on(Arc::<Watched>::clone(&store), Told { at_once: (1, 128), ..Told::default() });
    house.publish(&sample::batch("s", "team/slow", &["1"])).await;
    house.receiver.wait_for(1).await;
    let batch = sample::batch("e", "team/app", &["1"]);
    let (delivery, asked) = (sample::delivery(&webhook.id, &batch), store.asked().0);
    house.publish_again(&batch).await;
    wait::until("the message to be looked up", async || (store.asked().0 > asked).then_some(())).await;
    let at = house.clock.now() + Duration::from_millis(50);
    house.record(&delivery, Outcome::Refused { status: 500, retry_after: None }, Verdict::Retry { at }).await;
    let disabled = WebhookPatch { enabled: Some(false), ..WebhookPatch::default() };
    house.embedded.patch_webhook(&webhook.id, &disabled, house.clock.now()).await.unwrap();
    store.loses_a_verdict.store(is_asked_in_vain, Ordering::SeqCst);
    house.wait_until_idle().await;
    let record = house.history(&delivery.id).await;
    let ordinals: Vec<_> = record.attempts.iter().map(|attempt| attempt.ordinal).collect();
    assert_eq!(
        (record.state, ordinals),
        (DeliveryState::Skipped, vec![1, 2]),
        "its retry is skipped, and can be replayed"
    );
    assert!(!store.loses_a_verdict.load(Ordering::SeqCst), "it was asked");
    running.stop().await;
}

#[tokio::test]
async fn a_retry_that_was_never_published_is_made_up_for_although_its_webhook_was_disabled_meanwhile() {
    disabled_before_its_turn(false).await;
}

#[tokio::test]
async fn what_is_known_to_be_recorded_is_asked_for_until_it_is_told() {
    disabled_before_its_turn(true).await;
}

/// Its webhook fails, so that the message is to wait among those that come again, and there is no room.
#[tokio::test]
async fn a_retry_that_was_never_published_is_made_up_for_although_no_more_may_wait() {
    let house = House::open_small(EmbeddedLimits { queue_bytes: 64 * 1024, ..EmbeddedLimits::default() }).await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let batch = sample::batch("e", "team/app", &["1"]);
    let delivery = sample::delivery(&webhook.id, &batch);
    let at = house.clock.now() + Duration::from_millis(50);
    house.record(&delivery, Outcome::Refused { status: 500, retry_after: None }, Verdict::Retry { at }).await;
    let filling = Outgoing {
        body: vec![b'x'; 63 * 1024].into(),
        ..Outgoing::carrying(&Message::Batch(sample::batch("f", "other", &["1"])))
    };
    house.embedded.publish_after(Queue::Redeliveries, filling, Duration::from_hours(1)).await.unwrap();
    assert!(house.embedded.is_full(Queue::Redeliveries));
    house.publish_again(&batch).await;
    let running = house.run();
    let delivered = async || Some(house.history(&delivery.id).await).filter(|it| it.state == DeliveryState::Delivered);
    let record = wait::until("the retry to be delivered", delivered).await;
    let ordinals: Vec<_> = record.attempts.iter().map(|attempt| attempt.ordinal).collect();
    assert_eq!((ordinals, house.receiver.requests().len()), (vec![1, 2], 1));
    running.stop().await;
}
