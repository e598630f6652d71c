//! Dead letters.

use std::num::NonZeroU16;
use std::sync::Arc;

use dockbell_backends::bus::{Bus, DeadLetter, Outgoing, Queue, Received};

use super::{BusHarness, consume, next, outgoing, publish, until_empty};

async fn letters(bus: &Arc<dyn Bus>, position: u64, limit: u32) -> Vec<DeadLetter> {
    bus.dead_letters(position, limit).await.expect("dead letters")
}

async fn give_up(bus: &Arc<dyn Bus>, queue: Queue, id: &str, reason: &str) {
    let message = Outgoing { headers: vec![("a".to_owned(), "b".to_owned())], ..outgoing(id, id) };
    bus.publish(queue, message).await.expect("a publish");
    let mut consumer = consume(bus, queue, 1).await;
    next(&mut consumer).await.dead_letter(reason).await.expect("a dead letter");
}

/// A message that is given up leaves its queue and can be looked at, again and again, with what is known
/// of it.
pub async fn a_dead_letter_keeps_its_reason_and_can_be_read_without_consuming(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    give_up(&bus, Queue::Deliveries, "a", "cannot be read").await;
    until_empty(&bus, Queue::Deliveries).await;
    let found = letters(&bus, 0, 10).await;
    let [letter] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((letter.queue, letter.reason.as_str()), (Queue::Deliveries, "cannot be read"));
    assert_eq!((letter.id.as_str(), &letter.body[..]), ("a", &b"a"[..]));
    assert_eq!(letter.headers, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(letters(&bus, 0, 10).await, found, "reading consumes nothing");
}

/// A dead letter is durable once its settlement has returned, and its message is not also on its queue.
pub async fn a_dead_letter_survives_a_crash(harness: &mut dyn BusHarness) {
    give_up(&harness.bus(), Queue::Events, "a", "poison").await;
    harness.crash().await;
    let bus = harness.bus();
    let found = letters(&bus, 0, 10).await;
    assert_eq!(found.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["poison"]);
    publish(&bus, Queue::Events, "last").await;
    let mut consumer = consume(&bus, Queue::Events, 1).await;
    assert_eq!(next(&mut consumer).await.id, "last");
}

/// What has no receipt of its own can be given up too, and survives a crash.
pub async fn a_message_is_buried_without_a_receipt(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    bus.bury(Queue::Redeliveries, outgoing("a", "body"), "gone".to_owned()).await.expect("a burial");
    until_empty(&bus, Queue::Redeliveries).await;
    harness.crash().await;
    let found = letters(&harness.bus(), 0, 10).await;
    let [letter] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((letter.queue, letter.reason.as_str()), (Queue::Redeliveries, "gone"));
    assert_eq!((letter.id.as_str(), &letter.body[..]), ("a", &b"body"[..]));
}

/// Later dead letters have larger positions, so that a reader goes on where it stopped.
pub async fn dead_letters_are_read_on_from_a_position(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    for number in 0..5 {
        give_up(&bus, Queue::Deliveries, &format!("m{number}"), "gone").await;
    }
    let mut read = Vec::new();
    let mut position = 0;
    loop {
        let found = letters(&bus, position, 2).await;
        assert!(found.len() <= 2);
        let Some(last) = found.last() else { break };
        assert!(last.position > position);
        position = last.position;
        read.extend(found.into_iter().map(|letter| letter.id));
    }
    assert_eq!(read, ["m0", "m1", "m2", "m3", "m4"]);
}

/// An event comes where its queue is consumed or, where its shard is not known, to the inbox.
async fn next_on(bus: &Arc<dyn Bus>, queue: Queue) -> Received {
    let mut consumer = consume(bus, queue, 1).await;
    if queue != Queue::Events {
        return next(&mut consumer).await;
    }
    match bus.consume_inbox(NonZeroU16::MIN).await.expect("an answer") {
        None => next(&mut consumer).await,
        Some(mut inbox) => tokio::select! {
            received = next(&mut consumer) => received,
            received = next(&mut inbox) => received,
        },
    }
}

/// A person's second thought brings a message back as it was, and it may be given up again.
pub async fn a_revived_dead_letter_is_on_its_queue_again(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    for (number, queue) in (1..).zip(Queue::ALL) {
        give_up(&bus, queue, queue.as_str(), "cannot be read").await;
        let found = letters(&bus, 0, 10).await;
        let letter = found.iter().find(|letter| letter.queue == queue).expect("a dead letter");
        bus.revive(letter).await.expect("a revival");
        let again = next_on(&bus, queue).await;
        assert_eq!((again.id.as_str(), &again.body[..]), (queue.as_str(), queue.as_str().as_bytes()));
        assert_eq!(again.headers, [("a".to_owned(), "b".to_owned())]);
        assert!(again.maybe_repeated, "it was handed out before");
        again.receipt.ack().await.expect("an ack");
        assert_eq!(letters(&bus, 0, 10).await.len(), number, "it stays among the dead letters");
    }
}

/// Strays are what others published; what was published here is routed, or its publisher hears that it is not.
pub async fn what_this_bus_published_is_no_stray(harness: &mut dyn BusHarness) {
    let bus = harness.bus();
    for queue in Queue::ALL {
        publish(&bus, queue, "a").await;
    }
    assert_eq!(bus.unrouted(10).await, Ok(Vec::new()));
    assert_eq!(bus.replay_unrouted(10).await, Ok(0));
}
