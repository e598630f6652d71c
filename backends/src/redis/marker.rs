//! The marker by which a database is known again.
//!
//! A database that was flushed, that is another one, or that is older than it was when this process saw it
//! last, is *away*: what it lacks may only be lost, so nothing may follow from it.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::ToRedisArgs as _;

/// What this process knows of the database. It is kept in memory alone: a process that starts anew takes
/// the database as it finds it.
#[derive(Debug)]
pub(super) struct Marker {
    generation: String,
    /// The highest revision that was seen. Each change of settings raises it by one.
    revision: AtomicU64,
}

impl Marker {
    pub(super) fn new(generation: String, revision: u64) -> Self {
        Self { generation, revision: AtomicU64::new(revision) }
    }

    /// Takes note of a revision that the database has had.
    pub(super) fn see(&self, revision: u64) {
        self.revision.fetch_max(revision, Ordering::AcqRel);
    }

    /// The arguments with which every script begins.
    pub(super) fn arguments(&self) -> Vec<Vec<u8>> {
        [self.generation.to_redis_args(), self.revision.load(Ordering::Acquire).to_redis_args()].concat()
    }

    /// The arguments where no marker is asked for.
    pub(super) fn none() -> Vec<Vec<u8>> {
        ["".to_redis_args(), 0.to_redis_args()].concat()
    }
}
