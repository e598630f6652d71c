//! How messages come to a queue and from it to consumers.

use std::collections::BTreeSet;
use std::sync::Arc;

use dockbell_backends::bus::{Outgoing, Queue};
use dockbell_proto::operations::{OperationKind, OperatorEvent};
use tokio::task::JoinSet;

use super::{BusHarness, consume, drain, next, outgoing, publish, until_empty};
use crate::sample::moment;

/// What was accepted is there after a crash.
pub async fn publish_returns_only_when_the_message_survives_a_crash(harness: &mut dyn BusHarness) {
    let published: Vec<String> = (0..20).map(|number| format!("m{number}")).collect();
    for id in &published {
        publish(&harness.bus(), Queue::Deliveries, id).await;
    }
    harness.crash().await;
    let mut consumer = consume(&harness.bus(), Queue::Deliveries, 10).await;
    assert_eq!(drain(&mut consumer, "m19").await, published);
}

/// Id, headers and body arrive unchanged, and a message that is handed out for the first time is not flagged.
pub async fn a_message_arrives_as_it_was_published(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    let headers = vec![("traceparent".to_owned(), "00-a-b-01".to_owned()), ("x-quote".to_owned(), "\"é\"".to_owned())];
    let body: Vec<u8> = (0..=255).collect();
    let message = Outgoing { headers: headers.clone(), body: body.clone().into(), ..outgoing("an id/1", "") };
    bus.publish(Queue::Events, message).await.expect("a publish");
    let mut consumer = consume(&bus, Queue::Events, 1).await;
    let received = next(&mut consumer).await;
    assert_eq!(received.id, "an id/1");
    assert_eq!(received.headers, headers);
    assert_eq!(received.header("x-quote"), Some("\"é\""));
    assert_eq!(received.body, body);
    assert!(!received.maybe_repeated);
    received.receipt.ack().await.expect("an ack");
}

/// Consumers of one queue see nothing of another.
pub async fn a_message_stays_on_its_queue(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    for queue in Queue::ALL {
        publish(&bus, queue, queue.as_str()).await;
        publish(&bus, queue, "last").await;
    }
    for queue in Queue::ALL {
        let mut consumer = consume(&bus, queue, 5).await;
        assert_eq!(drain(&mut consumer, "last").await, [queue.as_str(), "last"]);
    }
}

/// Messages of equal keys come in the order in which their publishes returned.
pub async fn messages_of_one_key_stay_in_order(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    let mut consumer = consume(&bus, Queue::Deliveries, 7).await;
    let published: Vec<String> = (0..200).map(|number| format!("m{number}")).collect();
    let publishing = async {
        for id in &published {
            publish(&bus, Queue::Deliveries, id).await;
        }
    };
    let ((), received) = tokio::join!(publishing, drain(&mut consumer, "m199"));
    assert_eq!(received, published);
}

/// Publishers that do not wait for each other lose nothing and double nothing.
pub async fn concurrent_publishes_all_arrive_once(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    let mut publishers = JoinSet::new();
    for number in 0..200 {
        let bus = Arc::clone(&bus);
        publishers.spawn(async move { publish(&bus, Queue::Events, &format!("m{number}")).await });
    }
    publishers.join_all().await;
    publish(&bus, Queue::Events, "last").await;
    let mut consumer = consume(&bus, Queue::Events, 50).await;
    let received = drain(&mut consumer, "last").await;
    assert_eq!(received.len(), 201);
    assert_eq!(received.iter().collect::<BTreeSet<_>>().len(), 201);
}

/// Each message goes to one consumer, and a consumer that holds its fill does not keep the rest from others.
pub async fn consumers_of_one_queue_share_it(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    let (mut first, mut second) =
        (consume(&bus, Queue::Deliveries, 3).await, consume(&bus, Queue::Deliveries, 3).await);
    for number in 0..6 {
        publish(&bus, Queue::Deliveries, &format!("m{number}")).await;
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(&mut first).await);
        held.push(next(&mut second).await);
    }
    assert_eq!(held.iter().map(|received| &received.id).collect::<BTreeSet<_>>().len(), 6);
}

/// A consumer that waits is woken by the next message.
pub async fn a_waiting_consumer_learns_of_a_message(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    for queue in Queue::ALL {
        let mut consumer = consume(&bus, queue, 1).await;
        let (received, ()) = tokio::join!(next(&mut consumer), publish(&bus, queue, "m"));
        assert_eq!(received.id, "m");
    }
}

/// A message that its publisher flagged arrives flagged, so that its consumer asks whether it was done.
pub async fn a_repeated_publish_is_flagged(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    let message = Outgoing { maybe_repeated: true, ..outgoing("again", "again") };
    bus.publish(Queue::Deliveries, message.clone()).await.expect("a publish");
    bus.publish_after(Queue::Redeliveries, message, std::time::Duration::ZERO).await.expect("a publish");
    for queue in [Queue::Deliveries, Queue::Redeliveries] {
        let mut consumer = consume(&bus, queue, 1).await;
        assert!(next(&mut consumer).await.maybe_repeated, "{queue:?}");
    }
}

/// It succeeds although nobody listens, also if it is made again, and stands on no queue of ours.
pub async fn an_announcement_needs_no_listener(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    let event = OperatorEvent::of_fleet(OperationKind::FleetFault, moment(), "nobody answers");
    for _ in 0..2 {
        bus.announce(&event).await.expect("an announcement");
    }
    for queue in Queue::ALL {
        until_empty(&bus, queue).await;
    }
    publish(&bus, Queue::Events, "a").await;
    let mut consumer = consume(&bus, Queue::Events, 1).await;
    assert_eq!(drain(&mut consumer, "a").await, ["a"]);
}
