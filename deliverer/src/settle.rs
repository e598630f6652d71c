//! What follows an attempt: it is recorded, and its verdict carried out.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dockbell_backends::bus::{Outgoing, Queue};
use dockbell_backends::repeat::{until_done, until_published};
use dockbell_backends::store::{AttemptRecord, EXCERPT_LIMIT, Parked, Parking, Recorded, StoreError};
use dockbell_backends::{Bus, Store};
use dockbell_proto::clock::Clock;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::event::cut;
use dockbell_proto::health::{Health, StandingChange, StandingWord};
use dockbell_proto::ids::WebhookId;
use dockbell_proto::message::Message;
use dockbell_proto::operations::OperatorEvent;
use dockbell_proto::outcome::Verdict;
use dockbell_proto::placeholder::has_placeholder;
use dockbell_proto::policy::Policy;
use dockbell_proto::webhook::{Webhook, WebhookPatch};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout};

use crate::burial::Burials;
use crate::directory::Directory;
use crate::judge::disables;
use crate::line::Line;
use crate::metrics::Metrics;
use crate::operations::Operations;
use crate::unrecorded::Unrecorded;

/// What verdicts are carried out with.
#[derive(Debug)]
pub struct Settler {
    /// Where retries wait.
    pub bus: Arc<dyn Bus>,
    /// Where attempts are recorded.
    pub store: Arc<dyn Store>,
    /// What is known of webhooks.
    pub directory: Arc<Directory>,
    /// The delivery policy of webhooks that have none of their own.
    pub policy: Policy,
    /// What the store has yet to be told.
    pub unrecorded: Unrecorded,
    /// Where what is not delivered now waits for the store.
    pub line: Line,
    /// What is to become a dead letter.
    pub burials: Burials,
    /// The time that retries count from.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
    /// Where operators are told.
    pub operations: Operations,
    /// When the absence of a backend was last told, by operation.
    pub told_at: Mutex<HashMap<&'static str, Instant>>,
}

/// How often the absence of a backend is told per operation.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// How long after its time a delivery that the bus did not take to wait is attempted from where it is: longer than a
/// bus needs that works, and long enough for somebody else to have attempted it who got its message again.
const PATIENCE: Duration = Duration::from_secs(5);

impl Settler {
    /// Records an attempt; while the store is away it is kept to be recorded later, and once no more can be kept the
    /// message stays unsettled. Says whether it falls to the caller to carry the verdict out: whoever records an
    /// attempt first does, and so does who cannot know.
    pub async fn record(&self, record: AttemptRecord) -> bool {
        let recording = self.store.record(&record);
        let recorded = match &record.verdict {
            Verdict::Delivered => recording.await,
            _ => Box::pin(self.line.pass(recording)).await,
        };
        match recorded {
            Ok(recorded) => {
                let is_first = recorded.is_first;
                self.follow_up(&record, recorded).await;
                is_first
            }
            Err(error) => {
                self.told("record", &error, Duration::ZERO);
                Box::pin(self.unrecorded.keep(record)).await;
                self.metrics.unrecorded(1);
                true
            }
        }
    }

    /// Records what could not be recorded when it happened, for as long as it is polled.
    pub async fn catch_up(&self) {
        loop {
            let record = self.unrecorded.oldest().await;
            let recorded = self.until_done("record", || self.store.record(&record)).await;
            self.unrecorded.forget_oldest();
            self.metrics.unrecorded(-1);
            self.follow_up_late(&record, recorded).await;
        }
    }

    /// The same within a time, when the process ends. What is left then is not in the history.
    pub async fn catch_up_in_time(&self, time: Duration) {
        let all = async {
            while !self.unrecorded.is_empty() {
                let record = self.unrecorded.oldest().await;
                let recorded = self.until_done("record", || self.store.record(&record)).await;
                self.unrecorded.forget_oldest();
                self.follow_up_late(&record, recorded).await;
            }
        };
        if timeout(time, all).await.is_err() {
            let attempts = self.unrecorded.len();
            tracing::warn!(attempts, "attempts could not be recorded before the end: the history lacks them");
        }
    }

    /// The same for what could not be recorded at once: perhaps it was, and only the answer was lost. What follows may be
    /// repeated, and is not done twice.
    async fn follow_up_late(&self, record: &AttemptRecord, recorded: Recorded) {
        self.follow_up(record, Recorded { is_first: true, ..recorded }).await;
    }

