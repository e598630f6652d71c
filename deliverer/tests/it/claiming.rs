//! Copies of one message in the hands of several deliverers.

use dockbell_deliverer::transport::Deadlines;
use dockbell_proto::outcome::DeliveryState;
use dockbell_proto::webhook::Format;
use dockbell_testkit::receiver::Answer;
use dockbell_testkit::sample;
use tokio::time::Duration;

use super::harness::{House, Told};
use super::watched::Watched;

/// One message for each deliverer.
fn alone() -> Told {
    Told { at_once: (1, 1), ..Told::default() }
}

#[tokio::test]
async fn of_two_deliverers_with_a_copy_one_makes_the_attempt_and_the_other_waits_for_it() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Late(Duration::from_secs(1), 200));
    let store = Watched::shared(&house.embedded);
    let running = [house.run_on(store.clone(), alone()), house.run_on(store.clone(), alone())];
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.receiver.wait_for(1).await;
    house.publish_again(&batch).await;
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 1);
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert_eq!((record.state, record.attempts.len()), (DeliveryState::Delivered, 1));
    for deliverer in running {
        deliverer.stop().await;
    }
}

/// What follows a failed attempt is for one of them to carry out, so that the next attempt is made once as well.
#[tokio::test]
async fn copies_of_what_fails_are_attempted_as_often_as_the_schedule_says() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Late(Duration::from_millis(500), 500));
    let store = Watched::shared(&house.embedded);
    let running = [house.run_on(store.clone(), alone()), house.run_on(store.clone(), alone())];
    let batch = sample::batch("e", "team/app", &["1"]);
    for _ in 0..2 {
        house.publish(&batch).await;
    }
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 3);
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert_eq!((record.state, record.attempts.len()), (DeliveryState::Dead, 3));
    for deliverer in running {
        deliverer.stop().await;
    }
}

/// An attempt may take longer than a claim lasts.
#[tokio::test]
async fn an_attempt_that_goes_on_stays_claimed() {
    let house = House::open().await;
    house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Late(Duration::from_secs(7), 200));
    let store = Watched::shared(&house.embedded);
    let running = [house.run_on(store.clone(), alone()), house.run_on(store.clone(), alone())];
    for _ in 0..2 {
        house.publish(&sample::batch("e", "team/app", &["1"])).await;
    }
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 1);
    for deliverer in running {
        deliverer.stop().await;
    }
}

#[tokio::test]
async fn what_a_deliverer_had_under_way_when_it_died_is_attempted_by_another() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::Hang]);
    let store = Watched::shared(&house.embedded);
    let dying = house.run_on(store.clone(), alone());
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.receiver.wait_for(1).await;
    dying.kill().await;
    let living = house.run_on(store.clone(), alone());
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 2);
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert_eq!(record.state, DeliveryState::Delivered);
    living.stop().await;
}

/// It does not hold up the end of the process: its message comes back to others.
#[tokio::test]
async fn who_waits_for_another_deliverer_stops_at_once() {
    let house = House::open().await;
    house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::Hang]);
    let store = Watched::shared(&house.embedded);
    let deadlines = Deadlines { connect: Duration::from_secs(1), total: Duration::from_mins(1) };
    let told = Told { deadlines, ..alone() };
    let busy = house.run_on(store.clone(), told.clone());
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.receiver.wait_for(1).await;
    let waiting = house.run_on(store.clone(), told);
    house.publish_again(&batch).await;
    store.held_off(1).await;
    let began = tokio::time::Instant::now();
    waiting.stop().await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    busy.kill().await;
    assert_eq!(house.receiver.requests().len(), 1);
}

/// One delivery, by which the webhook is known, and then the store is away.
async fn lose_after_one(house: &House, store: &Watched) {
    house.webhook(1, Format::Dockerhub, "/").await;
    house.publish(&sample::batch("e", "team/app", &["1"])).await;
    house.receiver.wait_for(1).await;
    house.wait_until_idle().await;
    store.go_away();
}

/// A busy store is no reason to make an attempt that somebody else may be making.
#[tokio::test]
async fn a_store_that_is_silent_for_a_moment_is_asked_again_before_an_attempt_is_made() {
    let house = House::open().await;
    let store = Watched::shared(&house.embedded);
    let running = house.run_on(store.clone(), alone());
    lose_after_one(&house, &store).await;
    house.publish(&sample::batch("f", "team/app", &["1"])).await;
    store.asked_while_away(3).await;
    assert_eq!(house.receiver.requests().len(), 1);
    store.come_back();
    house.receiver.wait_for(2).await;
    house.wait_until_idle().await;
    running.stop().await;
}

/// Without an answer nobody knows, and a delivery that comes twice is better than one that does not come.
#[tokio::test]
async fn an_attempt_is_made_without_a_claim_while_the_store_does_not_answer() {
    let house = House::open().await;
    let store = Watched::shared(&house.embedded);
    let running = house.run_on(store.clone(), alone());
    lose_after_one(&house, &store).await;
    let batch = sample::batch("f", "team/app", &["1"]);
    house.publish(&batch).await;
    house.receiver.wait_for(2).await;
    house.wait_until_idle().await;
    // Nobody else can tell that it was made.
    house.publish_again(&batch).await;
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 2);
    store.come_back();
    running.stop().await;
}
