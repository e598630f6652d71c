//! The work on one message: a batch becomes deliveries, and each delivery is attempted once.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::bus::{Queue, Received};
use dockbell_backends::store::AttemptRecord;
use dockbell_chassis::trace;
use dockbell_proto::batch::Batch;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::message::Message;
use dockbell_proto::names::Tag;
use dockbell_proto::order::Order;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::webhook::Webhook;
use futures_util::future::join_all;
use jiff::Timestamp;
use rand::RngExt as _;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use super::Deliverer;
use crate::judge::{describe, judge};
use crate::newest::superseded_by;
use crate::route::route;
use crate::settle::excerpt;
use crate::transport::Exchange;

/// Does the work that a message asks for, then settles it. Dropped before, the message comes back.
pub(super) async fn work(deliverer: &Deliverer, queue: Queue, message: Received, permits: &Semaphore) {
    let settled = match Message::decode(&message.body) {
        Ok(Message::Batch(batch)) => {
            deliverer.deliver_batch(&Arc::new(batch), message.maybe_repeated, permits).await;
            message.receipt.ack().await
        }
        Ok(Message::Delivery(delivery)) => {
            deliverer.deliver_waiting(delivery, message.maybe_repeated, permits).await;
            message.receipt.ack().await
        }
        Err(error) => {
            tracing::error!(message.id = message.id, queue = queue.as_str(), error = %error, "a message cannot be read and is kept as a dead letter");
            deliverer.settler.metrics.dead_lettered(queue);
            message.receipt.dead_letter(error.to_string()).await
        }
    };
    if let Err(error) = settled {
        tracing::debug!(error = %error, "a message could not be settled and comes back");
    }
}

impl Deliverer {
    /// Makes the first attempt of everything that a batch owes.
    async fn deliver_batch(&self, batch: &Arc<Batch>, maybe_repeated: bool, permits: &Semaphore) {
        let directory = &self.attempter.directory;
        let webhooks = self.settler.until_done("look up webhooks", || directory.webhooks_for(&batch.repository)).await;
        let deliveries = route(batch, &webhooks);
        tracing::debug!(repository = %batch.repository, deliveries = deliveries.len(), "a batch was routed");
        join_all(deliveries.into_iter().map(|(webhook, delivery)| async move {
            self.deliver(&webhook, delivery, maybe_repeated, permits).await;
        }))
        .await;
    }

    /// Makes the next attempt of a delivery that was waiting.
    async fn deliver_waiting(&self, delivery: Delivery, maybe_repeated: bool, permits: &Semaphore) {
        if let Some(at) = self.still_to_wait(&delivery) {
            return self.settler.wait(delivery, at, maybe_repeated).await;
        }
        match self.current(&delivery).await {
            Some(webhook) => self.deliver(&webhook, delivery, maybe_repeated, permits).await,
            None => self.drop_unaddressed(&delivery),
        }
    }

    /// Until when a delivery that came early must wait. One that claims to wait longer than any may (the clock
    /// was set back) has waited for as long as the bus was told to.
    fn still_to_wait(&self, delivery: &Delivery) -> Option<Timestamp> {
        let at = delivery.not_before?;
        let rest = Duration::try_from(at.duration_since(self.settler.clock.now())).ok()?;
        (!rest.is_zero() && rest <= self.schedule.longest_wait()).then_some(at)
    }

    /// The webhook as it is now; none if it was removed.
    async fn current(&self, delivery: &Delivery) -> Option<Arc<Webhook>> {
        let directory = &self.attempter.directory;
        self.settler.until_done("look up a webhook", || directory.webhook(&delivery.webhook)).await
    }

    fn drop_unaddressed(&self, delivery: &Delivery) {
        let (delivery, webhook) = (&delivery.id, &delivery.webhook);
        tracing::info!(delivery.id = %delivery, webhook.id = %webhook, "a delivery is dropped: its webhook was removed");
        self.settler.metrics.delivery_unaddressed();
    }

    /// Attempts a delivery, unless this attempt was made before, and makes what follows durable.
    async fn deliver(&self, webhook: &Webhook, delivery: Delivery, maybe_repeated: bool, permits: &Semaphore) {
        let trace = &delivery.content.trace;
        let (id, format) = (&delivery.id, webhook.format.as_str());
        let span = tracing::info_span!("delivery", otel.kind = "consumer", delivery.id = %id, webhook.id = %webhook.id, webhook.format = format);
        trace::continue_from(&span, &trace.traceparent, &trace.tracestate);
        self.deliver_in_span(delivery, maybe_repeated, permits).instrument(span).await;
    }

    async fn deliver_in_span(&self, delivery: Delivery, maybe_repeated: bool, permits: &Semaphore) {
        let _under_way = self.under_way.begin(delivery.attempt_id()).await;
        let is_fresh = delivery.ordinal == 1 && !maybe_repeated;
        if !is_fresh && let Some(verdict) = self.earlier_verdict(&delivery).await {
            self.settler.metrics.delivery_repeated();
            // A copy of a message leaves the verdict to the original; only a message that comes again may
            // be the one whose verdict was recorded and not carried out.
            if maybe_repeated {
                self.settler.carry_out(&delivery, &verdict, true).await;
            }
            return;
        }
        let Some(record) = self.attempt_when_permitted(delivery, is_fresh, permits).await else { return };
        if self.settler.record(&record).await {
            self.settler.carry_out(&record.delivery, &record.verdict, false).await;
        }
    }

