//! What this process knows of the sizes of messages and of how many it holds, which the broker does not say.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bus::Queue;

/// Assumed until a message was seen.
const UNKNOWN_SIZE: u64 = 1_024;

/// Counts of one process.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    messages: AtomicU64,
    bytes: AtomicU64,
    held: [AtomicU64; 3],
}

impl Sizes {
    pub(super) fn note(&self, bytes: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The mean size of the messages seen, at least 1.
    pub(super) fn mean(&self) -> u64 {
        let messages = self.messages.load(Ordering::Relaxed);
        self.bytes.load(Ordering::Relaxed).checked_div(messages).unwrap_or(UNKNOWN_SIZE).max(1)
    }

    /// How many messages of `queue` this process has received and not settled.
    pub(super) fn held(&self, queue: Queue) -> &AtomicU64 {
        let [events, deliveries, redeliveries] = &self.held;
        match queue {
            Queue::Events => events,
            Queue::Deliveries => deliveries,
            Queue::Redeliveries => redeliveries,
        }
    }
}
