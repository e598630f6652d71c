//! What follows an attempt: it is recorded, and its verdict carried out.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dockbell_backends::bus::{Outgoing, Queue};
use dockbell_backends::repeat::{until_done, until_published};
use dockbell_backends::store::{AttemptRecord, EXCERPT_LIMIT, StoreError};
use dockbell_backends::{Bus, Store};
use dockbell_proto::clock::Clock;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::event::cut;
use dockbell_proto::message::Message;
use dockbell_proto::outcome::Verdict;
use jiff::Timestamp;

use crate::metrics::Metrics;

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
    /// Records an attempt, however long the store is away: the message stays unsettled meanwhile. Says whether
    /// it falls to the caller to carry the verdict out: whoever records an attempt first does.
    pub async fn record(&self, record: &AttemptRecord) -> bool {
        let failed_before = AtomicBool::new(false);
        let failed = |error: &StoreError, pause: Duration| {
            failed_before.store(true, Ordering::Relaxed);
            self.told("record", error, pause);
        };
        let recorded = until_done(|| self.store.record(record), failed).await;
        // A record that failed may have happened all the same; the repetition then was not the first.
        recorded.is_first || failed_before.load(Ordering::Relaxed)
    }

    /// Makes the verdict durable: the next attempt waits in the bus, or the delivery among the dead letters.
    /// `is_repeated` says that it may have been carried out before.
    pub async fn carry_out(&self, delivery: &Delivery, verdict: &Verdict, is_repeated: bool) {
        match verdict {
            Verdict::Delivered | Verdict::Superseded { .. } | Verdict::Skipped { .. } | Verdict::Expired { .. } => {}
            Verdict::Retry { at } => self.wait(delivery.retried(*at), *at, is_repeated).await,
            Verdict::Dead { reason } => self.bury(delivery, reason).await,
        }
    }

    /// Puts a delivery back to wait until `at`.
    pub async fn wait(&self, delivery: Delivery, at: Timestamp, is_repeated: bool) {
        let message = Outgoing { maybe_repeated: is_repeated, ..Outgoing::carrying(&Message::Delivery(delivery)) };
        let delay = Duration::try_from(at.duration_since(self.clock.now())).unwrap_or_default();
        let publish = |message| self.bus.publish_after(Queue::Redeliveries, message, delay);
        until_published(message, publish, |error, pause| self.told("retry", error, pause)).await;
    }

    async fn bury(&self, delivery: &Delivery, reason: &str) {
        let message = Outgoing::carrying(&Message::Delivery(delivery.clone()));
        let bury = |message| self.bus.bury(Queue::Redeliveries, message, reason.to_owned());
        until_published(message, bury, |error, pause| self.told("bury", error, pause)).await;
        self.metrics.dead_lettered(Queue::Redeliveries);
    }

    /// Repeats an operation of a backend until it succeeds. Whoever stops waiting drops the future.
    pub async fn until_done<T, E: Error, F: Future<Output = Result<T, E>>>(
        &self,
        operation: &'static str,
        run: impl FnMut() -> F,
    ) -> T {
        until_done(run, |error, pause| self.told(operation, error, pause)).await
    }

    fn told(&self, operation: &'static str, error: &dyn Error, pause: Duration) {
        self.metrics.backend_away(operation);
        let after_ms = pause.as_millis();
        tracing::warn!(operation, error = %error, retry.after_ms = after_ms, "a backend is away; the work waits");
    }
}

/// The beginning of an answer's body, as text that can be shown.
pub fn excerpt(body: &[u8]) -> Option<String> {
    let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    let beginning = body.get(..EXCERPT_LIMIT.min(body.len())).unwrap_or_default();
    let mut text: String = String::from_utf8_lossy(beginning).chars().map(shown).collect();
    cut(&mut text, EXCERPT_LIMIT);
    (!text.is_empty()).then_some(text)
}
