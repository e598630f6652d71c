//! One queue of one consumer, over every incarnation of the connection.

mod session;

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::connect::CallError;
use super::inbox::Inbox;
use super::incarnation::{Incarnation, Incarnations};
use super::outbox::Outbox;
use super::sources::Source;
use super::status::Status;
use super::trouble::Part;

use self::session::Session;

/// How long a queue that cannot be consumed is let alone.
const PAUSE: Duration = Duration::from_secs(5);

/// What fills an inbox from one queue.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    pub(super) source: Source,
    pub(super) prefetch: NonZeroU16,
    pub(super) inbox: Arc<Inbox>,
    pub(super) outbox: Outbox,
    pub(super) incarnations: Incarnations,
    pub(super) status: Arc<Status>,
    /// The consumer was dropped: no more messages are wanted, and those handed out can still be settled.
    pub(super) gone: CancellationToken,
    pub(super) closed: CancellationToken,
}

/// What follows from the end of a session.
enum Next {
    /// This connection is of no more use for the queue.
    Incarnation,
    /// The queue may be there later.
    Again,
}

impl Feed {
    /// Runs until the bus is closed, or the consumer is dropped and all it was handed is settled.
    pub(super) async fn run(mut self) {
        let (mut seen, mut has_consumed) = (0, false);
        while let Some(incarnation) = self.incarnation_after(seen).await {
            let next = match Session::open(&self, &incarnation).await {
                Ok(session) => {
                    let rebuilt = u64::from(std::mem::replace(&mut has_consumed, true));
                    self.status.counters.consumers_rebuilt.fetch_add(rebuilt, Ordering::Relaxed);
                    self.consume(session, &incarnation).await
                }
                Err(error) => self.after_refusal(&error, &incarnation),
            };
            self.inbox.forget_stale();
            match next {
                Next::Again if !incarnation.is_given_up() => self.pause(&incarnation).await,
                _ => seen = incarnation.number,
            }
        }
    }

    async fn consume(&self, session: Session, incarnation: &Incarnation) -> Next {
        let Err(reason) = session.run(self, incarnation).await else { return Next::Incarnation };
        if self.source.is_left {
            tracing::info!(queue = self.source.name, reason, "a queue that is drained is not consumed any more");
            return Next::Again;
        }
        tracing::warn!(queue = self.source.name, reason, "a consumer failed");
        incarnation.give_up();
        Next::Incarnation
    }

    /// A queue that is missing although the topology was established is made or looked for on a new connection.
    /// From anything else that one queue has, the others are not to suffer.
    fn after_refusal(&self, error: &CallError, incarnation: &Incarnation) -> Next {
        let queue = self.source.name.as_str();
        if self.source.is_left && error.is_not_found() {
            tracing::info!(queue, "a queue that was drained is gone");
            return Next::Incarnation;
        }
        let is_told = self.status.trouble.is_of(Part::Topology);
        let is_missing = error.is_not_found() && !is_told && !self.source.is_left;
        if is_missing || !incarnation.connection.status().connected() {
            tracing::warn!(queue, %error, "failed to consume");
            incarnation.give_up();
            return Next::Incarnation;
        }
        // It may be forbidden, or without a leader for a while.
        if is_told {
            tracing::debug!(queue, %error, "a queue cannot be consumed yet");
        } else {
            tracing::warn!(queue, %error, "a queue cannot be consumed, and is tried again");
        }
        Next::Again
    }

    async fn pause(&self, incarnation: &Incarnation) {
        tokio::select! {
            () = self.closed.cancelled() => {}
            () = self.gone.cancelled() => {}
            () = incarnation.given_up() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }

    /// Waits for a connection that is not known yet. None when there is no need for one any more.
    async fn incarnation_after(&mut self, seen: u64) -> Option<Incarnation> {
        let is_new = |present: &Option<Incarnation>| present.as_ref().is_some_and(|present| present.number > seen);
        tokio::select! {
            biased;
            () = self.closed.cancelled() => None,
            () = self.gone.cancelled() => None,
            found = self.incarnations.wait_for(is_new) => found.ok()?.clone(),
        }
    }
}
