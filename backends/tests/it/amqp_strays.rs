//! What others published and nothing was bound to take.

use std::num::NonZeroU16;

use dockbell_backends::amqp::{Amqp, AmqpOptions};
use dockbell_backends::bus::{Bus, Consumer, Queue};
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::wait::until;

use crate::amqp_harness::{open, options};
use crate::amqp_robust::{consume, next, play};

const REGISTRY: &str = "registry.events";
const ONLY_SHARD: &str = "dockbell.events.v1.00";
const INBOX: &str = "dockbell.inbox.v1";
/// How often a look must not cost a stray: more than brokers from 4.0 on allow where nothing is said.
const LOOKS: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_was_bound_to_take_is_kept_and_replayed() {
    let node = Node::start().await;
    play(&node, strays_are_looked_at_and_replayed_in_their_order).await;
    play(&node, strays_go_to_the_inbox_where_there_are_shards).await;
    play(&node, a_stray_that_is_not_taken_stays).await;
}

/// A bus whose binding to what others publish to is lost, and `count` messages that others published since.
async fn with_strays(node: &Node, host: &str, (options, queue): (AmqpOptions, &str), count: usize) -> Amqp {
    let bus = open(node.port(), host, options).await.unwrap();
    node.unbind(host, REGISTRY, queue, "%23").await;
    for number in 0..count {
        node.publish(host, REGISTRY, "push.hub.test", &format!("m{number}")).await;
    }
    bus
}

/// The bodies of the strays.
async fn bodies(bus: &Amqp, limit: u32) -> Vec<String> {
    let strays = bus.unrouted(limit).await.unwrap();
    assert!(strays.iter().all(|stray| stray.key == "push.hub.test"), "{strays:?}");
    strays.iter().map(|stray| String::from_utf8_lossy(&stray.body).into_owned()).collect()
}

/// Acknowledges the next messages; their bodies.
async fn take(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let received = next(consumer).await;
        taken.push(String::from_utf8_lossy(&received.body).into_owned());
        received.receipt.ack().await.unwrap();
    }
    taken
}

async fn strays_are_looked_at_and_replayed_in_their_order(node: &Node, host: &str) {
    let bus = with_strays(node, host, (options(1), ONLY_SHARD), 5).await;
    for _ in 0..LOOKS {
        assert_eq!(bodies(&bus, 3).await, ["m0", "m1", "m2"]);
    }
    assert_eq!(bus.replay_unrouted(2).await, Ok(2));
    assert_eq!(bodies(&bus, 10).await, ["m2", "m3", "m4"]);
    assert_eq!(bus.replay_unrouted(10).await, Ok(3), "although the binding is still missing");
    assert_eq!(bus.replay_unrouted(10).await, Ok(0));
    assert!(bodies(&bus, 10).await.is_empty());
    let mut events = consume(&bus, Queue::Events, 1).await;
    assert_eq!(take(&mut events, 5).await, ["m0", "m1", "m2", "m3", "m4"]);
    bus.close().await;
}

async fn strays_go_to_the_inbox_where_there_are_shards(node: &Node, host: &str) {
    let bus = with_strays(node, host, (options(4), INBOX), 2).await;
    assert_eq!(bus.replay_unrouted(10).await, Ok(2));
    let mut inbox = bus.consume_inbox(NonZeroU16::MIN).await.unwrap().unwrap();
    assert_eq!(take(&mut inbox, 2).await, ["m0", "m1"]);
    bus.close().await;
}

async fn a_stray_that_is_not_taken_stays(node: &Node, host: &str) {
    let bus = with_strays(node, host, (options(1), ONLY_SHARD), 2).await;
    node.unbind(host, "dockbell.events", ONLY_SHARD, "00").await;
    let refused = bus.replay_unrouted(10).await.unwrap_err();
    assert!(refused.to_string().contains("cannot be routed"), "{refused}");
    assert_eq!(bodies(&bus, 10).await, ["m0", "m1"]);
    // What was returned makes the bus look for what is missing.
    let replayed = until("a replay", || async { bus.replay_unrouted(10).await.ok() }).await;
    assert_eq!(replayed, 2);
    bus.close().await;
}
