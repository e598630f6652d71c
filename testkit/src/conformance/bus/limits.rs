//! What is bounded, and what is counted.

use dockbell_backends::bus::{Depth, PublishError, Queue};

use super::{BusHarness, QUEUE_BYTES, consume, drain, next, outgoing, publish, until_empty};
use crate::wait::until;

/// A consumer holds at most its prefetch, and gets more as soon as it settles.
pub async fn prefetch_bounds_what_is_handed_out(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    let mut bounded = consume(&bus, Queue::Deliveries, 2).await;
    for id in ["a", "b", "c", "d"] {
        publish(&bus, Queue::Deliveries, id).await;
    }
    let held = (next(&mut bounded).await, next(&mut bounded).await);
    // The bounded consumer asks first, so it would win if it were not bounded.
    let mut other = consume(&bus, Queue::Deliveries, 1).await;
    let third = tokio::select! {
        biased;
        _ = next(&mut bounded) => panic!("a third message was handed out"),
        received = next(&mut other) => received,
    };
    assert_eq!(third.id, "c");
    held.0.receipt.ack().await.expect("an ack");
    assert_eq!(next(&mut bounded).await.id, "d");
}

/// Ready, handed-out and delayed messages count; what is settled does not.
pub async fn depth_counts_what_is_not_settled(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    assert_eq!(bus.depth(Queue::Redeliveries).await.expect("a depth"), Depth::default());
    for id in ["a", "b"] {
        publish(&bus, Queue::Redeliveries, id).await;
    }
    let hour = std::time::Duration::from_hours(1);
    bus.publish_after(Queue::Redeliveries, outgoing("c", "c"), hour).await.expect("a publish");
    let mut consumer = consume(&bus, Queue::Redeliveries, 1).await;
    let received = next(&mut consumer).await;
    let depth = until("all of it counted", || async {
        let depth = bus.depth(Queue::Redeliveries).await.expect("a depth");
        ((depth.messages, depth.delayed) == (2, 1)).then_some(depth)
    })
    .await;
    assert!(depth.bytes > 0);
    received.receipt.ack().await.expect("an ack");
    until("what is settled not counted", || async {
        let after = bus.depth(Queue::Redeliveries).await.expect("a depth");
        ((after.messages, after.delayed) == (1, 1) && after.bytes < depth.bytes).then_some(())
    })
    .await;
    assert_eq!(bus.depth(Queue::Events).await.expect("a depth"), Depth::default());
}

/// A full queue refuses, delayed messages too, and says so; it takes more when there is room again.
pub async fn what_cannot_be_stored_is_refused(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    let body = "x".repeat(64 * 1024);
    let mut published = 0;
    let refusal = loop {
        match bus.publish(Queue::Events, outgoing(&format!("m{published}"), &body)).await {
            Ok(()) => published += 1,
            Err(error) => break error,
        }
        assert!(published * body.len() as u64 <= QUEUE_BYTES + body.len() as u64, "the bound is not kept");
    };
    assert!(matches!(refusal, PublishError::Unavailable(_)), "{refusal}");
    assert!(bus.is_full(Queue::Events) && !bus.is_full(Queue::Deliveries));
    let delayed = bus.publish_after(Queue::Events, outgoing("late", &body), std::time::Duration::from_hours(1)).await;
    assert!(matches!(delayed, Err(PublishError::Unavailable(_))), "{delayed:?}");
    publish(&bus, Queue::Deliveries, "another queue").await;

    let mut consumer = consume(&bus, Queue::Events, 4).await;
    let received = drain(&mut consumer, &format!("m{}", published - 1)).await;
    assert_eq!(received.len() as u64, published, "what was refused is not there");
    until_empty(&bus, Queue::Events).await;
    assert!(!bus.is_full(Queue::Events));
    publish(&bus, Queue::Events, "fits again").await;
}
