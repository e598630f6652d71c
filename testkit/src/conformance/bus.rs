//! The rules of the bus.

pub mod dead;
pub mod delayed;
pub mod limits;
pub mod queue;
pub mod settlement;

use std::num::NonZeroU16;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dockbell_backends::bus::{Bus, Consumer, Outgoing, Queue, Received};

use crate::wait::DEADLINE;

/// The most bytes of one queue of a bus under test.
pub const QUEUE_BYTES: u64 = 1024 * 1024;

/// The rules, by the names of their functions.
pub const RULES: &[&str] = &[
    "publish_returns_only_when_the_message_survives_a_crash",
    "a_message_arrives_as_it_was_published",
    "a_message_stays_on_its_queue",
    "messages_of_one_key_stay_in_order",
    "concurrent_publishes_all_arrive_once",
    "consumers_of_one_queue_share_it",
    "a_waiting_consumer_learns_of_a_message",
    "prefetch_bounds_what_is_handed_out",
    "depth_counts_what_is_not_settled",
    "what_cannot_be_stored_is_refused",
    "an_acked_message_never_comes_back_after_a_crash",
    "an_unsettled_message_comes_back_after_a_crash",
    "a_dropped_receipt_comes_back",
    "a_requeued_message_comes_back",
    "dropping_next_loses_nothing",
    "a_dropped_consumer_leaves_what_it_handed_out",
    "a_repeated_publish_is_flagged",
    "a_delayed_message_appears_not_before_its_delay",
    "delayed_messages_do_not_hold_up_each_other",
    "a_delayed_message_survives_a_crash",
    "a_dead_letter_keeps_its_reason_and_can_be_read_without_consuming",
    "a_dead_letter_survives_a_crash",
    "a_message_is_buried_without_a_receipt",
    "dead_letters_are_read_on_from_a_position",
    "an_announcement_needs_no_listener",
    "a_revived_dead_letter_is_on_its_queue_again",
    "what_this_bus_published_is_no_stray",
];

/// A bus under test, on queues of its own that are empty at first and hold [`QUEUE_BYTES`] each.
#[async_trait]
pub trait BusHarness: Send {
    /// The bus.
    fn bus(&self) -> Arc<dyn Bus>;

    /// Ends the process that has the bus without warning, and opens the bus anew as its next process would.
    async fn crash(&mut self);
}

fn outgoing(id: &str, body: &str) -> Outgoing {
    Outgoing {
        id: id.to_owned(),
        key: "hub.test/team/app".to_owned(),
        headers: Vec::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        maybe_repeated: false,
    }
}

async fn publish(bus: &Arc<dyn Bus>, queue: Queue, id: &str) {
    bus.publish(queue, outgoing(id, id)).await.expect("a publish");
}

async fn consume(bus: &Arc<dyn Bus>, queue: Queue, prefetch: u16) -> Consumer {
    let prefetch = NonZeroU16::new(prefetch).expect("a prefetch");
    bus.consume(queue, prefetch).await.expect("a consumer")
}

async fn next(consumer: &mut Consumer) -> Received {
    let received = tokio::time::timeout(DEADLINE, consumer.next()).await.expect("a message in time");
    received.expect("an open bus")
}

/// Acks the messages that come up to one of the id `last`, which was published last, and returns the ids of
/// all of them.
async fn drain(consumer: &mut Consumer, last: &str) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.last().is_none_or(|id| id != last) {
        let received = next(consumer).await;
        received.receipt.ack().await.expect("an ack");
        ids.push(received.id);
    }
    ids
}

async fn until_empty(bus: &Arc<dyn Bus>, queue: Queue) {
    crate::wait::until("an empty queue", || async {
        let depth = bus.depth(queue).await.expect("a depth");
        (depth.messages == 0 && depth.delayed == 0 && depth.bytes == 0).then_some(())
    })
    .await;
}
