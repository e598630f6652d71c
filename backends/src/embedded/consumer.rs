//! The consumer: hands out messages, never more at once than its prefetch.

use std::num::NonZeroU16;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bus::{Consume, Receipt, Received};

use super::messages::{self, Stored};
use super::queue::{QueueState, Taken};
use super::reader::Reader;
use super::receipt::EmbeddedReceipt;
use super::status::Status;
use super::sweep::Kept;
use super::writer::Writer;

/// How long a fetch waits after one that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// A consumer of one queue. Several share what stands on it.
#[derive(Debug)]
pub(super) struct EmbeddedConsumer {
    pub(super) queue: Arc<QueueState>,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) status: Arc<Status>,
    pub(super) kept: Kept,
    /// One for each message that may be handed out and not settled.
    pub(super) permits: Arc<Semaphore>,
}

impl EmbeddedConsumer {
    pub(super) fn permits(prefetch: NonZeroU16) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(prefetch.get().into()))
    }

    async fn take(&self) -> Received {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            // Nobody closes the semaphore.
            return std::future::pending().await;
        };
        loop {
            let mut changed = pin!(self.queue.changed());
            changed.as_mut().enable();
            match self.queue.take() {
                Taken::Message(message) => return self.hand_out(message, permit),
                Taken::Unread => self.fetch().await,
                Taken::Nothing => {}
            }
            changed.await;
        }
    }

    /// Starts a fetch, if none is under way; its end wakes every consumer of the queue.
    async fn fetch(&self) {
        if self.queue.has_stumbled() {
            tokio::time::sleep(PAUSE).await;
        }
        let Ok(place) = self.reader.reserve().await else {
            // Closed, which the caller watches for, or broken, after which nothing is handed out.
            return std::future::pending().await;
        };
        let Some((fetch, upto)) = self.queue.begin_fetch() else { return };
        let queue = Arc::clone(&self.queue);
        let wanted = fetch.clone();
        let read = move |file: &rusqlite::Connection| messages::fetch(file, queue.queue(), &wanted);
        let queue = Arc::clone(&self.queue);
        place.post(read, move |found| {
            if let Err(error) = &found {
                tracing::warn!(queue = queue.queue().as_str(), %error, "failed to read messages");
            }
            queue.fetched(&fetch, upto, found);
        });
    }

    fn hand_out(&self, message: Stored, permit: OwnedSemaphorePermit) -> Received {
        let held = self.queue.hand_out(&message);
        let Stored { id, headers, body, maybe_repeated, .. } = message;
        let receipt = Receipt::new(EmbeddedReceipt::new(held, self.writer.clone(), self.kept.clone(), permit));
        Received { id, headers, body, maybe_repeated, receipt }
    }
}

#[async_trait]
impl Consume for EmbeddedConsumer {
    async fn next(&mut self) -> Option<Received> {
        tokio::select! {
            biased;
            () = self.status.closed() => None,
            received = self.take() => Some(received),
        }
    }
}