    /// Acts on what an attempt did to the standing of its webhook.
    async fn follow_up(&self, record: &AttemptRecord, recorded: Recorded) {
        let id = &record.delivery.webhook;
        let health = recorded.health.clone();
        self.directory.learn(id, recorded.health);
        if let Some(change) = &recorded.change {
            Box::pin(self.tell(id, change)).await;
        }
        if record.verdict == Verdict::Delivered {
            Box::pin(self.keep_told(record)).await;
        }
        let gone = disables(&record.outcome);
        if recorded.is_first && (gone.is_some() || health.failing_since.is_some()) {
            Box::pin(self.disable_if_due(record, &health, gone)).await;
        }
    }

    /// Keeps what was told to a receiver that wants changes alone. Without it the next push is news, whatever its digest.
    async fn keep_told(&self, record: &AttemptRecord) {
        let Some(as_of) = record.told_as_of else { return };
        if let Err(error) = self.store.keep_told(&record.delivery, as_of).await {
            self.told("keep what was told", &error, Duration::ZERO);
        }
    }

    /// Disables the webhook if its receiver is gone, or has failed for as long as its policy says.
    async fn disable_if_due(&self, record: &AttemptRecord, health: &Health, gone: Option<String>) {
        let (id, now) = (&record.delivery.webhook, self.clock.now());
        let found = self.until_done("look up a webhook", || self.directory.webhook(id)).await;
        let Some(webhook) = found.filter(|webhook| webhook.enabled) else { return };
        // Such a URL is one of many: what is gone is what this delivery was about.
        let gone = gone.filter(|_| !has_placeholder(webhook.url.expose()));
        let is_hopeless = || health.is_to_be_disabled(&self.policy_of(&webhook).disabling, now);
        let Some(reason) = gone.or_else(|| is_hopeless().then(|| hopeless(health, now))) else { return };
        let patch =
            WebhookPatch { enabled: Some(false), disabled_reason: Some(reason.clone()), ..WebhookPatch::default() };
        let disable = || async {
            // However long the store was away: what its owner did since the attempt counts.
            let as_it_was = self.store.webhook(id).await?.filter(|webhook| webhook.updated_at <= record.at);
            let Some(_) = as_it_was.filter(|webhook| webhook.enabled) else { return Ok::<_, StoreError>(false) };
            Ok(self.store.patch_webhook(id, &patch, now).await?.is_some())
        };
        if !self.until_done("disable a webhook", disable).await {
            return;
        }
        let change = StandingChange { at: now, standing: StandingWord::Disabled, reason };
        self.until_done("disable a webhook", || self.store.keep_change(id, &change)).await;
        self.tell(id, &change).await;
    }

    /// The delivery policy of a webhook.
    pub fn policy_of(&self, webhook: &Webhook) -> Policy {
        self.policy.with(&webhook.policy)
    }

    /// Tells a change of a webhook's standing to those who look at logs and metrics, and to operators.
    async fn tell(&self, webhook: &WebhookId, change: &StandingChange) {
        let (standing, reason) = (change.standing.as_str(), &change.reason);
        self.metrics.standing_changed(change.standing);
        match change.standing {
            StandingWord::Suspended | StandingWord::Disabled => {
                tracing::warn!(webhook.id = %webhook, standing, reason, "the standing of a webhook changed");
            }
            StandingWord::Healthy | StandingWord::Recovering | StandingWord::Enabled => {
                tracing::info!(webhook.id = %webhook, standing, reason, "the standing of a webhook changed");
            }
        }
        // It was known a moment ago; if it was removed since, nobody wants to know.
        let Ok(Some(found)) = self.directory.webhook(webhook).await else { return };
        if let Some(event) = OperatorEvent::of_change(&found, change) {
            self.operations.tell(event);
        }
    }

    /// Makes the verdict durable: the next attempt waits in the bus, or the delivery among the dead letters.
    /// `is_repeated` says that it may have been carried out before. Returns what had to wait here, as
    /// [`Settler::wait`] does.
    pub async fn carry_out(&self, delivery: &Delivery, verdict: &Verdict, is_repeated: bool) -> Option<Delivery> {
        match verdict {
            Verdict::Retry { at } => return Box::pin(self.wait(delivery.retried(*at), *at, is_repeated)).await,
            Verdict::Dead { reason } => Box::pin(self.bury(delivery, reason)).await,
            Verdict::Delivered
            | Verdict::Superseded { .. }
            | Verdict::Unchanged
            | Verdict::Skipped { .. }
            | Verdict::Expired { .. } => {}
        }
        None
    }

