//! What this process knows of the sizes of messages and of how many it holds, which the broker does not say.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bus::Queue;

/// Assumed until a message was seen.
const UNKNOWN_SIZE: u64 = 1_024;

/// Counts of one process, by queue: a batch is many times as large as an event.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    events: OfQueue,
    deliveries: OfQueue,
    redeliveries: OfQueue,
}

#[derive(Debug, Default)]
struct OfQueue {
    messages: AtomicU64,
    bytes: AtomicU64,
    held: AtomicU64,
}

impl Sizes {
    /// Takes note of a message for or of `queue`.
    pub(super) fn note(&self, queue: Queue, bytes: usize) {
        let of_queue = self.of(queue);
        of_queue.messages.fetch_add(1, Ordering::Relaxed);
        of_queue.bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The mean size of the messages seen of `queue`, at least 1.
    pub(super) fn mean(&self, queue: Queue) -> u64 {
        let of_queue = self.of(queue);
        let messages = of_queue.messages.load(Ordering::Relaxed);
        of_queue.bytes.load(Ordering::Relaxed).checked_div(messages).unwrap_or(UNKNOWN_SIZE).max(1)
    }

    /// How many messages of `queue` this process has received and not settled.
    pub(super) fn held(&self, queue: Queue) -> &AtomicU64 {
        &self.of(queue).held
    }

    fn of(&self, queue: Queue) -> &OfQueue {
        match queue {
            Queue::Events => &self.events,
            Queue::Deliveries => &self.deliveries,
            Queue::Redeliveries => &self.redeliveries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_messages_of_one_queue_do_not_make_another_look_full() {
        let sizes = Sizes::default();
        sizes.note(Queue::Deliveries, 200_000);
        sizes.note(Queue::Redeliveries, 1_000);
        sizes.note(Queue::Redeliveries, 3_000);
        assert_eq!(Queue::ALL.map(|queue| sizes.mean(queue)), [UNKNOWN_SIZE, 200_000, 2_000]);
    }
}
