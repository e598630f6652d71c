//! Messages that wait for their time.

use std::time::Duration;

use dockbell_backends::bus::Queue;
use tokio::time::Instant;

use super::{BusHarness, consume, next, outgoing, publish};

const SHORT: Duration = Duration::from_millis(200);

/// It comes when its delay has passed, as it was published.
pub async fn a_delayed_message_appears_not_before_its_delay(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    let mut consumer = consume(&bus, Queue::Redeliveries, 1).await;
    let began = Instant::now();
    bus.publish_after(Queue::Redeliveries, outgoing("late", "body"), SHORT).await.expect("a publish");
    let received = next(&mut consumer).await;
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    assert_eq!((received.id.as_str(), &received.body[..]), ("late", &b"body"[..]));
    assert!(!received.maybe_repeated);
}

/// What waits long holds up neither what waits less nor what does not wait.
pub async fn delayed_messages_do_not_hold_up_each_other(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    let hour = Duration::from_hours(1);
    bus.publish_after(Queue::Redeliveries, outgoing("never", ""), hour).await.expect("a publish");
    bus.publish_after(Queue::Redeliveries, outgoing("late", ""), 2 * SHORT).await.expect("a publish");
    bus.publish_after(Queue::Redeliveries, outgoing("soon", ""), SHORT).await.expect("a publish");
    publish(&bus, Queue::Redeliveries, "now").await;
    let mut consumer = consume(&bus, Queue::Redeliveries, 5).await;
    let mut held = Vec::new();
    for expected in ["now", "soon", "late"] {
        let received = next(&mut consumer).await;
        assert_eq!(received.id, expected);
        held.push(received.receipt);
    }
    let depth = bus.depth(Queue::Redeliveries).await.expect("a depth");
    assert_eq!((depth.messages, depth.delayed), (3, 1));
}

/// What waits for its time waits on after a crash, and comes flagged, because its publisher may have crashed
/// too before it learned of the success.
pub async fn a_delayed_message_survives_a_crash(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    let began = Instant::now();
    bus.publish_after(Queue::Redeliveries, outgoing("late", "late"), 2 * SHORT).await.expect("a publish");
    harness.crash().await;
    let mut consumer = consume(&harness.bus(), Queue::Redeliveries, 1).await;
    let received = next(&mut consumer).await;
    assert_eq!(received.id, "late");
    assert!(began.elapsed() >= 2 * SHORT && received.maybe_repeated);
}
