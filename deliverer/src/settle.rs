//! What follows an attempt: it is recorded, and its verdict carried out.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use dockbell_backends::bus::{Outgoing, PublishError, Queue};
use dockbell_backends::store::{AttemptRecord, EXCERPT_LIMIT, Recorded};
use dockbell_backends::{Bus, Store};
use dockbell_proto::clock::Clock;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::event::cut;
use dockbell_proto::message::Message;
use dockbell_proto::outcome::Verdict;
use jiff::Timestamp;

use crate::metrics::Metrics;

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What verdicts are carried out with.
#[derive(Debug)]
pub struct Settler {
    /// Where retries wait.
    pub bus: Arc<dyn Bus>,
    /// Where attempts are recorded.
    pub store: Arc<dyn Store>,
    /// The time that retries count from.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
}

impl Settler {
    /// Records an attempt, however long the store is away: the message stays unsettled meanwhile.
    pub async fn record(&self, record: &AttemptRecord) -> Recorded {
        self.until_done("record", || self.store.record(record)).await
    }

    /// Makes the verdict durable: the next attempt waits in the bus, or the delivery among the dead letters.
    /// `is_repeated` says that it may have been carried out before.
    pub async fn carry_out(&self, delivery: &Delivery, verdict: &Verdict, is_repeated: bool) {
        match verdict {
            Verdict::Delivered => {}
            Verdict::Retry { at } => self.wait(delivery.retried(*at), *at, is_repeated).await,
            Verdict::Dead { reason } => self.bury(delivery, reason).await,
        }
    }

    /// Puts a delivery back to wait until `at`.
    pub async fn wait(&self, delivery: Delivery, at: Timestamp, is_repeated: bool) {
        let message = Outgoing { maybe_repeated: is_repeated, ..Outgoing::carrying(&Message::Delivery(delivery)) };
        let delay = Duration::try_from(at.duration_since(self.clock.now())).unwrap_or_default();
        self.until_published("retry", message, |message| self.bus.publish_after(Queue::Redeliveries, message, delay))
            .await;
    }

    async fn bury(&self, delivery: &Delivery, reason: &str) {
        self.metrics.dead_lettered(Queue::Redeliveries);
        let message = Outgoing::carrying(&Message::Delivery(delivery.clone()));
        self.until_published("dead letter", message, |message| {
            self.bus.bury(Queue::Redeliveries, message, reason.to_owned())
        })
        .await;
    }

    async fn until_published<F: Future<Output = Result<(), PublishError>>>(
        &self,
        operation: &'static str,
        mut message: Outgoing,
        publish: impl Fn(Outgoing) -> F,
    ) {
        let mut pauses = pauses();
        while let Err(error) = publish(message.clone()).await {
            message.maybe_repeated |= matches!(error, PublishError::Unknown(_));
            self.pause(operation, &error, pauses.next()).await;
        }
    }

    /// Repeats an operation of a backend until it succeeds. Whoever stops waiting drops the future.
    pub async fn until_done<T, E: Error + Send + Sync, F: Future<Output = Result<T, E>>>(
        &self,
        operation: &'static str,
        run: impl Fn() -> F,
    ) -> T {
        let mut pauses = pauses();
        loop {
            match run().await {
                Ok(value) => return value,
                Err(error) => self.pause(operation, &error, pauses.next()).await,
            }
        }
    }

    async fn pause(&self, operation: &'static str, error: &(impl Error + Sync), pause: Option<Duration>) {
        let pause = pause.unwrap_or(LONGEST_PAUSE);
        self.metrics.backend_away(operation);
        tracing::warn!(operation, error = %error, retry.after_ms = pause.as_millis(), "a backend is away; the work waits");
        tokio::time::sleep(pause).await;
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}

/// The beginning of an answer's body, as text that can be shown.
pub fn excerpt(body: &[u8]) -> Option<String> {
    let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    let beginning = body.get(..EXCERPT_LIMIT.min(body.len())).unwrap_or_default();
    let mut text: String = String::from_utf8_lossy(beginning).chars().map(shown).collect();
    cut(&mut text, EXCERPT_LIMIT);
    (!text.is_empty()).then_some(text)
}
