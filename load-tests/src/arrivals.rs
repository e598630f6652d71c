//! When each event reached its webhook, and how long that took from the moment it was due.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::plan::Plan;

/// What never arrives counts as this late: a histogram needs an end.
pub(crate) const LATEST: Duration = Duration::from_mins(10);
/// Three digits, so that a ratio is right to a thousandth.
const DIGITS: u8 = 3;

/// The arrivals of one run. The number of an event is its place in the plan.
#[derive(Debug)]
pub(crate) struct Arrivals {
    pub(crate) plan: Plan,
    pub(crate) start: Instant,
    /// Microseconds from the start to the first arrival, plus one; zero before it.
    first: Vec<AtomicU64>,
    repeated: AtomicU64,
}

/// What came of the measured events of some repositories.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// Events that were due.
    pub(crate) due: usize,
    /// Events of these that arrived at all.
    pub(crate) arrived: usize,
    /// Arrivals per second within the time that is measured, whenever they were due.
    pub(crate) rate: f64,
    /// Events that were due and had not arrived when that time was over.
    pub(crate) behind: usize,
    pub(crate) median: Duration,
    /// With what never arrived counted as latest of all.
    pub(crate) p99: Duration,
    pub(crate) longest: Duration,
}

impl Arrivals {
    pub(crate) fn new(plan: Plan, start: Instant) -> Self {
        let first = (0..plan.events()).map(|_| AtomicU64::new(0)).collect();
        Self { plan, start, first, repeated: AtomicU64::new(0) }
    }

