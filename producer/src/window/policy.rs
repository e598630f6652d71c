//! When a window closes.

use std::time::Duration;

use dockbell_proto::batch::BATCH_LIMIT;

use super::Moment;

/// The most bytes that the events of one window may add to its batch: what a batch may have, less the room
/// for its frame.
pub(super) const MAX_BYTES: usize = BATCH_LIMIT - 16 * 1024;

/// The bounds of a window. A value of this type keeps every window finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowPolicy {
    quiet: Duration,
    max_wait: Duration,
    max_events: usize,
}

/// The settings do not fit each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A window that never waits coalesces nothing, and one that waits for long holds messages unsettled.
    #[error("must be from 1ms to 1m")]
    Quiet,
    /// The longest wait must leave room for one quiet time.
    #[error("must be from window.quiet to 5m")]
    MaxWait,
    /// The size of a batch is bounded by the bus.
    #[error("must be from 1 to 10000")]
    MaxEvents,
}

impl WindowPolicy {
    /// A window closes after `quiet` without an event, at the latest `max_wait` after its first one, or with
    /// `max_events` events.
    pub fn new(quiet: Duration, max_wait: Duration, max_events: usize) -> Result<Self, PolicyError> {
        if quiet < Duration::from_millis(1) || quiet > Duration::from_mins(1) {
            return Err(PolicyError::Quiet);
        }
        if max_wait < quiet || max_wait > Duration::from_mins(5) {
            return Err(PolicyError::MaxWait);
        }
        if !(1..=10_000).contains(&max_events) {
            return Err(PolicyError::MaxEvents);
        }
        Ok(Self { quiet, max_wait, max_events })
    }

    /// The most events of one window.
    pub fn max_events(&self) -> usize {
        self.max_events
    }

    /// The longest that a window stays open.
    pub fn max_wait(&self) -> Duration {
        self.max_wait
    }

    /// When a window that opened at `opened` closes if nothing comes after `last`.
    pub(super) fn deadline(&self, opened: Moment, last: Moment) -> Moment {
        (last + self.quiet).min(opened + self.max_wait)
    }
}

impl Default for WindowPolicy {
    fn default() -> Self {
        // A multi-arch push is over within about half a second; registries announce a tag just before it
        // can be pulled, which a second hides.
        Self { quiet: Duration::from_secs(1), max_wait: Duration::from_secs(5), max_events: 1000 }
    }
}
