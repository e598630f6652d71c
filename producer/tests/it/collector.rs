//! From events to batches.

use std::time::Duration;

use dockbell_backends::bus::Queue;
use dockbell_proto::batch::Batch;
use dockbell_testkit::sample::event;
use dockbell_testkit::wait;
use serde_json::{Value, json};

use super::faulty::{Fault, FaultyBus};
use super::harness::{House, LONG, policy};

/// What a registry sent when an index of two platforms was pushed to it.
const RECORDING: &str = include_str!("../../../dockbell/src/demo/recording.json");

fn tags(batch: &Batch) -> Vec<&str> {
    batch.changes.iter().map(|change| change.tag.as_str()).collect()
}

#[tokio::test]
async fn a_multi_arch_push_becomes_one_change_with_its_platforms() {
    let house = House::open();
    for envelope in serde_json::from_str::<Vec<Value>>(RECORDING).unwrap() {
        house.put(envelope.to_string(), &[]).await;
    }
    let running = house.collect(policy(LONG, 3));
    let (batch, maybe_repeated) = house.batch().await;
    assert!(!maybe_repeated);
    assert_eq!((batch.repository.as_str(), tags(&batch), batch.events), ("demo/app", vec!["1.0"], 3));
    let blobs: Vec<_> = batch.changes[0].children.iter().map(|child| child.blobs.len()).collect();
    assert_eq!(blobs, [3, 3], "two platforms, whose pushes were reported before");
    house.wait_for_depth(Queue::Events, 0).await;
    running.stop().await;
    house.wait_for_depth(Queue::Deliveries, 0).await;
}

#[tokio::test]
async fn a_window_closes_by_itself_when_it_is_quiet() {
    let house = House::open();
    house.take_in(&event("1", "team/app", Some("x"), 0)).await;
    let running = house.collect(policy(Duration::from_millis(50), 1000));
    assert_eq!(tags(&house.batch().await.0), ["x"]);
    house.wait_for_depth(Queue::Events, 0).await;
    running.stop().await;
}

#[tokio::test]
async fn events_are_not_settled_before_their_batch_is_durable() {
    let house = House::open();
    for n in 0..3 {
        house.take_in(&event(&n.to_string(), "team/app", Some("x"), n)).await;
    }
    let bus = FaultyBus::new(house.bus.clone(), Queue::Deliveries);
    bus.fail_always(Some(Fault::Refused));
    let running = house.collect_over(bus.clone(), policy(LONG, 3), 1000);
    wait::until("a second attempt to publish", async || (bus.publishes() >= 2).then_some(())).await;
    assert_eq!(house.depth(Queue::Events).await.messages, 3);
    assert_eq!(house.depth(Queue::Deliveries).await.messages, 0);
    bus.fail_always(None);
    let (batch, maybe_repeated) = house.batch().await;
    assert_eq!((batch.events, maybe_repeated), (3, false), "what was refused is not repeated");
    house.wait_for_depth(Queue::Events, 0).await;
    running.stop().await;
}

#[tokio::test]
async fn a_batch_whose_confirmation_was_lost_is_published_again_and_says_so() {
    let house = House::open();
    house.take_in(&event("1", "team/app", Some("x"), 0)).await;
    let bus = FaultyBus::new(house.bus.clone(), Queue::Deliveries);
    bus.fail_next([Fault::AnswerLost, Fault::Refused]);
    let running = house.collect_over(bus, policy(LONG, 1), 1000);
    let batches = house.batches(2).await;
    assert_eq!(batches.iter().map(|(_, maybe_repeated)| *maybe_repeated).collect::<Vec<_>>(), [false, true]);
    assert_eq!(batches[0].0, batches[1].0);
    house.wait_for_depth(Queue::Events, 0).await;
    running.stop().await;
}

#[tokio::test]
async fn a_repeated_event_makes_no_second_batch() {
    let house = House::open();
    let same = event("1", "team/app", Some("x"), 0);
    house.take_in(&same).await;
    house.take_in(&same).await;
    house.take_in(&event("2", "team/app", Some("x"), 1)).await;
    let running = house.collect(policy(LONG, 2));
    let (batch, _) = house.batch().await;
    assert_eq!((batch.events, batch.changes[0].event_ids.len()), (2, 2));
    house.wait_for_depth(Queue::Events, 0).await;
    house.take_in(&same).await;
    house.wait_for_depth(Queue::Events, 0).await;
    running.stop().await;
    house.wait_for_depth(Queue::Deliveries, 0).await;
}

#[tokio::test]
async fn a_window_without_a_tag_is_settled_and_makes_no_batch() {
    let house = House::open();
    house.take_in(&event("1", "team/app", None, 0)).await;
    let running = house.collect(policy(LONG, 1));
    house.wait_for_depth(Queue::Events, 0).await;
    running.stop().await;
    house.wait_for_depth(Queue::Deliveries, 0).await;
}

/// Every window would stay open for long, but no more messages come while so many are held.
#[tokio::test]
async fn windows_close_when_they_hold_most_of_what_the_bus_hands_out() {
    let house = House::open();
    for n in 0..20 {
        house.take_in(&event(&n.to_string(), &format!("team/{n}"), Some("x"), n)).await;
    }
    let running = house.collect_over(house.bus.clone(), policy(LONG, 1000), 5);
    house.batches(16).await;
    running.stop().await;
    let owed = async || house.depth(Queue::Deliveries).await.messages + house.depth(Queue::Events).await.messages;
    wait::until("the rest to be settled or to be left", async || (owed().await == 4).then_some(())).await;
}

#[tokio::test]
async fn an_envelope_of_a_foreign_publisher_is_settled_with_its_last_batch() {
    let house = House::open();
    let push = |id: &str, repository: &str, tag: Option<&str>| {
        json!({"id": id, "action": "push", "request": {"host": "hub.test"}, "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": repository, "tag": tag, "size": 7,
            "digest": format!("sha256:{}", "a".repeat(64))}})
    };
    let bus = FaultyBus::new(house.bus.clone(), Queue::Deliveries);
    bus.fail_next([Fault::Refused]);
    house.put(json!({"events": [push("1", "a", Some("x")), push("2", "b", Some("y"))]}).to_string(), &[]).await;
    let running = house.collect_over(bus, policy(LONG, 1), 1000);
    let first = house.batch().await.0;
    assert_eq!(house.depth(Queue::Events).await.messages, 1, "the other batch is not yet durable");
    let second = house.batch().await.0;
    let mut repositories = [first.repository.as_str(), second.repository.as_str()];
    repositories.sort_unstable();
    assert_eq!(repositories, ["a", "b"]);
    house.wait_for_depth(Queue::Events, 0).await;

    house.put(push("3", "c", Some("z")).to_string(), &[("dockbell-source", "lab")]).await;
    let bare = house.batch().await.0;
    assert_eq!((tags(&bare), bare.source.as_str()), (vec!["z"], "lab"));
    house.wait_for_depth(Queue::Events, 0).await;
    running.stop().await;
}
