//! What the collector owes when it ends, well or badly.

use std::time::Duration;

use dockbell_backends::bus::Queue;
use dockbell_testkit::sample::event;
use tokio::time::Instant;

use super::faulty::{Fault, FaultyBus};
use super::harness::{House, LONG, Running, policy};

/// A collector that holds an open window of `held`. What follows it on the queue has left, so it was taken.
async fn holding(house: &House) -> Running {
    house.take_in(&event("held", "held", Some("x"), 0)).await;
    house.take_in(&event("1", "other", Some("x"), 1)).await;
    house.take_in(&event("2", "other", Some("x"), 2)).await;
    let running = house.collect(policy(LONG, 2));
    assert_eq!(house.batch().await.0.repository.as_str(), "other");
    house.wait_for_depth(Queue::Events, 1).await;
    running
}

#[tokio::test]
async fn a_shutdown_publishes_open_windows_at_once() {
    let house = House::open();
    let running = holding(&house).await;
    let began = Instant::now();
    running.stop().await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(house.batch().await.0.repository.as_str(), "held");
    house.wait_for_depth(Queue::Events, 0).await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_bus_that_is_away() {
    let house = House::open();
    house.take_in(&event("1", "team/app", Some("x"), 0)).await;
    let bus = FaultyBus::new(house.bus.clone(), Queue::Deliveries);
    bus.fail_always(Some(Fault::Hangs));
    let running = house.collect_over(bus.clone(), policy(Duration::from_millis(1), 1), 1000);
    dockbell_testkit::wait::until("a publish", async || (bus.publishes() == 1).then_some(())).await;
    let began = Instant::now();
    running.stop().await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(house.depth(Queue::Events).await.messages, 1, "the event is still owed");
}

#[tokio::test]
async fn a_kill_with_an_open_window_loses_nothing() {
    let house = House::open();
    holding(&house).await.kill().await;
    house.wait_for_depth(Queue::Deliveries, 0).await;
    let again = house.collect(policy(Duration::from_millis(50), 2));
    let (batch, maybe_repeated) = house.batch().await;
    assert_eq!((batch.repository.as_str(), maybe_repeated), ("held", true), "it may have been published before");
    house.wait_for_depth(Queue::Events, 0).await;
    again.stop().await;
}

#[tokio::test]
async fn a_window_that_is_collected_again_makes_the_same_batch() {
    let house = House::open();
    for n in 0..3 {
        house.take_in(&event(&n.to_string(), "team/app", Some("x"), n)).await;
    }
    let bus = FaultyBus::new(house.bus.clone(), Queue::Deliveries);
    bus.fail_next([Fault::AnswerLost]);
    bus.fail_always(Some(Fault::Hangs));
    let running = house.collect_over(bus, policy(LONG, 3), 1000);
    let (first, _) = house.batch().await;
    running.kill().await;
    assert_eq!(house.depth(Queue::Events).await.messages, 3, "its confirmation never came");
    let again = house.collect(policy(LONG, 3));
    let (second, maybe_repeated) = house.batch().await;
    assert!(maybe_repeated);
    assert_eq!(first.changes, second.changes);
    house.wait_for_depth(Queue::Events, 0).await;
    again.stop().await;
}
