//! A bus that fails as it is told to.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dockbell_backends::Bus;
use dockbell_backends::bus::{
    BusError, Consume, Consumer, DeadLetter, Depth, Outgoing, PublishError, Queue, Receipt, Received, Settle,
    Settlement, Stray,
};
use dockbell_proto::operations::OperatorEvent;

/// What becomes of a publish.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It is refused.
    Refused,
    /// It succeeds, and the answer is lost.
    AnswerLost,
    /// It is never answered.
    Hangs,
}

/// Passes everything on, except publishes to one queue while faults are left.
#[derive(Debug)]
pub(crate) struct FaultyBus {
    inner: Arc<dyn Bus>,
    queue: Queue,
    inbox: Option<Queue>,
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    next: VecDeque<Fault>,
    always: Option<Fault>,
    publishes: usize,
    keys: Vec<String>,
    burials_hang: bool,
}

/// A consumer whose messages are never given up, however long one waits.
#[derive(Debug)]
struct Unburied(Consumer);

#[async_trait]
impl Consume for Unburied {
    async fn next(&mut self) -> Option<Received> {
        let received = self.0.next().await?;
        Some(Received { receipt: Receipt::new(UnburiedReceipt(Some(received.receipt))), ..received })
    }
}

#[derive(Debug)]
struct UnburiedReceipt(Option<Receipt>);

#[async_trait]
impl Settle for UnburiedReceipt {
    async fn settle(&mut self, settlement: Settlement) -> Result<(), BusError> {
        match (settlement, self.0.take()) {
            (Settlement::Ack, Some(receipt)) => receipt.ack().await,
            _ => std::future::pending().await,
        }
    }
}

impl FaultyBus {
    pub(crate) fn new(inner: Arc<dyn Bus>, queue: Queue) -> Arc<Self> {
        Arc::new(Self { inner, queue, inbox: None, script: Mutex::default() })
    }

    /// Fails on the events queue; its inbox is what stands on `inbox`.
    pub(crate) fn with_inbox(inner: Arc<dyn Bus>, inbox: Queue) -> Arc<Self> {
        Arc::new(Self { inner, queue: Queue::Events, inbox: Some(inbox), script: Mutex::default() })
    }

    /// The next publishes end like this.
    pub(crate) fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.script().next.extend(faults);
    }

    /// Publishes end like this from now on; none heals the bus.
    pub(crate) fn fail_always(&self, fault: Option<Fault>) {
        self.script().always = fault;
    }

    /// What an inbox gives up from now on is never among the dead letters.
    pub(crate) fn let_burials_hang(&self) {
        self.script().burials_hang = true;
    }

    /// How many publishes were tried.
    pub(crate) fn publishes(&self) -> usize {
        self.script().publishes
    }

    /// The keys under which publishes were tried, in their order.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.script().keys.clone()
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fault(&self, queue: Queue, key: &str) -> Option<Fault> {
        let mut script = self.script();
        if queue != self.queue {
            return None;
        }
        script.publishes += 1;
        script.keys.push(key.to_owned());
        script.next.pop_front().or_else(|| script.always.clone())
    }
}

#[async_trait]
impl Bus for FaultyBus {
    async fn announce(&self, event: &OperatorEvent) -> Result<(), PublishError> {
        self.inner.announce(event).await
    }

    fn is_full(&self, queue: Queue) -> bool {
        self.inner.is_full(queue)
    }

    async fn publish(&self, queue: Queue, message: Outgoing) -> Result<(), PublishError> {
        match self.next_fault(queue, &message.key) {
            None => self.inner.publish(queue, message).await,
            Some(Fault::Refused) => Err(PublishError::Unavailable("refused by the test".to_owned())),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::AnswerLost) => {
                self.inner.publish(queue, message).await?;
                Err(PublishError::Unknown("lost by the test".to_owned()))
            }
        }
    }

    async fn publish_after(&self, queue: Queue, message: Outgoing, delay: Duration) -> Result<(), PublishError> {
        self.inner.publish_after(queue, message, delay).await
    }

    async fn bury(&self, queue: Queue, message: Outgoing, reason: String) -> Result<(), PublishError> {
        self.inner.bury(queue, message, reason).await
    }

    async fn consume(&self, queue: Queue, prefetch: NonZeroU16) -> Result<Consumer, BusError> {
        self.inner.consume(queue, prefetch).await
    }

    async fn consume_inbox(&self, prefetch: NonZeroU16) -> Result<Option<Consumer>, BusError> {
        match self.inbox {
            Some(queue) => {
                let consumer = self.inner.consume(queue, prefetch).await?;
                let burials_hang = self.script().burials_hang;
                Ok(Some(if burials_hang { Consumer::new(Unburied(consumer)) } else { consumer }))
            }
            None => self.inner.consume_inbox(prefetch).await,
        }
    }

    async fn depth(&self, queue: Queue) -> Result<Depth, BusError> {
        self.inner.depth(queue).await
    }

    async fn dead_letters(&self, position: u64, limit: u32) -> Result<Vec<DeadLetter>, BusError> {
        self.inner.dead_letters(position, limit).await
    }

    async fn revive(&self, letter: &DeadLetter) -> Result<(), PublishError> {
        self.inner.revive(letter).await
    }

    async fn unrouted(&self, limit: u32) -> Result<Vec<Stray>, BusError> {
        self.inner.unrouted(limit).await
    }

    async fn replay_unrouted(&self, limit: u32) -> Result<u32, BusError> {
        self.inner.replay_unrouted(limit).await
    }
}
