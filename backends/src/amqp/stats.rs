//! What the adapter counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::bus::PublishError;

/// What the bus has done since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AmqpStats {
    /// Connections made to consume.
    pub consuming_connections: u64,
    /// Connections made to publish.
    pub publishing_connections: u64,
    /// Publishes that the broker confirmed.
    pub confirmed: u64,
    /// Publishes that the broker returned, because nothing is bound for them.
    pub returned: u64,
    /// Publishes that are known not to be stored: a queue was full, or the broker was away or took none.
    pub refused: u64,
    /// Publishes of which it is unknown whether they are stored.
    pub unknown: u64,
    /// Consumers of one queue that were made again, because they failed or their connection was replaced.
    pub consumers_rebuilt: u64,
    /// Whether the broker takes no publishes now, as in an alarm.
    pub is_blocked: bool,
}

/// The counters behind [`AmqpStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) consuming_connections: AtomicU64,
    pub(super) publishing_connections: AtomicU64,
    confirmed: AtomicU64,
    returned: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
    pub(super) consumers_rebuilt: AtomicU64,
    pub(super) is_blocked: AtomicBool,
}

impl Counters {
    /// Counts what a publisher was told.
    pub(super) fn note(&self, result: &Result<(), PublishError>) {
        let counter = match result {
            Ok(()) => &self.confirmed,
            Err(PublishError::Unroutable(_)) => &self.returned,
            Err(PublishError::Unavailable(_)) => &self.refused,
            Err(PublishError::Unknown(_)) => &self.unknown,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> AmqpStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AmqpStats {
            consuming_connections: count(&self.consuming_connections),
            publishing_connections: count(&self.publishing_connections),
            confirmed: count(&self.confirmed),
            returned: count(&self.returned),
            refused: count(&self.refused),
            unknown: count(&self.unknown),
            consumers_rebuilt: count(&self.consumers_rebuilt),
            is_blocked: self.is_blocked.load(Ordering::Relaxed),
        }
    }
}
