//! The receipt: settles one message on the channel it came over.

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

/// The receipt of one message.
#[derive(Debug)]
pub(super) struct AmqpReceipt {
    tag: u64,
    /// None once the verdict is told.
    verdicts: Option<Verdicts>,
    outbox: Outbox,
    queue: Queue,
    parcel: Option<Parcel>,
    permit: Option<OwnedSemaphorePermit>,
}

impl AmqpReceipt {
    pub(super) fn new(tag: u64, verdicts: Verdicts, outbox: Outbox, queue: Queue) -> Self {
        Self { tag, verdicts: Some(verdicts), outbox, queue, parcel: None, permit: None }
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
        self.verdicts.as_ref().is_none_or(mpsc::Sender::is_closed)
    }

    pub(super) fn tell(&mut self, verdict: Verdict) -> Result<(), BusError> {
        let verdicts = self.verdicts.take().ok_or(BusError::Stale)?;
        drop(self.permit.take());
        verdicts.try_send((self.tag, verdict)).map_err(|_| BusError::Stale)
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
        if self.verdicts.is_some() && self.tell(Verdict::Requeue).is_err() {
            tracing::trace!(tag = self.tag, "the broker requeues what a lost connection had handed out");
        }
    }
}
