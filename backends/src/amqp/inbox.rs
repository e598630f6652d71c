//! What was received and not yet handed out, over all shards of one consumer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bus::{Consume, Receipt, Received};

use super::parcel::Parcel;
use super::receipt::AmqpReceipt;

/// A message with the duty to settle it.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) parcel: Parcel,
    pub(super) receipt: AmqpReceipt,
}

/// The messages of one consumer, in the order in which they came. Each shard's prefetch bounds it.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    arrived: Mutex<VecDeque<Arrived>>,
    changed: Notify,
}

impl Inbox {
    pub(super) fn put(&self, arrived: Arrived) {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).push_back(arrived);
        self.changed.notify_one();
    }

    /// Takes all there is at once, in exchange for an empty list.
    fn take_all(&self, empty: &mut VecDeque<Arrived>) {
        std::mem::swap(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner), empty);
    }

    /// Gives back what was not handed out.
    pub(super) fn clear(&self) {
        let arrived = std::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner));
        drop(arrived);
    }

    /// Forgets what came over connections that are gone.
    pub(super) fn forget_stale(&self) {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.retain(|arrived| !arrived.receipt.is_stale());
    }
}

/// The consumer as the port knows it.
#[derive(Debug)]
pub(super) struct AmqpConsumer {
    inbox: Arc<Inbox>,
    /// What was taken from the inbox and not yet handed out.
    taken: VecDeque<Arrived>,
    /// One for each message that may be handed out and not settled, whatever its shard.
    permits: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    closed: CancellationToken,
    _gone: DropGuard,
}

impl AmqpConsumer {
    /// A consumer of what is put into `inbox`. Cancels `gone` when it is dropped.
    pub(super) fn new(inbox: Arc<Inbox>, prefetch: u16, closed: CancellationToken, gone: CancellationToken) -> Self {
        let permits = Arc::new(Semaphore::new(prefetch.into()));
        Self { inbox, taken: VecDeque::new(), permits, permit: None, closed, _gone: gone.drop_guard() }
    }

    async fn take(&mut self) -> Received {
        if self.permit.is_none() {
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                // Nobody closes the semaphore.
                return std::future::pending().await;
            };
            self.permit = Some(permit);
        }
        loop {
            if let Some(arrived) = self.first() {
                return hand_out(arrived, self.permit.take());
            }
            self.inbox.changed.notified().await;
        }
    }

    /// The first message whose connection still stands.
    fn first(&mut self) -> Option<Arrived> {
        loop {
            if self.taken.is_empty() {
                self.inbox.take_all(&mut self.taken);
            }
            let arrived = self.taken.pop_front()?;
            if !arrived.receipt.is_stale() {
                return Some(arrived);
            }
        }
    }
}

fn hand_out(arrived: Arrived, permit: Option<OwnedSemaphorePermit>) -> Received {
    let Arrived { parcel, mut receipt } = arrived;
    receipt.hold(permit);
    let Parcel { id, headers, body, maybe_repeated, .. } = parcel;
    Received { id, headers, body, maybe_repeated, receipt: Receipt::new(receipt) }
}

#[async_trait]
impl Consume for AmqpConsumer {
    async fn next(&mut self) -> Option<Received> {
        let closed = self.closed.clone();
        tokio::select! {
            biased;
            () = closed.cancelled() => None,
            received = self.take() => Some(received),
        }
    }

    fn next_ready(&mut self) -> Option<Received> {
        if self.closed.is_cancelled() {
            return None;
        }
        if self.permit.is_none() {
            self.permit = Some(Arc::clone(&self.permits).try_acquire_owned().ok()?);
        }
        let arrived = self.first()?;
        Some(hand_out(arrived, self.permit.take()))
    }
}

/// What was not handed out goes back at once.
impl Drop for AmqpConsumer {
    fn drop(&mut self) {
        self.inbox.clear();
    }
}
