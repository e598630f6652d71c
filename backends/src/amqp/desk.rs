//! The desk of one channel: where receipts settle what came over it.
//!
//! A message that is done is noted in the ledger, which whoever serves the channel looks at every few milliseconds;
//! nobody is woken for it. What has to reach the broker at once is a call.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::bus::{BusError, Queue};

use super::ledger::Ledger;
use super::outbox::Outbox;

/// What becomes of a message.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is done.
    Ack,
    Now(Call),
}

/// What the broker is to be told at once.
#[derive(Debug)]
pub(super) enum Call {
    /// The message is done; the sender is told when the broker has carried it out.
    Ack(oneshot::Sender<()>),
    Requeue,
}

/// The calls, each about a tag. Dropping this closes the desk.
pub(super) type Calls = mpsc::Receiver<(u64, Call)>;

/// What receipts and the session of their channel share. It is closed when that channel is, which is how a receipt
/// learns that it is stale.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) outbox: Outbox,
    pub(super) queue: Queue,
    ledger: Mutex<Ledger>,
    /// It has a place for every message that the channel may hand out.
    calls: mpsc::Sender<(u64, Call)>,
}

impl Desk {
    /// A desk for messages of `queue`, of which so many are handed out at most.
    pub(super) fn new(outbox: Outbox, queue: Queue, prefetch: usize) -> (Self, Calls) {
        let (calls, called) = mpsc::channel(prefetch);
        (Self { outbox, queue, ledger: Mutex::new(Ledger::new(prefetch)), calls }, called)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.calls.is_closed()
    }

    pub(super) fn tell(&self, tag: u64, verdict: Verdict) -> Result<(), BusError> {
        match verdict {
            Verdict::Ack if self.is_closed() => Err(BusError::Stale),
            Verdict::Ack => {
                self.ledger().settle(tag);
                Ok(())
            }
            Verdict::Now(call) => self.calls.try_send((tag, call)).map_err(|_| BusError::Stale),
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