    /// Takes note of a delivery that is to wait without having been attempted. While the store is away it waits
    /// without a note.
    pub async fn park(&self, parking: &Parking) -> Option<Parked> {
        match self.line.pass(self.store.park(parking)).await {
            Ok(parked) => {
                if let Parked::Waits(health) | Parked::Full(health) = &parked {
                    self.directory.learn(&parking.delivery.webhook, health.clone());
                }
                Some(parked)
            }
            Err(error) => {
                self.told("park", &error, Duration::ZERO);
                None
            }
        }
    }

    /// Puts a delivery to wait in the bus until `at`. While the bus takes nothing it waits here, its message unsettled,
    /// and is returned soon after its time: an alarm of the broker that a backlog caused would never end if the
    /// backlog could not be attempted without being published again.
    pub async fn wait(&self, delivery: Delivery, at: Timestamp, is_repeated: bool) -> Option<Delivery> {
        let message =
            Outgoing { maybe_repeated: is_repeated, ..Outgoing::carrying(&Message::Delivery(delivery.clone())) };
        let delay = Duration::try_from(at.duration_since(self.clock.now())).unwrap_or_default();
        let publish = |message| self.bus.publish_after(Queue::Redeliveries, message, delay);
        let published = until_published(message, publish, |error, pause| self.told("retry", error, pause));
        timeout(delay + PATIENCE, published).await.is_err().then_some(delivery)
    }

    /// Keeps a delivery that was given up as a dead letter. While the bus takes nothing some wait for that, their
    /// messages unsettled; the others do without, or nothing else could be attempted. Their end is recorded.
    async fn bury(&self, delivery: &Delivery, reason: &str) {
        let message = Outgoing::carrying(&Message::Delivery(delivery.clone()));
        let bury = |message| self.bus.bury(Queue::Redeliveries, message, reason.to_owned());
        let buried = until_published(message, bury, |error, pause| self.told("bury", error, pause));
        if self.burials.see(buried, PATIENCE).await {
            self.metrics.dead_lettered(Queue::Redeliveries);
            return;
        }
        self.metrics.dead_letter_forgone();
        let (id, webhook) = (&delivery.id, &delivery.webhook);
        tracing::error!(delivery.id = %id, webhook.id = %webhook, reason, "a delivery that was given up has no dead letter: the bus takes none, and too many wait for theirs; its history has it");
    }

    /// Repeats an operation of a backend until it succeeds. Whoever stops waiting drops the future.
    pub async fn until_done<T, E: Error, F: Future<Output = Result<T, E>>>(
        &self,
        operation: &'static str,
        run: impl FnMut() -> F,
    ) -> T {
        until_done(run, |error, pause| self.told(operation, error, pause)).await
    }

    /// Tells that a backend is away.
    pub fn told(&self, operation: &'static str, error: &dyn Error, pause: Duration) {
        self.metrics.backend_away(operation);
        if !self.is_news(operation) {
            return;
        }
        let after_ms = pause.as_millis();
        tracing::warn!(operation, error = %error, retry.after_ms = after_ms, "a backend is away; the work waits");
    }

    /// Whether this was not told within the last second: thousands of deliveries meet the same fault.
    fn is_news(&self, operation: &'static str) -> bool {
        let (mut told, now) = (self.told_at.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        let is_news = told.get(operation).is_none_or(|at| now.duration_since(*at) >= TOLD_EVERY);
        if is_news {
            told.insert(operation, now);
        }
        is_news
    }
}

fn hopeless(health: &Health, now: Timestamp) -> String {
    let span = health.failing_since.map(|since| now.duration_since(since).as_secs()).unwrap_or_default();
    let (failures, span) = (health.consecutive_failures, SignedDuration::from_secs(span));
    format!("its last {failures} attempts failed, for {span:#}")
}

/// The beginning of an answer's body, as text that can be shown.
pub fn excerpt(body: &[u8]) -> Option<String> {
    let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    let beginning = body.get(..EXCERPT_LIMIT.min(body.len())).unwrap_or_default();
    let mut text: String = String::from_utf8_lossy(beginning).chars().map(shown).collect();
    cut(&mut text, EXCERPT_LIMIT);
    (!text.is_empty()).then_some(text)
}
