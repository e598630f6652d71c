//! The receipt: settles one message on the channel it came over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::bus::{BusError, Queue, Settle, Settlement};

use super::outbox::Outbox;
use super::parcel::Parcel;

/// How long a message is held that cannot be given up now, so that it does not turn round and round.
const PAUSE: Duration = Duration::from_secs(1);

/// What becomes of a message.
#[derive(Debug)]
pub(super) enum Verdict {
    Ack,
    /// As `Ack`, at once; the sender is told when the broker has carried it out.
    AckNow(oneshot::Sender<()>),
    Requeue,
}

/// Carries verdicts to the channel that a message came over. It is closed when that channel is, which is how
/// a receipt learns that it is stale. It has a place for every message that the channel may hand out.
pub(super) type Verdicts = mpsc::Sender<(u64, Verdict)>;

/// What the members of a bundle have in common: its verdict is told when all of theirs are.
#[derive(Debug)]
struct Bundle {
    tag: u64,
    verdicts: Verdicts,
    left: AtomicUsize,
    is_to_come_again: AtomicBool,
}

impl Bundle {
    /// Takes the verdict on one of the members. If one of them is to come again, all of them do.
    fn tell(&self, verdict: Verdict) -> Result<(), BusError> {
        let done = match verdict {
            Verdict::Ack => None,
            Verdict::AckNow(done) => Some(done),
            Verdict::Requeue => {
                self.is_to_come_again.store(true, Ordering::SeqCst);
                None
            }
        };
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let is_to_come_again = self.is_to_come_again.load(Ordering::SeqCst);
            let verdict = if is_to_come_again { Verdict::Requeue } else { Verdict::Ack };
            self.verdicts.try_send((self.tag, verdict)).map_err(|_| BusError::Stale)?;
        }
        // A member that was given up is kept elsewhere by now; should the bundle come again, it does too.
        if let Some(done) = done {
            // Whoever settled may have stopped waiting.
            done.send(()).ok();
        }
        Ok(())
    }
}

/// How a verdict reaches the broker.
#[derive(Debug)]
enum Way {
    Own(u64, Verdicts),
    WithBundle(Arc<Bundle>),
}

impl Way {
    fn is_closed(&self) -> bool {
        match self {
            Self::Own(_, verdicts) => verdicts.is_closed(),
            Self::WithBundle(bundle) => bundle.verdicts.is_closed(),
        }
    }

    fn tell(self, verdict: Verdict) -> Result<(), BusError> {
        match self {
            Self::Own(tag, verdicts) => verdicts.try_send((tag, verdict)).map_err(|_| BusError::Stale),
            Self::WithBundle(bundle) => bundle.tell(verdict),
        }
    }
}

/// The receipt of one message.
#[derive(Debug)]
pub(super) struct AmqpReceipt {
    tag: u64,
    /// None once the verdict is told.
    way: Option<Way>,
    outbox: Outbox,
    queue: Queue,
    parcel: Option<Parcel>,
    permit: Option<OwnedSemaphorePermit>,
}

impl AmqpReceipt {
    pub(super) fn new(tag: u64, verdicts: Verdicts, outbox: Outbox, queue: Queue) -> Self {
        Self { tag, way: Some(Way::Own(tag, verdicts)), outbox, queue, parcel: None, permit: None }
    }

    /// Receipts for the members of a bundle, instead of the one for it.
    pub(super) fn shared_by(mut self, members: usize) -> Vec<Self> {
        let Some(Way::Own(tag, verdicts)) = self.way.take() else { return Vec::new() };
        let (left, is_to_come_again) = (AtomicUsize::new(members), AtomicBool::new(false));
        let bundle = Arc::new(Bundle { tag, verdicts, left, is_to_come_again });
        let receipt = || Self {
            tag,
            way: Some(Way::WithBundle(Arc::clone(&bundle))),
            outbox: self.outbox.clone(),
            queue: self.queue,
            parcel: None,
            permit: None,
        };
        std::iter::repeat_with(receipt).take(members).collect()
    }

    /// Keeps what it takes to give the message up, and the permit until it is settled.
    pub(super) fn hold(&mut self, parcel: &Parcel, permit: Option<OwnedSemaphorePermit>) {
        self.parcel = Some(parcel.clone());
        self.permit = permit;
    }

    pub(super) fn tag(&self) -> u64 {
        self.tag
    }

    pub(super) fn is_stale(&self) -> bool {
        self.way.as_ref().is_none_or(Way::is_closed)
    }

    pub(super) fn tell(&mut self, verdict: Verdict) -> Result<(), BusError> {
        let way = self.way.take().ok_or(BusError::Stale)?;
        drop(self.permit.take());
        way.tell(verdict)
    }

    async fn bury(&mut self, reason: String) -> Result<(), BusError> {
        if self.is_stale() {
            return Err(BusError::Stale);
        }
        let parcel = self.parcel.clone().ok_or(BusError::Stale)?;
        if let Err(error) = self.outbox.bury(self.queue, parcel, reason).await {
            // The message goes back to its queue and comes again at once.
            tokio::time::sleep(PAUSE).await;
            return Err(BusError::Away(error.to_string()));
        }
        let (done, carried_out) = oneshot::channel();
        self.tell(Verdict::AckNow(done))?;
        carried_out.await.map_err(|_| BusError::Stale)
    }
}

#[async_trait]
impl Settle for AmqpReceipt {
    async fn settle(&mut self, settlement: Settlement) -> Result<(), BusError> {
        match settlement {
            Settlement::Ack => self.tell(Verdict::Ack),
            Settlement::Requeue => self.tell(Verdict::Requeue),
            Settlement::DeadLetter { reason } => self.bury(reason).await,
        }
    }
}

impl Drop for AmqpReceipt {
    fn drop(&mut self) {
        if self.way.is_some() && self.tell(Verdict::Requeue).is_err() {
            tracing::trace!(tag = self.tag, "the broker requeues what a lost connection had handed out");
        }
    }
}
