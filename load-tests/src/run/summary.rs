//! What came of a run, as data: latency, throughput, what was used, and what was verified.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;

use super::gauge::Used;
use super::verify::{Owed, Verified};
use super::witness::Seen;
use crate::arrivals::{histogram, micros};
use crate::scenario::Scenario;
use crate::stamp;
use crate::troubles::ail_ever;

/// The parts of all below which the plot of percentiles is drawn.
const QUANTILES: [f64; 14] =
    [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99995, 0.99999];

/// What came of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) scenario: Scenario,
    /// What stands in the names of its events.
    pub(crate) run: String,
    pub(crate) pushes: Pushed,
    pub(crate) requests: Requests,
    /// Changes that arrived per second, of those that are measured.
    pub(crate) rate: f64,
    /// Of all webhooks, and where something ailed, of those that never did and of those that did.
    pub(crate) latency: Vec<Latency>,
    pub(crate) seconds: Vec<Second>,
    pub(crate) processes: Vec<Used>,
    pub(crate) verified: Verified,
}

/// What became of the pushes on their way in.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Pushed {
    pub(crate) due: usize,
    pub(crate) accepted: usize,
    /// Reports that had to be made again.
    pub(crate) reported_again: usize,
    /// How late the generator was at most.
    pub(crate) generator_lag_ms: f64,
}

/// What receivers got.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Requests {
    pub(crate) accepted: usize,
    /// Those that a receiver let hang, or refused, as it was told.
    pub(crate) ailing: usize,
    /// Those that told no push of this run.
    pub(crate) foreign: usize,
}

/// From when a push was due to its first arrival at a webhook, of what is measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Latency {
    pub(crate) of: &'static str,
    pub(crate) count: u64,
    pub(crate) median_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) longest_ms: f64,
    /// The part of all that is below, and how long that took.
    pub(crate) quantiles: Vec<(f64, f64)>,
}

/// One second of a run, its warm-up included.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Second {
    /// Its number.
    pub(crate) at: u64,
    /// Changes that receivers were owed of what was due in it.
    pub(crate) due: usize,
    /// Changes that arrived in it.
    pub(crate) arrived: usize,
    /// Latency of what was due in it and arrived at webhooks that never ail, unless all of them do.
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) longest_ms: f64,
}

/// When each push first arrived at each webhook, by their numbers.
pub(crate) type First = HashMap<(usize, usize), Duration>;

/// Finds the first arrivals, counted from the start.
pub(crate) fn first_arrivals(owed: &Owed<'_>, seen: &[Seen], start: Instant) -> First {
    let mut first = First::new();
    for seen in seen.iter().filter(|seen| seen.is_accepted) {
        let at = seen.at.saturating_duration_since(start);
        let told = seen.changes.iter().flat_map(|change| &change.told.events);
        for stamp in told.flat_map(|event| stamp::find(event, Some(&owed.pushes.run))) {
            first.entry((seen.webhook, stamp.event)).or_insert(at);
        }
    }
    first
}

/// Latency of what is measured.
pub(crate) fn latency(owed: &Owed<'_>, first: &First, scenario: &Scenario) -> Vec<Latency> {
    let schedule = &owed.pushes.schedule;
    let measured = schedule.measured();
    let of = |name, is_meant: &dyn Fn(usize) -> bool| {
        let mut latencies = histogram();
        for (&(webhook, event), at) in first.iter().filter(|((_, event), _)| measured.contains(event)) {
            if is_meant(webhook) {
                latencies.saturating_record(micros(at.saturating_sub(schedule.due(event))));
            }
        }
        Latency::of(name, &latencies)
    };
    let mut all = vec![of("all webhooks", &|_| true)];
    if !scenario.troubles.is_empty() {
        all.push(of("webhooks that never ail", &|webhook| !ail_ever(&scenario.troubles, webhook)));
        all.push(of("webhooks that ail", &|webhook| ail_ever(&scenario.troubles, webhook)));
    }
    all
}

/// How it went, second by second.
pub(crate) fn seconds(owed: &Owed<'_>, first: &First, scenario: &Scenario) -> Vec<Second> {
    let schedule = &owed.pushes.schedule;
    let is_well = |webhook| !ail_ever(&scenario.troubles, webhook);
    let none_is_well = !(0..scenario.webhooks()).any(is_well);
    let mut seconds: BTreeMap<u64, (Second, Histogram<u64>)> = BTreeMap::new();
    for event in schedule.events() {
        let (second, latencies) = of_second(&mut seconds, schedule.due(event));
        second.due += owed.per_repository;
        let push = schedule.push(event).map_or(0, |push| push.repository);
        for webhook in push * owed.per_repository..(push + 1) * owed.per_repository {
            let arrived = first.get(&(webhook, event)).filter(|_| none_is_well || is_well(webhook));
            if let Some(at) = arrived {
                latencies.saturating_record(micros(at.saturating_sub(schedule.due(event))));
            }
        }
    }
    for at in first.values() {
        of_second(&mut seconds, *at).0.arrived += 1;
    }
    let told = |(second, latencies): (Second, Histogram<u64>)| {
        let [median_ms, p99_ms, longest_ms] = [0.5, 0.99, 1.0].map(|quantile| ms(&latencies, quantile));
        Second { median_ms, p99_ms, longest_ms, ..second }
    };
    seconds.into_values().map(told).collect()
}

fn of_second(seconds: &mut BTreeMap<u64, (Second, Histogram<u64>)>, at: Duration) -> &mut (Second, Histogram<u64>) {
    let begin = || (Second { at: at.as_secs(), ..Second::default() }, histogram());
    seconds.entry(at.as_secs()).or_insert_with(begin)
}

/// Changes that arrived per second of what is measured, whenever they were due.
#[expect(clippy::cast_precision_loss, reason = "there are far fewer events than a float counts exactly")]
pub(crate) fn rate(owed: &Owed<'_>, first: &First) -> f64 {
    let window = owed.pushes.schedule.warm_up()..owed.pushes.schedule.length();
    let within = first.values().filter(|at| window.contains(*at)).count();
    within as f64 / window.end.saturating_sub(window.start).as_secs_f64()
}

impl Latency {
    pub(crate) fn of(of: &'static str, latencies: &Histogram<u64>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "for a plot")]
        let is_told = |quantile: &&f64| (1.0 - **quantile) * latencies.len() as f64 >= 1.0;
        let quantiles = QUANTILES.iter().filter(is_told).map(|&quantile| (quantile, ms(latencies, quantile))).collect();
        let at = |quantile| ms(latencies, quantile);
        Self {
            of,
            count: latencies.len(),
            median_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            longest_ms: at(1.0),
            quantiles,
        }
    }
}

fn ms(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    Duration::from_micros(latencies.value_at_quantile(quantile)).as_secs_f64() * 1e3
}
