//! From the attempt to what is recorded and told of it.

use std::pin::pin;
use std::time::Duration;

use dockbell_backends::bus::Queue;
use dockbell_backends::store::{AttemptRecord, Health};
use dockbell_chassis::failpoint::{begun, reach};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::Standing;
use dockbell_proto::operations::{OperationKind, OperatorEvent};
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::webhook::Webhook;
use jiff::Timestamp;

use super::Deliverer;
use super::way::Way;
use super::work::Owed;
use crate::fleet::Finding;
use crate::gate::spread;
use crate::judge::{describe, judge};
use crate::settle::excerpt;
use crate::transport::Exchange;

const FAULT: &str = "almost no receiver can be reached: this is taken for a fault of our own network; no webhook is charged, and nothing is attempted for a while";

impl Deliverer {
    /// Makes one attempt, and judges it.
    pub(super) async fn attempt(&self, webhook: &Webhook, delivery: Delivery, way: &Way) -> AttemptRecord {
        let at = self.settler.clock.now();
        self.settler.metrics.attempt_started();
        let span = tracing::debug_span!(
            "attempt",
            otel.kind = "client",
            attempt.ordinal = delivery.ordinal,
            outcome = tracing::field::Empty,
            http.response.status_code = tracing::field::Empty
        );
        let prepare = || self.attempter.attempt(webhook, &delivery, way.target.clone());
        let mut exchange = {
            let attempt = pin!(self.settler.until_done("prepare an attempt", prepare));
            tracing::Instrument::instrument(begun("attempt begun", attempt), span.clone()).await
        };
        reach("answer read");
        way.lane.learn(&exchange.outcome);
        exchange.outcome = self.attributed(&way.host, exchange.outcome);
        span.record("outcome", exchange.outcome.as_str());
        if let Some(status) = exchange.outcome.status() {
            span.record("http.response.status_code", status);
        }
        self.settler.metrics.attempt_ended(webhook.format, &exchange.outcome, exchange.took);
        self.judge(webhook, delivery, at, &exchange).await
    }

    /// The outcome with the fault where it belongs: if almost nobody can be reached, it is ours.
    fn attributed(&self, host: &str, outcome: Outcome) -> Outcome {
        let (outcome, finding) = self.fleet.note(host, outcome);
        match finding {
            Finding::Nothing => {}
            Finding::Fault(pause) => {
                self.settler.metrics.fleet_fault(true);
                self.tell_fleet(OperationKind::FleetFault, FAULT);
                let pause_s = pause.as_secs();
                tracing::error!(pause_s, "{FAULT}");
            }
            Finding::Recovered => {
                self.settler.metrics.fleet_fault(false);
                self.tell_fleet(OperationKind::FleetRecovered, "receivers answer again");
                tracing::info!("receivers answer again");
            }
        }
        outcome
    }

    fn tell_fleet(&self, kind: OperationKind, reason: &str) {
        self.settler.operations.tell(OperatorEvent::of_fleet(kind, self.settler.clock.now(), reason));
    }

    /// Judges what began at `at` and ends now.
    async fn judge(&self, webhook: &Webhook, delivery: Delivery, at: Timestamp, exchange: &Exchange) -> AttemptRecord {
        let (now, chance) = (self.settler.clock.now(), self.chance.draw());
        let schedule = self.settler.policy_of(webhook).schedule;
        let verdict = judge(&schedule, &exchange.outcome, delivery.ordinal, (now, chance));
        let verdict = match verdict {
            Verdict::Retry { .. } => Box::pin(self.with_room(webhook, &delivery, verdict)).await,
            verdict => verdict,
        };
        self.recorded(webhook, delivery, (at, verdict), exchange)
    }

    /// A retry that may not wait anywhere ends. It would hold up what must leave the queue to make room.
    async fn with_room(&self, webhook: &Webhook, delivery: &Delivery, verdict: Verdict) -> Verdict {
        let Verdict::Retry { at } = verdict else { return verdict };
        if self.settler.bus.is_full(Queue::Redeliveries) {
            return Verdict::Expired { reason: "the queue of waiting deliveries is full".to_owned() };
        }
        let limit = self.settler.policy_of(webhook).custody.waiting;
        let health = self.attempter.directory.health(&webhook.id).await;
        let waiting = health.waiting;
        // What was attempted before is among those that wait.
        if delivery.ordinal == 1 && !delivery.is_parked && waiting >= limit {
            let reason = format!("{limit} deliveries of the webhook wait, which is as many as may");
            return Verdict::Expired { reason };
        }
        Verdict::Retry { at: self.once_it_may_be_tried(&health, at) }
    }

