//! What others published is published again, under its key.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::Bus as _;
use dockbell_backends::bus::Queue;
use dockbell_proto::event::Event;
use dockbell_testkit::sample::event;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::faulty::{Fault, FaultyBus};
use super::harness::{House, LONG, policy};

/// Where the messages of the inbox stand here.
pub(crate) const INBOX: Queue = Queue::Redeliveries;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub(crate) fn bus(house: &House) -> Arc<FaultyBus> {
    FaultyBus::with_inbox(house.bus.clone(), INBOX)
}

/// A push as a distribution registry reports it.
pub(crate) fn push(id: &str, repository: &str, tag: &str) -> Value {
    json!({"id": id, "action": "push", "timestamp": "2026-01-02T03:04:05Z", "request": {"host": "hub.test"},
        "target": {"repository": repository, "tag": tag, "size": 7}})
}

pub(crate) fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.id.as_str()).collect()
}

async fn events(house: &House, count: usize) -> Vec<Event> {
    house.consume(Queue::Events, count).await.iter().map(super::harness::Consumed::event).collect()
}

#[tokio::test]
async fn the_events_of_an_envelope_arrive_under_their_keys_with_source_and_trace() {
    let (house, noise) = (House::open(), json!({"action": "pull", "target": {"repository": "a"}}));
    let envelope =
        json!({"events": [push("1", "team/a", "x"), noise, push("2", "team/b", "y"), push("3", "team/a", "z")]});
    house.put_on(INBOX, envelope.to_string(), &[("dockbell-source", "lab"), ("traceparent", TRACE)]).await;
    let bus = bus(&house);
    let running = house.empty_inbox(bus.clone(), 10);
    house.wait_for_depth(INBOX, 0).await;
    assert_eq!(bus.keys(), ["hub.test/team/a", "hub.test/team/b", "hub.test/team/a"]);
    let messages = house.consume(Queue::Events, 3).await;
    for (message, id) in messages.iter().zip(["1", "2", "3"]) {
        assert!(message.headers.contains(&("dockbell-source".to_owned(), "lab".to_owned())));
        let event = message.event();
        assert_eq!((event.id.as_str(), event.source.as_str()), (id, "lab"));
        assert_eq!((event.trace.traceparent.as_str(), event.received_at), (TRACE, None));
        assert!(!message.maybe_repeated);
    }
    running.stop().await;
}

/// What is published again must be read by the collector, also where its source is not configured any more.
#[tokio::test]
async fn what_was_published_again_is_collected() {
    let house = House::open();
    let native = |id: &str| serde_json::to_string(&event(id, "team/app", Some("x"), 0)).unwrap();
    house.put_on(INBOX, native("1"), &[("dockbell-source", "unheard-of")]).await;
    house.put_on(INBOX, native("2"), &[("dockbell-source", "own")]).await;
    house.put_on(INBOX, push("3", "team/app", "y").to_string(), &[]).await;
    let inbox = house.empty_inbox(bus(&house), 10);
    let collector = house.collect(policy(LONG, 2));
    let mut batch = house.batch().await.0;
    batch.changes.retain(|change| change.tag.as_str() == "x");
    let ids: Vec<_> = batch.changes[0].event_ids.iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["1", "2"]);
    house.wait_for_depth(INBOX, 0).await;
    inbox.stop().await;
    collector.stop().await;
    assert_eq!(house.bus.dead_letters(0, 10).await.unwrap(), []);
}

#[tokio::test]
async fn messages_are_published_again_in_the_order_in_which_they_came() {
    let house = House::open();
    let expected: Vec<_> = (0..200).map(|n| format!("{n:03}")).collect();
    for pair in expected.chunks(2) {
        let envelope = json!({"events": pair.iter().map(|id| push(id, "team/app", "x")).collect::<Vec<_>>()});
        house.put_on(INBOX, envelope.to_string(), &[]).await;
    }
    let running = house.empty_inbox(bus(&house), 100);
    assert_eq!(ids(&events(&house, 200).await), expected);
    house.wait_for_depth(INBOX, 0).await;
    running.stop().await;
}

