//! One shard of one consumer, over every incarnation of the connection.

mod session;

use std::num::NonZeroU16;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::bus::Queue;

use super::inbox::Inbox;
use super::incarnation::{Incarnation, Incarnations};
use super::outbox::Outbox;

use self::session::Session;

/// What fills an inbox from one shard.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) queue: Queue,
    pub(super) shard: u16,
    pub(super) prefetch: NonZeroU16,
    pub(super) inbox: Arc<Inbox>,
    pub(super) outbox: Outbox,
    pub(super) incarnations: Incarnations,
    /// The consumer was dropped: no more messages are wanted, and those handed out can still be settled.
    pub(super) gone: CancellationToken,
    pub(super) closed: CancellationToken,
}

impl Feed {
    /// Runs until the bus is closed, or the consumer is dropped and all it was handed is settled.
    pub(super) async fn run(mut self) {
        let mut seen = 0;
        while let Some(incarnation) = self.incarnation_after(seen).await {
            seen = incarnation.number;
            match Session::open(&self, &incarnation).await {
                Ok(session) => {
                    if let Err(reason) = session.run(&self, &incarnation).await {
                        tracing::warn!(queue = self.queue.as_str(), shard = self.shard, reason, "a consumer failed");
                        incarnation.give_up();
                    }
                }
                Err(error) => {
                    tracing::warn!(queue = self.queue.as_str(), shard = self.shard, %error, "failed to consume");
                    incarnation.give_up();
                }
            }
            self.inbox.forget_stale();
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
