//! What was counted of the servers.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was counted of one server since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RedisServerStats {
    /// Connections that were made for calls. The one for changes is not among them.
    pub connections: u64,
    /// Calls that had no answer in time, those of the keeper of the connection among them.
    pub timeouts: u64,
}

/// What was counted of both servers since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RedisStats {
    /// The server of settings.
    pub settings: RedisServerStats,
    /// The server of counters; none if that of settings keeps them too.
    pub counters: Option<RedisServerStats>,
}

/// The counting itself.
#[derive(Debug, Default)]
pub(super) struct Tally {
    connections: AtomicU64,
    timeouts: AtomicU64,
}

impl Tally {
    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn timed_out(&self) {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> RedisServerStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        RedisServerStats { connections: read(&self.connections), timeouts: read(&self.timeouts) }
    }
}
