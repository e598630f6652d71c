//! A bus whose announcements somebody listens to.

use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dockbell_backends::Bus;
use dockbell_backends::bus::{BusError, Consumer, DeadLetter, Depth, Outgoing, PublishError, Queue, Stray};
use dockbell_proto::operations::OperatorEvent;

/// Passes everything on but announcements, which it remembers.
#[derive(Debug)]
pub struct Listening {
    inner: Arc<dyn Bus>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    away_for: u32,
    heard: Vec<OperatorEvent>,
}

impl Listening {
    /// A listener on `inner`.
    pub fn new(inner: Arc<dyn Bus>) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// Refuses the next announcements, as a bus does that is away.
    pub fn refuse(&self, announcements: u32) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).away_for = announcements;
    }

    /// What was announced, in its order.
    pub fn heard(&self) -> Vec<OperatorEvent> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).heard.clone()
    }
}

#[async_trait]
impl Bus for Listening {
    async fn announce(&self, event: &OperatorEvent) -> Result<(), PublishError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.away_for > 0 {
            state.away_for -= 1;
            return Err(PublishError::Unavailable("refused by the test".to_owned()));
        }
        state.heard.push(event.clone());
        Ok(())
    }

    async fn publish(&self, queue: Queue, message: Outgoing) -> Result<(), PublishError> {
        self.inner.publish(queue, message).await
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
        self.inner.consume_inbox(prefetch).await
    }

    fn is_full(&self, queue: Queue) -> bool {
        self.inner.is_full(queue)
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