    /// Makes the attempt once there is room for it, with the webhook as it is then, unless the delivery is old
    /// news by then. The permit ends with the attempt: what follows may have to wait for a backend.
    async fn attempt_when_permitted(
        &self,
        delivery: Delivery,
        is_fresh: bool,
        permits: &Semaphore,
    ) -> Option<AttemptRecord> {
        // The semaphore is never closed, so the only other result does not occur.
        let _permit = permits.acquire().await.ok();
        let Some(webhook) = self.current(&delivery).await else {
            self.drop_unaddressed(&delivery);
            return None;
        };
        // Only what waited or comes again can be old news, and a person who asks for old news gets it.
        if !is_fresh
            && delivery.request == 0
            && let Some(by) = self.superseded_by(&delivery).await
        {
            return Some(self.withhold(&webhook, delivery, by));
        }
        Some(self.attempt(&webhook, delivery).await)
    }

    /// What took the place of the delivery, if anything did. Without an answer it is sent: news that comes twice
    /// can be told by its order, news that does not come cannot be told at all.
    async fn superseded_by(&self, delivery: &Delivery) -> Option<Order> {
        let content = &delivery.content;
        let tags: Vec<Tag> = content.changes.iter().map(|change| change.tag.clone()).collect();
        let repository = (&content.registry, &content.repository);
        match self.settler.store.newest(&delivery.webhook, repository, &tags).await {
            Ok(newest) => superseded_by(&content.changes, &newest),
            Err(error) => {
                self.settler.metrics.backend_away("look up later changes");
                tracing::warn!(%error, "a delivery is sent without knowing whether it is superseded");
                None
            }
        }
    }

    /// Judges that the delivery is not sent.
    fn withhold(&self, webhook: &Webhook, delivery: Delivery, by: Order) -> AttemptRecord {
        let exchange = Exchange { outcome: Outcome::Superseded { by }, body: Vec::new(), took: Duration::ZERO };
        self.judge(webhook, delivery, self.settler.clock.now(), &exchange)
    }

    async fn earlier_verdict(&self, delivery: &Delivery) -> Option<Verdict> {
        let ids = [delivery.attempt_id()];
        let verdicts = self.settler.until_done("look up earlier attempts", || self.settler.store.settled(&ids)).await;
        verdicts.into_iter().next().flatten()
    }

    /// Makes one attempt, and judges it.
    async fn attempt(&self, webhook: &Webhook, delivery: Delivery) -> AttemptRecord {
        let at = self.settler.clock.now();
        self.settler.metrics.attempt_started();
        let span = tracing::info_span!(
            "attempt",
            otel.kind = "client",
            attempt.ordinal = delivery.ordinal,
            outcome = tracing::field::Empty,
            http.response.status_code = tracing::field::Empty
        );
        let exchange = self
            .settler
            .until_done("prepare an attempt", || self.attempter.attempt(webhook, &delivery))
            .instrument(span.clone())
            .await;
        span.record("outcome", exchange.outcome.as_str());
        if let Some(status) = exchange.outcome.status() {
            span.record("http.response.status_code", status);
        }
        self.settler.metrics.attempt_ended(webhook.format, &exchange.outcome, exchange.took);
        self.judge(webhook, delivery, at, &exchange)
    }

    /// Judges what began at `at` and ends now.
    fn judge(&self, webhook: &Webhook, delivery: Delivery, at: Timestamp, exchange: &Exchange) -> AttemptRecord {
        let now = self.settler.clock.now();
        let chance = self.chance();
        let verdict = self.with_room(judge(&self.schedule, &exchange.outcome, delivery.ordinal, (now, chance)));
        let record = AttemptRecord {
            at,
            took: exchange.took,
            excerpt: excerpt(&exchange.body),
            outcome: exchange.outcome.clone(),
            suspension: dockbell_proto::policy::Suspension::default(),
            verdict,
            delivery,
        };
        self.tell(webhook, &record, exchange);
        record
    }

    /// A retry that could not wait anywhere would hold up what must leave the queue to make room.
    fn with_room(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Retry { .. } if self.settler.bus.is_full(Queue::Redeliveries) => {
                let reason = "given up: the queue of waiting deliveries is full".to_owned();
                Verdict::Dead { reason }
            }
            verdict => verdict,
        }
    }

    fn chance(&self) -> f64 {
        self.rng.lock().unwrap_or_else(std::sync::PoisonError::into_inner).random()
    }

    fn tell(&self, webhook: &Webhook, record: &AttemptRecord, exchange: &Exchange) {
        let metrics = &self.settler.metrics;
        metrics.verdict_reached(&record.verdict);
        let newest = record.delivery.content.changes.iter().map(|change| change.pushed_at).max();
        // A redelivery that a person asked for days later tells nothing about latency.
        if let (Verdict::Delivered, Some(pushed_at), 0) = (&record.verdict, newest, record.delivery.request) {
            metrics.delivered(
                webhook.format,
                Duration::try_from(record.at.duration_since(pushed_at)).unwrap_or_default() + exchange.took,
            );
        }
        let ordinal = record.delivery.ordinal;
        match &record.verdict {
            Verdict::Delivered => tracing::trace!(took_ms = exchange.took.as_millis(), "delivered"),
            Verdict::Retry { at } => {
                let outcome = describe(&exchange.outcome);
                tracing::debug!(attempt.ordinal = ordinal, retry.at = %at, outcome, "an attempt failed");
            }
            Verdict::Superseded { by } => {
                tracing::debug!(attempt.ordinal = ordinal, order = %by, "a delivery is not sent: it is superseded");
            }
            Verdict::Skipped { reason } | Verdict::Expired { reason } => {
                tracing::info!(attempt.ordinal = ordinal, reason, "a delivery is not sent");
            }
            Verdict::Dead { reason } => {
                let (delivery, webhook) = (&record.delivery.id, &webhook.id);
                tracing::warn!(delivery.id = %delivery, webhook.id = %webhook, reason, "a delivery was given up and is kept as a dead letter");
            }
        }
    }
}
