//! Newest wins: old news is not sent over later news.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dockbell_backends::store::Health;
use dockbell_proto::batch::Batch;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::outcome::{DeliveryState, Outcome, Verdict};
use dockbell_proto::webhook::{Format, Webhook};
use dockbell_testkit::receiver::Answer;
use dockbell_testkit::{sample, wait};

use super::harness::{House, Told, header};
use super::watched::Watched;

/// What `webhook` is owed of a push of `tags`; a push of a higher number is a later one.
fn owed(webhook: &Webhook, number: u8, tags: &[&str]) -> Delivery {
    sample::delivery(&webhook.id, &push(number, tags))
}

fn push(number: u8, tags: &[&str]) -> Batch {
    sample::batch(&format!("v{number}"), "team/app", tags)
}

impl House {
    /// Records that the next attempt of `delivery` failed, and returns the one after it.
    async fn record_failed(&self, delivery: &Delivery) -> Delivery {
        let at = self.clock.now();
        self.record(delivery, Outcome::Refused { status: 500, retry_after: None }, Verdict::Retry { at }).await;
        delivery.retried(at)
    }

    async fn record_accepted(&self, delivery: &Delivery) {
        self.record(delivery, Outcome::Accepted { status: 200 }, Verdict::Delivered).await;
    }

    async fn record_dead(&self, delivery: &Delivery) {
        let (outcome, reason) = (Outcome::Refused { status: 410, retry_after: None }, "gone".to_owned());
        self.record(delivery, outcome, Verdict::Dead { reason }).await;
    }

    /// Has the deliverer work on `waiting`, and says whether it was sent.
    async fn sends(&self, waiting: &Delivery) -> bool {
        let before = self.receiver.requests().len();
        let running = self.run();
        self.publish_waiting(waiting).await;
        self.wait_until_idle().await;
        running.stop().await;
        self.receiver.requests().len() > before
    }
}

#[tokio::test]
async fn a_retry_is_not_sent_after_a_later_change_was_accepted() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::Status(500)]);
    // The retry that waits in the bus does not come within the test; a copy of it does.
    let running = house.run_as(Told { pauses: vec![Duration::from_hours(1)], ..Told::default() });
    let (older, later) = (owed(&webhook, 1, &["1"]), owed(&webhook, 2, &["1"]));
    house.publish(&push(1, &["1"])).await;
    house.history(&older.id).await;
    house.publish(&push(2, &["1"])).await;
    // At first it waits, because the attempt before it failed.
    let delivered = async || (house.history(&later.id).await.state == DeliveryState::Delivered).then_some(());
    wait::until("the later one to be delivered", delivered).await;
    house.publish_waiting(&older.retried(house.clock.now())).await;
    let is_over = async || Some(house.history(&older.id).await).filter(|record| record.attempts.len() == 2);
    let record = wait::until("the retry to be judged", is_over).await;
    assert_eq!((record.state, record.next_at), (DeliveryState::Superseded, None));
    let by = later.content.newest().unwrap().clone();
    assert_eq!(record.attempts[1].outcome, Outcome::Superseded { by: by.clone() });
    assert_eq!((&record.attempts[1].verdict, record.attempts[1].ordinal), (&Verdict::Superseded { by }, 2));
    let requests = house.receiver.requests();
    let ids: Vec<_> = requests.iter().map(|request| header(request, "webhook-id")).collect();
    assert_eq!(ids, [older.id.as_str(), later.id.as_str()]);
    assert_eq!(house.health(&webhook).await.consecutive_failures, 0);
    assert_eq!(house.dead_letters().await, []);
    running.stop().await;
}

