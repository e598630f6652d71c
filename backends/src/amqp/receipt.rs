//! The receipt: settles one message on the channel it came over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::bus::{BusError, Letter, Settle, Settlement};

use super::desk::{Call, Desk, Verdict};
use super::parcel::Parcel;

/// How long a message is held that cannot be given up now, so that it does not turn round and round.
const PAUSE: Duration = Duration::from_secs(1);

/// What the members of a bundle have in common: its verdict is told when all of theirs are.
#[derive(Debug)]
struct Bundle {
    tag: u64,
    left: AtomicUsize,
    is_to_come_again: AtomicBool,
}

impl Bundle {
    /// Takes the verdict on one of the members. If one of them is to come again, all of them do.
    fn tell(&self, desk: &Desk, verdict: Verdict) -> Result<(), BusError> {
        let done = match verdict {
            Verdict::Ack => None,
            Verdict::Now(Call::Ack(done)) => Some(done),
            Verdict::Now(Call::Requeue) => {
                self.is_to_come_again.store(true, Ordering::SeqCst);
                None
            }
        };
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let is_to_come_again = self.is_to_come_again.load(Ordering::SeqCst);
            desk.tell(self.tag, if is_to_come_again { Verdict::Now(Call::Requeue) } else { Verdict::Ack })?;
        }
        // A member that was given up is kept elsewhere by now; should the bundle come again, it does too.
        if let Some(done) = done {
            // Whoever settled may have stopped waiting.
            done.send(()).ok();
        }
        Ok(())
    }
}

/// How a verdict reaches the desk.
#[derive(Debug)]
enum Way {
    Own,
    WithBundle(Arc<Bundle>),
}

/// The receipt of one message.
#[derive(Debug)]
pub(super) struct AmqpReceipt {
    tag: u64,
    desk: Arc<Desk>,
    /// None once the verdict is told.
    way: Option<Way>,
    permit: Option<OwnedSemaphorePermit>,
}

impl AmqpReceipt {
    pub(super) fn new(tag: u64, desk: Arc<Desk>) -> Self {
        Self::told_by(tag, desk, Way::Own)
    }

    fn told_by(tag: u64, desk: Arc<Desk>, way: Way) -> Self {
        Self { tag, desk, way: Some(way), permit: None }
    }

    /// Receipts for the members of a bundle, instead of the one for it.
    pub(super) fn shared_by(mut self, members: usize) -> Vec<Self> {
        let Some(Way::Own) = self.way.take() else { return Vec::new() };
        let (left, is_to_come_again) = (AtomicUsize::new(members), AtomicBool::new(false));
        let bundle = Arc::new(Bundle { tag: self.tag, left, is_to_come_again });
        let receipt = || Self::told_by(self.tag, Arc::clone(&self.desk), Way::WithBundle(Arc::clone(&bundle)));
        std::iter::repeat_with(receipt).take(members).collect()
    }

    /// Keeps the permit until the message is settled.
    pub(super) fn hold(&mut self, permit: Option<OwnedSemaphorePermit>) {
        self.permit = permit;
    }

    pub(super) fn tag(&self) -> u64 {
        self.tag
    }

    pub(super) fn is_stale(&self) -> bool {
        self.way.is_none() || self.desk.is_closed()
    }

    pub(super) fn tell(&mut self, verdict: Verdict) -> Result<(), BusError> {
        let way = self.way.take().ok_or(BusError::Stale)?;
        drop(self.permit.take());
        match way {
            Way::Own => self.desk.tell(self.tag, verdict),
            Way::WithBundle(bundle) => bundle.tell(&self.desk, verdict),
        }
    }

    async fn bury(&mut self, letter: Letter) -> Result<(), BusError> {
        if self.is_stale() {
            return Err(BusError::Stale);
        }
        let (parcel, reason) = Parcel::given_up(letter);
        if let Err(error) = self.desk.outbox.bury(self.desk.queue, parcel, reason).await {
            // The message goes back to its queue and comes again at once.
            tokio::time::sleep(PAUSE).await;
            return Err(BusError::Away(error.to_string()));
        }
        let (done, carried_out) = oneshot::channel();
        self.tell(Verdict::Now(Call::Ack(done)))?;
        carried_out.await.map_err(|_| BusError::Stale)
    }
}

#[async_trait]
impl Settle for AmqpReceipt {
    async fn settle(&mut self, settlement: Settlement) -> Result<(), BusError> {
        match settlement {
            Settlement::Ack => self.tell(Verdict::Ack),
            Settlement::Requeue => self.tell(Verdict::Now(Call::Requeue)),
            Settlement::DeadLetter(letter) => self.bury(*letter).await,
        }
    }

    fn ack_at_once(&mut self) -> Option<Result<(), BusError>> {
        Some(self.tell(Verdict::Ack))
    }
}

impl Drop for AmqpReceipt {
    fn drop(&mut self) {
        if self.way.is_some() && self.tell(Verdict::Now(Call::Requeue)).is_err() {
            tracing::trace!(tag = self.tag, "the broker requeues what a lost connection had handed out");
        }
    }
}
