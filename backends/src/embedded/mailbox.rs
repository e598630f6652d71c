//! The way to a thread: a bounded channel that can be closed while others hold on to it.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use super::status::Failure;

/// The sending side. Once closed it takes nothing more, and the thread ends when it has done the rest.
pub(super) struct Mailbox<T>(Mutex<Option<mpsc::Sender<T>>>);

impl<T> Mailbox<T> {
    pub(super) fn new(sender: mpsc::Sender<T>) -> Self {
        Self(Mutex::new(Some(sender)))
    }

    /// A place in the channel; waits while it is full. What is put there is done, whoever stops waiting.
    pub(super) async fn reserve(&self) -> Result<mpsc::OwnedPermit<T>, Failure> {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sender = sender.ok_or(Failure::Closed)?;
        sender.reserve_owned().await.map_err(|_| Failure::Closed)
    }

    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// What passes through it has no text of its own.
impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailbox").finish_non_exhaustive()
    }
}