#[tokio::test]
async fn a_retry_is_not_sent_while_a_later_change_waits() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let older = house.record_failed(&owed(&webhook, 1, &["1"])).await;
    let later = house.record_failed(&owed(&webhook, 2, &["1"])).await;
    let before = house.health(&webhook).await;
    assert!(!house.sends(&older).await);
    assert_eq!(house.history(&older.id).await.state, DeliveryState::Superseded);
    let expected = Health { waiting: before.waiting - 1, ..before };
    assert_eq!(house.health(&webhook).await, expected, "what was not sent counts for nothing, and waits no more");
    assert!(house.sends(&later).await, "the later one is still owed");
}

/// Else the receiver would end with neither.
#[tokio::test]
async fn a_later_change_that_was_given_up_takes_nobodys_place() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let older = house.record_failed(&owed(&webhook, 1, &["1"])).await;
    house.record_dead(&owed(&webhook, 2, &["1"])).await;
    let later = house.record_failed(&owed(&webhook, 3, &["1"])).await;
    house.record_dead(&later).await;
    assert!(house.sends(&older).await);
}

#[tokio::test]
async fn what_was_accepted_is_not_taken_back_when_a_later_change_is_given_up() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let oldest = house.record_failed(&owed(&webhook, 1, &["1"])).await;
    house.record_accepted(&owed(&webhook, 2, &["1"])).await;
    let latest = house.record_failed(&owed(&webhook, 3, &["1"])).await;
    house.record_dead(&latest).await;
    assert!(!house.sends(&oldest).await);
}

#[tokio::test]
async fn another_tag_and_another_webhook_take_nobodys_place() {
    let house = House::open().await;
    let (webhook, other) =
        (house.webhook(1, Format::Dockerhub, "/").await, house.webhook(2, Format::Dockerhub, "/other").await);
    let older = house.record_failed(&owed(&webhook, 1, &["1"])).await;
    house.record_accepted(&owed(&webhook, 2, &["2"])).await;
    house.record_accepted(&owed(&other, 2, &["1"])).await;
    assert!(house.sends(&older).await);
}

#[tokio::test]
async fn a_whole_batch_is_sent_until_all_its_tags_are_superseded() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Batch, "/").await;
    let first = house.record_failed(&owed(&webhook, 1, &["1", "2"])).await;
    house.record_accepted(&owed(&webhook, 2, &["1"])).await;
    assert!(house.sends(&first).await, "nothing else tells of the second tag");
    let second = house.record_failed(&owed(&webhook, 3, &["1", "2"])).await;
    house.record_accepted(&owed(&webhook, 4, &["1", "3"])).await;
    house.record_failed(&owed(&webhook, 5, &["2"])).await;
    assert!(!house.sends(&second).await);
    let record = house.history(&second.id).await;
    let by = push(5, &["2"]).newest().unwrap().clone();
    assert_eq!(record.attempts[1].verdict, Verdict::Superseded { by }, "the latest of them");
}

/// The same events may have been collected in two windows, after a crash, and neither is later.
#[tokio::test]
async fn a_change_of_the_same_order_takes_nobodys_place() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Batch, "/").await;
    let alone = house.record_failed(&owed(&webhook, 1, &["1"])).await;
    let both = Delivery { id: owed(&webhook, 9, &["9"]).id, ..owed(&webhook, 1, &["1", "2"]) };
    house.record_accepted(&both).await;
    assert!(house.sends(&alone).await);
}

#[tokio::test]
async fn a_redelivery_that_a_person_asked_for_is_sent_over_later_news_retries_included() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let older = owed(&webhook, 1, &["1"]);
    house.record_accepted(&older).await;
    house.record_accepted(&owed(&webhook, 2, &["1"])).await;
    house.receiver.answer_with(vec![Answer::Status(500)]);
    assert!(house.sends(&Delivery { request: 1, ..older.clone() }).await);
    assert_eq!(house.receiver.requests().len(), 2, "the redelivery, and its retry");
    assert_eq!(house.history(&older.id).await.state, DeliveryState::Delivered);
}

