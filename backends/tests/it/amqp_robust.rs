//! What a broker does to its clients, and what must become of it.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::time::Duration;

use dockbell_backends::amqp::Amqp;
use dockbell_backends::bus::{Bus, Consumer, PublishError, Queue, Received};
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::wait::until;
use tokio::time::{Instant, timeout};

use crate::amqp_bundles::what_waits_together_is_one_message_of_the_broker;
use crate::amqp_harness::{open, options, trouble};
use crate::harness::outgoing;

const SOON: Duration = Duration::from_secs(20);
/// With room for a slow machine.
const BACK_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn next(consumer: &mut Consumer) -> Received {
    timeout(SOON, consumer.next()).await.expect("a message in time").unwrap()
}

pub(crate) async fn consume(bus: &Amqp, queue: Queue, prefetch: u16) -> Consumer {
    bus.consume(queue, NonZeroU16::new(prefetch).unwrap()).await.unwrap()
}

async fn publish_until_taken(bus: &Amqp, id: &str) {
    until("a publish", || async { bus.publish(Queue::Deliveries, outgoing(id, b"x".to_vec())).await.ok() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_does_to_its_clients_is_survived() {
    let node = Node::start().await;
    play(&node, a_closed_connection_is_replaced_with_its_prefetch).await;
    play(&node, a_queue_that_was_deleted_is_made_again_and_consumed).await;
    play(&node, what_others_publish_is_consumed_as_an_event).await;
    play(&node, dead_letters_beyond_the_last_are_none).await;
    play(&node, what_waits_together_is_one_message_of_the_broker).await;
    play(&node, consumers_that_come_and_go_keep_nothing_from_others).await;
    play(&node, a_broker_that_restarts_in_good_order_is_taken_up_again_within_seconds).await;
}

/// Prints the name of the scenario before it is played, so that the last one names the failure.
pub(crate) async fn play(node: &Node, scenario: impl AsyncFnOnce(&Node, &str)) {
    eprintln!("{}", std::any::type_name_of_val(&scenario));
    scenario(node, &node.virtual_host().await).await;
}

async fn a_closed_connection_is_replaced_with_its_prefetch(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    for number in 0..20 {
        bus.publish(Queue::Deliveries, outgoing(&format!("m{number}"), b"x".to_vec())).await.unwrap();
    }
    let mut consumer = consume(&bus, Queue::Deliveries, 3).await;
    let stale = next(&mut consumer).await;
    let closed = until("connections to close", || async {
        let closed = node.close_connections(host).await;
        (closed > 0).then_some(closed)
    });
    assert_eq!(closed.await, 2);
    let began = Instant::now();
    until("a receipt to be stale", || async { bus.depth(Queue::Events).await.ok() }).await;
    let mut held = Vec::new();
    // The old connection's may be handed out until it is noticed to be closed; their receipts are stale.
    stale.receipt.ack().await.ok();
    for _ in 0..3 {
        held.push(next(&mut consumer).await);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(timeout(Duration::from_secs(1), consumer.next()).await.is_err(), "the prefetch is not kept");
    publish_until_taken(&bus, "again").await;
    bus.close().await;
    assert!(consumer.next().await.is_none());
}

async fn a_queue_that_was_deleted_is_made_again_and_consumed(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    let mut consumer = consume(&bus, Queue::Deliveries, 3).await;
    publish_until_taken(&bus, "before").await;
    next(&mut consumer).await.receipt.ack().await.unwrap();
    node.delete_queue(host, "dockbell.deliveries.v1.00").await;
    publish_until_taken(&bus, "after").await;
    assert_eq!(next(&mut consumer).await.id, "after");
    bus.close().await;
}

async fn a_broker_that_restarts_in_good_order_is_taken_up_again_within_seconds(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    let mut consumer = consume(&bus, Queue::Deliveries, 2).await;
    for id in ["a", "b", "c"] {
        publish_until_taken(&bus, id).await;
    }
    let held = next(&mut consumer).await;
    node.stop_broker().await;
    let refused = bus.publish(Queue::Deliveries, outgoing("refused", b"x".to_vec())).await;
    assert!(matches!(refused, Err(PublishError::Unknown(_) | PublishError::Unavailable(_))), "{refused:?}");
    node.start_broker().await;
    let began = Instant::now();
    publish_until_taken(&bus, "after").await;
    assert!(held.receipt.ack().await.is_err(), "its connection is gone");
    let mut left = BTreeSet::from(["a", "b", "c", "after"]);
    while !left.is_empty() {
        let received = next(&mut consumer).await;
        left.remove(received.id.as_str());
        received.receipt.ack().await.ok();
    }
    eprintln!("all is back {:?} after the broker", began.elapsed());
    assert!(began.elapsed() < BACK_WITHIN, "{:?}", began.elapsed());
    bus.close().await;
}

pub(crate) async fn a_virtual_host_that_is_gone_is_used_again_when_it_is_back(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    let mut consumer = consume(&bus, Queue::Deliveries, 1).await;
    node.remove_virtual_host(host).await;
    trouble(&bus, "").await;
    let refused = bus.publish(Queue::Deliveries, outgoing("refused", b"x".to_vec())).await;
    assert!(matches!(refused, Err(PublishError::Unknown(_) | PublishError::Unavailable(_))), "{refused:?}");
    node.make_virtual_host(host).await;
    publish_until_taken(&bus, "after").await;
    assert_eq!(next(&mut consumer).await.id, "after");
    bus.close().await;
}

async fn what_others_publish_is_consumed_as_an_event(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    assert!(node.publish(host, "registry.events", "push.hub.test", "an event").await);
    let mut consumer = consume(&bus, Queue::Events, 1).await;
    let received = next(&mut consumer).await;
    assert_eq!((&received.body[..], received.id.as_str()), (&b"an event"[..], ""));
    received.receipt.ack().await.unwrap();
    bus.close().await;
}

/// It has a node of its own, which is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_survives_the_broker_and_its_clients_come_back() {
    let node = Node::start().await;
    let host = node.virtual_host().await;
    let bus = open(node.port(), &host, options(1)).await.unwrap();
    let mut consumer = consume(&bus, Queue::Deliveries, 2).await;
    for number in 0..20 {
        bus.publish(Queue::Deliveries, outgoing(&format!("m{number:02}"), b"x".to_vec())).await.unwrap();
    }
    bus.publish_after(Queue::Redeliveries, outgoing("late", b"x".to_vec()), Duration::from_secs(1)).await.unwrap();
    let held = next(&mut consumer).await;
    // A node that is killed earlier breaks its youngest quorum queues.
    tokio::time::sleep(Duration::from_secs(12)).await;
    node.kill().await;
    let refused = bus.publish(Queue::Deliveries, outgoing("refused", b"x".to_vec())).await;
    assert!(matches!(refused, Err(PublishError::Unknown(_) | PublishError::Unavailable(_))), "{refused:?}");
    node.restart().await;
    publish_until_taken(&bus, "last").await;
    assert_eq!(held.receipt.ack().await, Err(dockbell_backends::bus::BusError::Stale));
    let mut found = BTreeSet::new();
    while found.len() < 21 || !found.contains("last") {
        let received = timeout(2 * SOON, consumer.next()).await.expect("a message in time").unwrap();
        received.receipt.ack().await.ok();
        found.insert(received.id);
        found.remove("refused");
    }
    let mut late = consume(&bus, Queue::Redeliveries, 1).await;
    assert_eq!(timeout(2 * SOON, late.next()).await.expect("a message in time").unwrap().id, "late");
    bus.close().await;
}

async fn dead_letters_beyond_the_last_are_none(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    assert!(bus.dead_letters(1_000, 10).await.unwrap().is_empty());
    bus.bury(Queue::Events, outgoing("a", b"x".to_vec()), "gone".to_owned()).await.unwrap();
    assert!(bus.dead_letters(1_000, 10).await.unwrap().is_empty());
    bus.close().await;
}

/// What was received for a consumer that is gone goes to the others, whenever it came.
async fn consumers_that_come_and_go_keep_nothing_from_others(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(2)).await.unwrap();
    for number in 0..100 {
        bus.publish(Queue::Deliveries, outgoing(&format!("m{number}"), b"x".to_vec())).await.unwrap();
    }
    for pause_ms in 0..20 {
        let consumer = consume(&bus, Queue::Deliveries, 10).await;
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        drop(consumer);
    }
    let mut consumer = consume(&bus, Queue::Deliveries, 100).await;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(next(&mut consumer).await);
    }
    for received in held {
        received.receipt.ack().await.unwrap();
    }
    until("an empty queue", || async { (bus.depth(Queue::Deliveries).await.ok()?.messages == 0).then_some(()) }).await;
    bus.close().await;
}
