//! What the producer counts: one function per fact.

use std::time::Duration;

use dockbell_chassis::telemetry::SECONDS;
use dockbell_proto::ids::SourceName;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

use crate::fold::Fates;
use crate::window::CloseReason;

/// The producer's instruments.
#[derive(Debug, Clone)]
pub struct Metrics {
    intake: Histogram<f64>,
    events: Counter<u64>,
    republished: Counter<u64>,
    taken: Counter<u64>,
    settled: Counter<u64>,
    closed: Counter<u64>,
    changes: Counter<u64>,
    windows: Gauge<u64>,
    held: Gauge<u64>,
    hold: Histogram<f64>,
    orphans: Counter<u64>,
    stale: Counter<u64>,
    away: Counter<u64>,
    dead_letters: Counter<u64>,
}

impl Metrics {
    /// Registers the instruments.
    pub fn new(meter: &Meter) -> Self {
        Self {
            intake: meter
                .f64_histogram("dockbell.intake.duration")
                .with_unit("s")
                .with_boundaries(SECONDS.to_vec())
                .with_description("How long the intake took to answer")
                .build(),
            events: meter
                .u64_counter("dockbell.events")
                .with_description("Reported events, by what became of them")
                .build(),
            republished: meter
                .u64_counter("dockbell.events.republished")
                .with_description("Events of other publishers that were published again under their keys")
                .build(),
            taken: meter
                .u64_counter("dockbell.events.taken")
                .with_description("Events that were read from the bus")
                .build(),
            settled: meter
                .u64_counter("dockbell.events.settled")
                .with_description("Events that are held no more, by what became of them")
                .build(),
            closed: meter
                .u64_counter("dockbell.windows.closed")
                .with_description("Closed windows, by why they closed")
                .build(),
            changes: meter
                .u64_counter("dockbell.changes")
                .with_description("Changed tags in published batches")
                .build(),
            windows: meter.u64_gauge("dockbell.windows.open").with_description("Open windows").build(),
            held: meter
                .u64_gauge("dockbell.windows.held")
                .with_description("Events held until their batch is durable")
                .build(),
            hold: meter
                .f64_histogram("dockbell.windows.hold")
                .with_unit("s")
                .with_boundaries(SECONDS.to_vec())
                .with_description("From a window's opening to its batch being durable")
                .build(),
            orphans: meter
                .u64_counter("dockbell.manifests.orphaned")
                .with_description("Untagged manifests that no index of their window named")
                .build(),
            stale: meter
                .u64_counter("dockbell.events.stale")
                .with_description("Events that repeated, or were older than, what had left")
                .build(),
            away: meter
                .u64_counter("dockbell.backend.retries")
                .with_description("Operations repeated because the bus or the store was away")
                .build(),
            dead_letters: meter
                .u64_counter("dockbell.dead_letters")
                .with_description("Messages given up, by queue")
                .build(),
        }
    }

    /// The intake answered with `status` after `took`.
    pub fn intake_answered(&self, status: u16, took: Duration) {
        self.intake.record(took.as_secs_f64(), &[KeyValue::new("status", i64::from(status))]);
    }

    /// `count` reported events of `source` were accepted, ignored or rejected.
    pub fn events_reported(&self, source: &SourceName, result: &'static str, count: usize) {
        if count > 0 {
            let labels = [KeyValue::new("source", source.to_string()), KeyValue::new("result", result)];
            self.events.add(count as u64, &labels);
        }
    }

    /// `count` events of one message of another publisher are durable under their keys.
    pub fn events_republished(&self, count: usize) {
        self.republished.add(count as u64, &[]);
    }

    /// `count` events were read from the bus. Each is held, or settled as one of the fates.
    pub fn events_taken(&self, count: usize) {
        self.taken.add(count as u64, &[]);
    }

    /// The batch of a window is durable, or it made none; `repeated` events were in it for a second time.
    pub fn window_settled(&self, fates: Fates, repeated: usize) {
        self.settle("changed", fates.changed);
        self.settle("superseded", fates.superseded);
        self.settle("child", fates.children);
        self.settle("orphaned", fates.orphaned);
        self.events_repeated(repeated);
    }

    /// `count` events were settled with those that they repeat.
    pub fn events_repeated(&self, count: usize) {
        self.settle("repeated", count);
    }

    fn settle(&self, fate: &'static str, count: usize) {
        if count > 0 {
            self.settled.add(count as u64, &[KeyValue::new("fate", fate)]);
        }
    }

    /// A window closed.
    pub fn window_closed(&self, reason: CloseReason) {
        self.closed.add(1, &[KeyValue::new("reason", reason.as_str())]);
    }

    /// A batch of `changes` changes is durable, `hold` after its window opened.
    pub fn batch_published(&self, changes: usize, hold: Duration) {
        self.changes.add(changes as u64, &[]);
        self.hold.record(hold.as_secs_f64(), &[]);
    }

    /// So many windows are open and hold so many shares.
    pub fn windows_open(&self, open: usize, held: usize) {
        self.windows.record(open as u64, &[]);
        self.held.record(held as u64, &[]);
    }

    /// Untagged manifests were dropped.
    pub fn manifests_orphaned(&self, count: usize) {
        self.orphans.add(count as u64, &[]);
    }

    /// An event was of no use any more.
    pub fn event_stale(&self) {
        self.stale.add(1, &[]);
        self.settle("stale", 1);
    }

    /// The bus was away when `operation` was tried.
    pub fn backend_away(&self, operation: &'static str) {
        self.away.add(1, &[KeyValue::new("operation", operation)]);
    }

    /// A message was given up.
    pub fn dead_lettered(&self) {
        self.dead_letters.add(1, &[KeyValue::new("queue", "events")]);
    }
}