/// The message of the first push was held by a process that died, and comes after the second was told.
#[tokio::test]
async fn an_older_batch_that_comes_again_out_of_order_is_not_sent() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let running = house.run();
    house.publish(&push(2, &["1"])).await;
    house.receiver.wait_for(1).await;
    house.wait_until_idle().await;
    house.publish_again(&push(1, &["1", "2"])).await;
    house.wait_until_idle().await;
    let requests = house.receiver.requests();
    assert_eq!(requests.len(), 2, "the second push, and the tag that it was not about");
    let older = house.history(&owed(&webhook, 1, &["1"]).id).await;
    assert_eq!((older.state, older.attempts[0].ordinal), (DeliveryState::Superseded, 1));
    running.stop().await;
}

#[tokio::test]
async fn a_message_whose_delivery_was_superseded_already_changes_nothing() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.record_accepted(&owed(&webhook, 2, &["1"])).await;
    let running = house.run();
    for _ in 0..2 {
        house.publish_again(&push(1, &["1"])).await;
        house.wait_until_idle().await;
    }
    assert!(house.receiver.requests().is_empty());
    assert_eq!(house.history(&owed(&webhook, 1, &["1"]).id).await.attempts.len(), 1);
    assert_eq!(house.dead_letters().await, []);
    running.stop().await;
}

#[tokio::test]
async fn nothing_is_asked_before_a_first_attempt_and_once_before_a_retry() {
    let house = House::open().await;
    house.webhook(1, Format::Batch, "/").await;
    house.receiver.answer_with(vec![Answer::Status(500)]);
    let store = Watched::new(&house.embedded);
    let running = house.run_on(store.clone(), Told { pauses: vec![Duration::from_secs(1)], ..Told::default() });
    // Of a batch that is as fresh as can be, on however slow a machine.
    let closed_at = house.clock.now() + Duration::from_mins(1);
    house.publish(&Batch { closed_at, ..push(1, &["1", "2"]) }).await;
    house.receiver.wait_for(1).await;
    assert_eq!(store.asked(), (0, 0));
    house.wait_until_idle().await;
    assert_eq!((house.receiver.requests().len(), store.asked()), (2, (1, 1)));
    running.stop().await;
}

#[tokio::test]
async fn without_an_answer_a_delivery_is_sent_rather_than_withheld() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let older = house.record_failed(&owed(&webhook, 1, &["1"])).await;
    house.record_accepted(&owed(&webhook, 2, &["1"])).await;
    let store = Watched::new(&house.embedded);
    store.knows_newest.store(false, Ordering::SeqCst);
    let running = house.run_on(store.clone(), Told::default());
    house.publish_waiting(&older).await;
    house.wait_until_idle().await;
    assert_eq!((house.receiver.requests().len(), store.asked()), (1, (1, 1)));
    assert_eq!(house.history(&older.id).await.state, DeliveryState::Delivered);
    running.stop().await;
}

/// Retries to a receiver that hangs may wait for minutes until there is room for them.
#[tokio::test]
async fn what_is_overtaken_while_it_waits_for_room_is_not_sent() {
    let house = House::open().await;
    let (slow, webhook) =
        (house.webhook(1, Format::Dockerhub, "/slow").await, house.webhook(2, Format::Dockerhub, "/").await);
    house.receiver.answer_always_at("/slow", Answer::Late(Duration::from_secs(2), 200));
    let older = house.record_failed(&owed(&webhook, 1, &["1"])).await;
    let store = Watched::new(&house.embedded);
    let running = house.run_on(store.clone(), Told { at_once: (1, 128), ..Told::default() });
    house.publish_waiting(&owed(&slow, 1, &["1"])).await;
    house.receiver.wait_for(1).await;
    house.publish_waiting(&older).await;
    wait::until("the retry to be looked up", async || (store.asked().0 == 1).then_some(())).await;
    house.record_accepted(&owed(&webhook, 2, &["1"])).await;
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 1);
    assert_eq!(house.history(&older.id).await.state, DeliveryState::Superseded);
    running.stop().await;
}
