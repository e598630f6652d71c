//! The marker by which a database is known again.
//!
//! A database that was flushed, that is another one, or that is older than it was when this process saw it
//! last, is *away*: what it lacks may only be lost, so nothing may follow from it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::ToRedisArgs as _;

/// What this process knows of the database: nothing until it has reached it for the first time. It is kept
/// in memory alone: a process that starts anew takes the database as it finds it.
#[derive(Debug)]
pub(super) struct Marker {
    accepts_empty: bool,
    generation: OnceLock<String>,
    /// The highest revision that was seen. Each change of settings raises it by one.
    revision: AtomicU64,
}

impl Marker {
    /// Nothing is known yet.
    pub(super) fn new(accepts_empty: bool) -> Self {
        Self { accepts_empty, generation: OnceLock::new(), revision: AtomicU64::new(0) }
    }

    /// Whether an empty database is taken as a new one.
    pub(super) fn accepts_empty(&self) -> bool {
        self.accepts_empty
    }

    /// Takes the database for the one that is meant, unless one is known already.
    pub(super) fn know(&self, generation: String, revision: u64) {
        self.generation.get_or_init(|| generation);
        self.see(revision);
    }

    pub(super) fn is_known(&self) -> bool {
        self.generation.get().is_some()
    }

    /// Takes note of a revision that the database has had.
    pub(super) fn see(&self, revision: u64) {
        self.revision.fetch_max(revision, Ordering::AcqRel);
    }

    /// The arguments with which every script begins; none while no database is known.
    pub(super) fn arguments(&self) -> Option<Vec<Vec<u8>>> {
        let generation = self.generation.get()?;
        Some([generation.to_redis_args(), self.revision.load(Ordering::Acquire).to_redis_args()].concat())
    }

    /// The arguments where no marker is asked for.
    pub(super) fn none() -> Vec<Vec<u8>> {
        ["".to_redis_args(), 0.to_redis_args()].concat()
    }
}
