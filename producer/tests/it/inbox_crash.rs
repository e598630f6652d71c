//! What the inbox owes when a publish fails, and when it ends, well or badly.

use std::collections::BTreeSet;
use std::time::Duration;

use dockbell_backends::bus::Queue;
use dockbell_testkit::wait;
use serde_json::json;
use tokio::time::Instant;

use super::faulty::Fault;
use super::harness::House;
use super::inbox::{INBOX, bus, push};

/// A house with an envelope of three events of two repositories in its inbox.
async fn with_envelope() -> House {
    let house = House::open();
    let events = [push("1", "team/a", "x"), push("2", "team/b", "x"), push("3", "team/a", "y")];
    house.put_on(INBOX, json!({"events": events}).to_string(), &[]).await;
    house
}

#[tokio::test]
async fn a_message_comes_again_when_the_producer_is_killed_before_all_its_events_are_durable() {
    let house = with_envelope().await;
    let first = bus(&house);
    first.fail_next([Fault::Hangs]);
    let running = house.empty_inbox(first, 10);
    house.wait_for_depth(Queue::Events, 2).await;
    assert_eq!(house.depth(INBOX).await.messages, 1, "one event is not yet durable");
    running.kill().await;

    let again = house.empty_inbox(bus(&house), 10);
    house.wait_for_depth(INBOX, 0).await;
    let messages = house.consume(Queue::Events, 5).await;
    let ids: BTreeSet<_> = messages.iter().map(|message| message.event().id.to_string()).collect();
    assert_eq!(ids.into_iter().collect::<Vec<_>>(), ["1", "2", "3"]);
    let repeated: Vec<_> = messages.iter().map(|message| message.maybe_repeated).collect();
    assert_eq!(repeated, [false, false, true, true, true], "the bus had handed the message out before");
    again.stop().await;
}

#[tokio::test]
async fn a_publish_that_fails_is_repeated_and_its_message_stays_unsettled() {
    let house = with_envelope().await;
    let bus = bus(&house);
    bus.fail_always(Some(Fault::Refused));
    let running = house.empty_inbox(bus.clone(), 10);
    wait::until("a second attempt of each", async || (bus.publishes() >= 6).then_some(())).await;
    assert_eq!((house.depth(INBOX).await.messages, house.depth(Queue::Events).await.messages), (1, 0));
    bus.fail_always(None);
    house.wait_for_depth(INBOX, 0).await;
    let messages = house.consume(Queue::Events, 3).await;
    assert!(messages.iter().all(|message| !message.maybe_repeated), "what was refused is not repeated");
    running.stop().await;
}

#[tokio::test]
async fn an_event_whose_confirmation_was_lost_is_published_again_and_says_so() {
    let house = House::open();
    house.put_on(INBOX, push("1", "team/a", "x").to_string(), &[]).await;
    let bus = bus(&house);
    bus.fail_next([Fault::AnswerLost]);
    let running = house.empty_inbox(bus, 10);
    let messages = house.consume(Queue::Events, 2).await;
    assert_eq!(messages.iter().map(|message| message.maybe_repeated).collect::<Vec<_>>(), [false, true]);
    assert_eq!(messages[0].event(), messages[1].event());
    house.wait_for_depth(INBOX, 0).await;
    running.stop().await;
}

#[tokio::test]
async fn a_shutdown_ends_what_is_under_way_and_takes_nothing_more() {
    let house = with_envelope().await;
    let bus = bus(&house);
    bus.fail_always(Some(Fault::Refused));
    let running = house.empty_inbox(bus.clone(), 1);
    wait::until("the first attempts", async || (bus.publishes() >= 3).then_some(())).await;
    house.put_on(INBOX, push("4", "team/a", "z").to_string(), &[]).await;
    running.ask_to_stop();
    bus.fail_always(None);
    running.stop().await;
    assert_eq!(house.depth(Queue::Events).await.messages, 3);
    // The message that came later stays.
    house.wait_for_depth(INBOX, 1).await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_bus_that_is_away() {
    let house = with_envelope().await;
    let bus = bus(&house);
    bus.fail_always(Some(Fault::Hangs));
    let running = house.empty_inbox(bus.clone(), 10);
    wait::until("the publishes", async || (bus.publishes() == 3).then_some(())).await;
    let began = Instant::now();
    running.stop().await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(house.depth(INBOX).await.messages, 1, "the message is still owed");
}
