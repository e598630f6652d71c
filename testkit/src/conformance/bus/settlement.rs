//! How messages are settled, and how they come back.

use dockbell_backends::bus::Queue;
use futures_util::future::poll_immediate;

use super::{BusHarness, consume, drain, next, publish, until_empty};

/// What was acked, and the ack carried out, is gone for good.
pub async fn an_acked_message_never_comes_back_after_a_crash(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    for id in ["a", "b"] {
        publish(&bus, Queue::Deliveries, id).await;
    }
    let mut consumer = consume(&bus, Queue::Deliveries, 2).await;
    drain(&mut consumer, "b").await;
    until_empty(&bus, Queue::Deliveries).await;
    harness.crash().await;
    publish(&harness.bus(), Queue::Deliveries, "last").await;
    let mut consumer = consume(&harness.bus(), Queue::Deliveries, 2).await;
    assert_eq!(drain(&mut consumer, "last").await, ["last"]);
}

/// Whoever held messages when the process ended, they come again, in their order and flagged.
pub async fn an_unsettled_message_comes_back_after_a_crash(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    for id in ["a", "b"] {
        publish(&bus, Queue::Events, id).await;
    }
    let mut consumer = consume(&bus, Queue::Events, 2).await;
    let held = (next(&mut consumer).await, next(&mut consumer).await);
    harness.crash().await;
    drop(held);
    let mut consumer = consume(&harness.bus(), Queue::Events, 2).await;
    let again = (next(&mut consumer).await, next(&mut consumer).await);
    assert_eq!((again.0.id.as_str(), again.1.id.as_str()), ("a", "b"));
    assert!(again.0.maybe_repeated && again.1.maybe_repeated);
}

/// A message whose receipt is dropped comes again, flagged, its content unchanged.
pub async fn a_dropped_receipt_comes_back(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    publish(&bus, Queue::Deliveries, "a").await;
    let mut consumer = consume(&bus, Queue::Deliveries, 1).await;
    drop(next(&mut consumer).await);
    let again = next(&mut consumer).await;
    assert_eq!((again.id.as_str(), &again.body[..]), ("a", &b"a"[..]));
    assert!(again.maybe_repeated);
    again.receipt.ack().await.expect("an ack");
    until_empty(&bus, Queue::Deliveries).await;
}

/// A message that is given back comes again at once, flagged.
pub async fn a_requeued_message_comes_back(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    publish(&bus, Queue::Redeliveries, "a").await;
    let mut consumer = consume(&bus, Queue::Redeliveries, 1).await;
    next(&mut consumer).await.receipt.requeue().await.expect("a requeue");
    let again = next(&mut consumer).await;
    assert_eq!(again.id, "a");
    assert!(again.maybe_repeated);
}

/// A wait for a message may be given up at any time.
pub async fn dropping_next_loses_nothing(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    let mut consumer = consume(&bus, Queue::Deliveries, 1).await;
    let mut received = Vec::new();
    for number in 0..50 {
        publish(&bus, Queue::Deliveries, &format!("m{number}")).await;
        // Polled once and dropped, at whatever await it stands; a message it yields is kept.
        if let Some(found) = poll_immediate(consumer.next()).await {
            let found = found.expect("an open bus");
            found.receipt.ack().await.expect("an ack");
            received.push(found.id);
        }
    }
    publish(&bus, Queue::Deliveries, "last").await;
    received.extend(drain(&mut consumer, "last").await);
    let published: Vec<String> = (0..50).map(|number| format!("m{number}")).chain(["last".to_owned()]).collect();
    assert_eq!(received, published);
}

/// Messages that were handed out stay with those who hold them, and can be settled, when their consumer is
/// gone.
pub async fn a_dropped_consumer_leaves_what_it_handed_out(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    for id in ["a", "b"] {
        publish(&bus, Queue::Deliveries, id).await;
    }
    let mut gone = consume(&bus, Queue::Deliveries, 1).await;
    let held = next(&mut gone).await;
    drop(gone);
    let mut consumer = consume(&bus, Queue::Deliveries, 2).await;
    let other = next(&mut consumer).await;
    assert_eq!((held.id.as_str(), other.id.as_str()), ("a", "b"));
    held.receipt.ack().await.expect("an ack");
    other.receipt.ack().await.expect("an ack");
    until_empty(&bus, Queue::Deliveries).await;
}