#[tokio::test]
async fn an_envelope_of_a_thousand_events_arrives_whole() {
    let house = House::open();
    let pushes: Vec<_> = (0..1000).map(|n| push(&n.to_string(), &format!("team/{}", n % 10), "x")).collect();
    house.put_on(INBOX, json!({"events": pushes}).to_string(), &[]).await;
    let running = house.empty_inbox(bus(&house), 10);
    let distinct: BTreeSet<_> = events(&house, 1000).await.into_iter().map(|event| event.id).collect();
    assert_eq!(distinct.len(), 1000);
    house.wait_for_depth(INBOX, 0).await;
    house.wait_for_depth(Queue::Events, 0).await;
    running.stop().await;
}

#[tokio::test]
async fn no_more_is_taken_while_a_thousand_events_are_under_way() {
    let house = House::open();
    for message in 0..4 {
        let pushes: Vec<_> = (0..600).map(|n| push(&format!("{message}-{n}"), "team/app", "x")).collect();
        house.put_on(INBOX, json!({"events": pushes}).to_string(), &[]).await;
    }
    let bus = bus(&house);
    bus.fail_always(Some(Fault::Hangs));
    let mut running = house.empty_inbox(bus.clone(), 10);
    dockbell_testkit::wait::until("two messages", async || (bus.publishes() >= 1200).then_some(())).await;
    assert!(running.is_running_after(Duration::from_millis(200)).await);
    assert_eq!(bus.publishes(), 1200);
    running.kill().await;
}

#[tokio::test]
async fn poison_is_kept_with_its_reason_and_blocks_nothing() {
    let house = House::open();
    for body in [
        "{",
        r#"{"schema": "dockbell.event/99"}"#,
        r#"{"events": [{"action": "push", "target": {"repository": "..", "tag": "x"}}]}"#,
    ] {
        house.put_on(INBOX, body, &[]).await;
    }
    house.put_on(INBOX, push("0", "a", "x").to_string(), &[("dockbell-source", "unheard-of")]).await;
    house.put_on(INBOX, push("1", "a", "x").to_string(), &[]).await;
    let running = house.empty_inbox(bus(&house), 1);
    assert_eq!(ids(&events(&house, 1).await), ["1"]);
    house.wait_for_depth(INBOX, 0).await;
    running.stop().await;
    let letters = house.bus.dead_letters(0, 10).await.unwrap();
    let reasons = ["not JSON", "dockbell.event/99", "no valid repository", "a source that is not configured"];
    assert_eq!(letters.len(), reasons.len());
    for (letter, reason) in letters.iter().zip(reasons) {
        assert!(letter.reason.contains(reason), "{} is not {reason}", letter.reason);
    }
}

/// What waits to become a dead letter does not count as being published.
#[tokio::test]
async fn poison_that_cannot_be_given_up_does_not_stop_the_events_behind_it() {
    let house = House::open();
    join_all((0..1001).map(|_| house.put_on(INBOX, "{", &[]))).await;
    house.put_on(INBOX, push("1", "a", "x").to_string(), &[]).await;
    let bus = bus(&house);
    bus.let_burials_hang();
    let running = house.empty_inbox(bus, 2000);
    assert_eq!(ids(&events(&house, 1).await), ["1"]);
    house.wait_for_depth(INBOX, 1001).await;
    running.kill().await;
}

#[tokio::test]
async fn noise_is_acknowledged_and_goes_nowhere() {
    let house = House::open();
    for body in [r#"{"events": []}"#, "{}", r#"{"action": "pull", "target": {"repository": "a"}}"#] {
        house.put_on(INBOX, body, &[]).await;
    }
    let running = house.empty_inbox(bus(&house), 1);
    house.wait_for_depth(INBOX, 0).await;
    running.stop().await;
    assert_eq!(house.depth(Queue::Events).await.messages, 0);
    assert_eq!(house.bus.dead_letters(0, 10).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_inbox_it_waits_for_the_end() {
    let house = House::open();
    let mut running = house.empty_inbox(house.bus.clone(), 1);
    assert!(running.is_running_after(Duration::from_hours(1)).await);
    running.stop().await;
}