    /// Notes that `event` arrived now. What no plan holds is passed over.
    pub(crate) fn note(&self, event: usize, now: Instant) {
        let Some(first) = self.first.get(event) else { return };
        let at = micros(now.saturating_duration_since(self.start)).saturating_add(1);
        if first.compare_exchange(0, at, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            self.repeated.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many arrivals were not the first of their event.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// How many events have arrived.
    pub(crate) fn count(&self) -> usize {
        self.first.iter().filter(|at| at.load(Ordering::Relaxed) > 0).count()
    }

    /// Whether every event of these repositories has arrived.
    pub(crate) fn is_complete(&self, counts: impl Fn(usize) -> bool) -> bool {
        (0..self.first.len()).filter(|event| counts(self.plan.repository(*event))).all(|event| self.at(event).is_some())
    }

    /// What came of the events of the repositories that count.
    pub(crate) fn summary(&self, counts: impl Fn(usize) -> bool) -> Summary {
        let is_meant = |event: &usize| counts(self.plan.repository(*event));
        let mut latencies = histogram();
        let (mut due, mut arrived) = (0, 0);
        for event in self.plan.measured().filter(&is_meant) {
            let latency = self.at(event).map(|at| at.saturating_sub(self.plan.due(event)));
            latencies.saturating_record(micros(latency.unwrap_or(LATEST)));
            due += 1;
            arrived += usize::from(latency.is_some());
        }
        let window = self.plan.warm_up..self.plan.warm_up + self.plan.length;
        let all = || (0..self.first.len()).filter(&is_meant).map(|event| self.at(event));
        let within = all().flatten().filter(|at| window.contains(at)).count();
        let behind = all().filter(|at| at.is_none_or(|at| at >= window.end)).count();
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer events than a float counts exactly")]
        let rate = within as f64 / self.plan.length.as_secs_f64();
        let at = |quantile| Duration::from_micros(latencies.value_at_quantile(quantile));
        Summary { due, arrived, rate, behind, median: at(0.5), p99: at(0.99), longest: at(1.0) }
    }

    /// The latency of the events of the repositories that count, by the second in which they were due: a table (CSV)
    /// with a line per second.
    pub(crate) fn by_second(&self, counts: impl Fn(usize) -> bool) -> String {
        let mut seconds: BTreeMap<u64, Histogram<u64>> = BTreeMap::new();
        for event in (0..self.first.len()).filter(|event| counts(self.plan.repository(*event))) {
            let due = self.plan.due(event);
            let latency = self.at(event).map_or(LATEST, |at| at.saturating_sub(due));
            seconds.entry(due.as_secs()).or_insert_with(histogram).saturating_record(micros(latency));
        }
        let line = |(second, latencies): (&u64, &Histogram<u64>)| {
            let [median, p99, longest] = [0.5, 0.99, 1.0].map(|quantile| latencies.value_at_quantile(quantile));
            format!("{second},{},{median},{p99},{longest}\n", latencies.len())
        };
        let lines: String = seconds.iter().map(line).collect();
        format!("second,due,median_us,p99_us,longest_us\n{lines}")
    }

    fn at(&self, event: usize) -> Option<Duration> {
        let at = self.first.get(event)?.load(Ordering::Relaxed);
        at.checked_sub(1).map(Duration::from_micros)
    }
}

pub(crate) fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "both are constants in the range of the histogram")]
    Histogram::new_with_bounds(1, micros(LATEST), DIGITS).expect("bounds that a histogram takes")
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals() -> Arrivals {
        let plan =
            Plan { rate: 100.0, repositories: 2, warm_up: Duration::from_secs(1), length: Duration::from_secs(1) };
        Arrivals::new(plan, Instant::now())
    }

    fn arrive(arrivals: &Arrivals, events: impl Iterator<Item = usize>, after: Duration) {
        for event in events {
            arrivals.note(event, arrivals.start + arrivals.plan.due(event) + after);
        }
    }

    #[test]
    fn latency_counts_from_when_an_event_was_due() {
        let arrivals = arrivals();
        arrive(&arrivals, 0..200, Duration::from_millis(100));
        let summary = arrivals.summary(|repository| repository == 0);
        assert_eq!((summary.due, summary.arrived, summary.behind), (50, 50, 5), "what was due in the last 100 ms");
        assert!((summary.rate - 50.0).abs() < 1.5, "{summary:?}");
        let is_right = |latency: Duration| latency.abs_diff(Duration::from_millis(100)) < Duration::from_millis(1);
        assert!(is_right(summary.median) && is_right(summary.p99), "{summary:?}");
    }

    #[test]
    fn what_never_arrives_is_latest_of_all() {
        let arrivals = arrivals();
        arrive(&arrivals, (0..200).filter(|event| event % 20 != 0), Duration::from_millis(1));
        assert!(!arrivals.is_complete(|repository| repository == 0));
        assert!(arrivals.is_complete(|repository| repository == 1));
        let summary = arrivals.summary(|repository| repository == 0);
        assert_eq!((summary.due, summary.arrived, summary.behind), (50, 45, 10), "those of the warm-up too");
        assert!(summary.p99 >= LATEST && summary.median < Duration::from_millis(2), "{summary:?}");
    }

    #[test]
    fn the_table_by_second_has_a_line_for_each_second_in_which_events_were_due() {
        let arrivals = arrivals();
        arrive(&arrivals, 0..100, Duration::from_millis(1));
        arrive(&arrivals, 100..199, Duration::from_millis(2));
        let table = arrivals.by_second(|_| true);
        let lines: Vec<_> = table.lines().map(|line| line.split(',').take(2).collect::<Vec<_>>()).collect();
        assert_eq!(lines, [["second", "due"], ["0", "100"], ["1", "100"]]);
        let longest: u64 = table.trim_end().rsplit(',').next().unwrap().parse().unwrap();
        assert!(longest >= micros(LATEST), "what never arrived is latest: {table}");
    }

    #[test]
    fn an_event_that_arrives_again_keeps_its_first_time() {
        let arrivals = arrivals();
        arrive(&arrivals, 0..200, Duration::from_millis(1));
        arrive(&arrivals, 100..110, Duration::from_secs(9));
        assert_eq!(arrivals.repeated(), 10);
        assert!(arrivals.summary(|_| true).longest < Duration::from_secs(1));
    }
}