    /// The time of a retry, or when the suspension of its webhook ends, if that is later: it would only be put off again.
    fn once_it_may_be_tried(&self, health: &Health, at: Timestamp) -> Timestamp {
        match health.standing {
            Standing::Suspended { until, .. } if until > at => {
                let (now, chance) = (self.settler.clock.now(), self.chance.draw_of_the_moment());
                spread(until, health.waiting, (now, chance))
            }
            _ => at,
        }
    }

    /// Ends a delivery without an attempt. Who held its message before may have made one meanwhile, and died before the
    /// retry was published: then that is done instead. Returns what had to wait here.
    pub(super) async fn end(
        &self,
        webhook: &Webhook,
        owed: Owed<'_>,
        (outcome, verdict): (Outcome, Verdict),
    ) -> Option<Delivery> {
        let exchange = Exchange { outcome, body: Vec::new(), took: Duration::ZERO };
        let record = self.recorded(webhook, owed.delivery, (self.settler.clock.now(), verdict), &exchange);
        self.settle(record, owed.maybe_repeated).await
    }

    fn recorded(
        &self,
        webhook: &Webhook,
        delivery: Delivery,
        (at, verdict): (Timestamp, Verdict),
        exchange: &Exchange,
    ) -> AttemptRecord {
        let record = AttemptRecord {
            at,
            took: exchange.took,
            excerpt: excerpt(&exchange.body),
            outcome: exchange.outcome.clone(),
            suspension: self.settler.policy_of(webhook).suspension,
            told_as_of: webhook.filter.only_changed.then_some(webhook.updated_at),
            verdict,
            delivery,
        };
        self.tell(webhook, &record, exchange);
        record
    }

    /// Records what happened, and carries out what follows if that falls to us. It does so too for a message that comes
    /// again, whoever recorded the attempt first: he may have died of it, and the message is all that is left. Returns
    /// what had to wait here.
    pub(super) async fn settle(&self, record: AttemptRecord, maybe_repeated: bool) -> Option<Delivery> {
        let (delivery, verdict) = (record.delivery.clone(), record.verdict.clone());
        let is_ours = self.settler.record(record).await;
        reach("attempt recorded");
        if is_ours {
            let waited = self.settler.carry_out(&delivery, &verdict, false).await;
            reach("verdict carried out");
            return waited;
        }
        if !maybe_repeated {
            return None;
        }
        // It is recorded, so the answer matters: it may be a retry, of which nothing but this message is left.
        let attempts = [delivery.attempt_id()];
        let settled = || self.settler.store.settled(&attempts);
        let verdicts = Box::pin(self.settler.until_done("look up earlier attempts", settled)).await;
        let verdict = verdicts.into_iter().next().flatten().unwrap_or(verdict);
        self.settler.carry_out(&delivery, &verdict, true).await
    }

    fn tell(&self, webhook: &Webhook, record: &AttemptRecord, exchange: &Exchange) {
        let metrics = &self.settler.metrics;
        metrics.verdict_reached(&record.outcome, &record.verdict);
        let newest = record.delivery.content.changes.iter().map(|change| change.pushed_at).max();
        // A redelivery that a person asked for days later tells nothing about latency.
        if let (Verdict::Delivered, Some(pushed_at), 0) = (&record.verdict, newest, record.delivery.request) {
            metrics.delivered(
                webhook.format,
                Duration::try_from(record.at.duration_since(pushed_at)).unwrap_or_default() + exchange.took,
            );
        }
        let ordinal = record.delivery.ordinal;
        let (delivery, webhook) = (&record.delivery.id, &webhook.id);
        match &record.verdict {
            Verdict::Delivered => tracing::trace!(took_ms = exchange.took.as_millis(), "delivered"),
            Verdict::Retry { at } => {
                let outcome = describe(&exchange.outcome);
                tracing::debug!(attempt.ordinal = ordinal, retry.at = %at, outcome, "an attempt failed");
            }
            Verdict::Superseded { by } => {
                tracing::debug!(attempt.ordinal = ordinal, order = %by, "a delivery is not sent: it is superseded");
            }
            Verdict::Unchanged => tracing::debug!("a delivery is not sent: the receiver has its digest"),
            Verdict::Skipped { reason } => tracing::debug!(reason, "a delivery is skipped"),
            Verdict::Expired { reason } => {
                tracing::warn!(delivery.id = %delivery, webhook.id = %webhook, reason, "a delivery expired");
            }
            Verdict::Dead { reason } => {
                tracing::warn!(delivery.id = %delivery, webhook.id = %webhook, reason, "a delivery was given up and is kept as a dead letter");
            }
        }
    }
}
