//! What the deliverer counts: one function per fact.

use std::time::Duration;

use dockbell_backends::bus::Queue;
use dockbell_chassis::telemetry::SECONDS;
use dockbell_proto::health::StandingWord;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::webhook::Format;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};

/// The deliverer's instruments.
#[derive(Debug, Clone)]
pub struct Metrics {
    attempts: Counter<u64>,
    attempt: Histogram<f64>,
    verdicts: Counter<u64>,
    latency: Histogram<f64>,
    in_flight: UpDownCounter<i64>,
    repeated: Counter<u64>,
    unaddressed: Counter<u64>,
    away: Counter<u64>,
    dead_letters: Counter<u64>,
    forgone: Counter<u64>,
    parked: Counter<u64>,
    standings: Counter<u64>,
    unrecorded: UpDownCounter<i64>,
    fleet_fault: Gauge<u64>,
}

impl Metrics {
    /// Registers the instruments.
    pub fn new(meter: &Meter) -> Self {
        Self {
            attempts: meter
                .u64_counter("dockbell.attempts")
                .with_description("Attempts, by format and outcome")
                .build(),
            attempt: meter
                .f64_histogram("dockbell.attempt.duration")
                .with_unit("s")
                .with_boundaries(SECONDS.to_vec())
                .with_description("How long attempts took, by outcome")
                .build(),
            verdicts: meter.u64_counter("dockbell.verdicts").with_description("What followed from attempts").build(),
            latency: meter
                .f64_histogram("dockbell.delivery.latency")
                .with_unit("s")
                .with_boundaries(SECONDS.to_vec())
                .with_description("From the newest push of a delivery to its acceptance")
                .build(),
            in_flight: meter
                .i64_up_down_counter("dockbell.attempts.in_flight")
                .with_description("Attempts under way")
                .build(),
            repeated: meter
                .u64_counter("dockbell.deliveries.repeated")
                .with_description("Deliveries that had been attempted before and were not sent again")
                .build(),
            unaddressed: meter
                .u64_counter("dockbell.deliveries.unaddressed")
                .with_description("Waiting deliveries that were dropped, as their webhook was removed")
                .build(),
            away: meter
                .u64_counter("dockbell.backend.retries")
                .with_description("Operations repeated because the bus or the store was away")
                .build(),
            dead_letters: meter
                .u64_counter("dockbell.dead_letters")
                .with_description("Messages given up, by queue")
                .build(),
            forgone: meter
                .u64_counter("dockbell.dead_letters.forgone")
                .with_description("Deliveries given up that are no dead letters, because the bus took none")
                .build(),
            parked: meter
                .u64_counter("dockbell.deliveries.parked")
                .with_description("Deliveries put off without an attempt, by reason")
                .build(),
            standings: meter
                .u64_counter("dockbell.standing.changes")
                .with_description("Changes of the standing of webhooks, by what it is since")
                .build(),
            unrecorded: meter
                .i64_up_down_counter("dockbell.records.buffered")
                .with_description("Attempts that the store has yet to be told")
                .build(),
            fleet_fault: meter
                .u64_gauge("dockbell.fleet.fault")
                .with_description("1 while almost no receiver can be reached, which is taken for a fault of our own")
                .build(),
        }
    }

    /// An attempt started.
    pub fn attempt_started(&self) {
        self.in_flight.add(1, &[]);
    }

    /// An attempt of `format` ended.
    pub fn attempt_ended(&self, format: Format, outcome: &Outcome, took: Duration) {
        self.in_flight.add(-1, &[]);
        let (outcome, fault) = (KeyValue::new("outcome", outcome.as_str()), outcome.fault());
        self.attempt.record(took.as_secs_f64(), std::slice::from_ref(&outcome));
        let fault = KeyValue::new("fault", fault.as_str());
        self.attempts.add(1, &[KeyValue::new("format", format.as_str()), outcome, fault]);
    }

    /// A verdict followed from `outcome`. What our own address policy forbids is counted apart from other dead letters:
    /// it is not the receiver that must mend it.
    pub fn verdict_reached(&self, outcome: &Outcome, verdict: &Verdict) {
        let state =
            if matches!(outcome, Outcome::Blocked { .. }) { outcome.as_str() } else { verdict.state().as_str() };
        self.verdicts.add(1, &[KeyValue::new("state", state)]);
    }

    /// A delivery was accepted so long after its push.
    pub fn delivered(&self, format: Format, latency: Duration) {
        self.latency.record(latency.as_secs_f64(), &[KeyValue::new("format", format.as_str())]);
    }

    /// A delivery had been attempted before.
    pub fn delivery_repeated(&self) {
        self.repeated.add(1, &[]);
    }

    /// A waiting delivery has nobody to go to.
    pub fn delivery_unaddressed(&self) {
        self.unaddressed.add(1, &[]);
    }

    /// The bus or the store was away.
    pub fn backend_away(&self, operation: &'static str) {
        self.away.add(1, &[KeyValue::new("operation", operation)]);
    }

    /// A message of `queue` was given up.
    pub fn dead_lettered(&self, queue: Queue) {
        self.dead_letters.add(1, &[KeyValue::new("queue", queue.as_str())]);
    }

    /// A delivery was given up and could not be kept as a dead letter.
    pub fn dead_letter_forgone(&self) {
        self.forgone.add(1, &[]);
    }

    /// A delivery was put off without an attempt.
    pub fn delivery_parked(&self, reason: &'static str) {
        self.parked.add(1, &[KeyValue::new("reason", reason)]);
    }

    /// The standing of a webhook changed.
    pub fn standing_changed(&self, standing: StandingWord) {
        self.standings.add(1, &[KeyValue::new("standing", standing.as_str())]);
    }

    /// So many more attempts wait to be recorded.
    pub fn unrecorded(&self, more: i64) {
        self.unrecorded.add(more, &[]);
    }

    /// Whether almost no receiver can be reached.
    pub fn fleet_fault(&self, is_there: bool) {
        self.fleet_fault.record(u64::from(is_there), &[]);
    }
}
