//! What the tasks of one bus tell whoever watches it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::config::AmqpConfig;
use super::stats::Counters;
use super::trouble::Trouble;

/// What each task of a bus has.
pub(super) type Common = (Arc<AmqpConfig>, Arc<Status>, CancellationToken);

/// Shared by all tasks of one bus.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) trouble: Trouble,
    pub(super) counters: Counters,
    /// A publish was returned, because nothing is bound for it.
    pub(super) returned: Notify,
    /// The exchange of operator events was there at the last look. What is published to an exchange that is not there
    /// costs the connection, and with it the publishes of everybody else.
    pub(super) may_announce: AtomicBool,
}

impl Status {
    pub(super) fn at_start() -> Self {
        Self {
            trouble: Trouble::at_start(),
            counters: Counters::default(),
            returned: Notify::new(),
            may_announce: AtomicBool::new(false),
        }
    }
}
