//! What is gathered while it is measured, and told as it comes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::conditions::{Conditions, Side};
use super::run::Measured;
use crate::chart::Chart;
use crate::goals::{Figures, Goal};
use crate::report::say;
use crate::tally::{FROM, TO};

const MIB: f64 = 1024.0 * 1024.0;
/// How long what is measured of a run should take: long beside a moment in which the machine does something else.
const LENGTH: f64 = 3.5;
/// The fewest and the most events of a run. It takes longer to publish them than to work on them.
const FEWEST: usize = 10_000;
const MOST: usize = 150_000;

/// What is gathered.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) figures: Figures,
    pub(crate) conditions: Conditions,
    pub(crate) charts: Vec<Chart>,
    began: Instant,
    /// Runs so far, by which their names differ.
    runs: usize,
    /// How many events per second the last run of each kind made.
    rates: BTreeMap<String, f64>,
}

/// What stands in `report.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    figures: &'a Figures,
    conditions: &'a Conditions,
}

impl Results {
    pub(crate) fn new() -> Self {
        Self {
            figures: Figures::default(),
            conditions: Conditions::default(),
            charts: Vec::new(),
            began: Instant::now(),
            runs: 0,
            rates: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, name: &str, figure: (f64, &'static str), goal: Goal) {
        self.figures.add(name, figure, goal);
    }

    pub(crate) fn describe(&mut self, sides: impl IntoIterator<Item = Side>) {
        self.conditions.add(sides);
    }

    /// Begins a run of this kind, and returns its name, which is that of its folder, its events and its lines in plots.
    pub(crate) fn begin(&mut self, kind: &str) -> String {
        self.runs += 1;
        self.tell(&format!("{kind} …"));
        // It does not end in a digit that is followed by another name.
        format!("{kind}-{}", self.runs)
    }

    /// How many events the next run of this kind needs to take as long as it should; `guess` before there was one. They are whole
    /// tens, for where ten of them make a batch.
    pub(crate) fn events(&self, kind: &str, guess: usize) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rates are positive and no number of events is that large"
        )]
        let sized = |rate: &f64| (rate * LENGTH / (TO - FROM)) as usize;
        self.rates.get(kind).map_or(guess, sized).clamp(FEWEST, MOST) / 10 * 10
    }

    /// Tells of a run of this kind, and draws it.
    pub(crate) fn draw(&mut self, kind: &str, name: &str, measured: &Measured) {
        self.rates.insert(kind.to_owned(), measured.rate);
        self.tell(&format!(
            "{name}: {:.0}/s for {:.1} s, {:.1} µs of processors each, {:.0} MiB",
            measured.rate,
            measured.length.as_secs_f64(),
            micros(measured.cpu_per_event),
            mib(measured.peak_memory)
        ));
        self.charts.extend(Chart::of_run(name, measured));
    }

    /// Prints a line with the time since the start.
    pub(crate) fn tell(&self, line: &str) {
        say(&format!("[{:>4} s] {line}", self.began.elapsed().as_secs()));
    }

    /// Everything, for people.
    pub(crate) fn table(&self) -> String {
        format!("{}\n{}", self.figures.table(), self.conditions.table())
    }

    /// Everything, for programs.
    pub(crate) fn report(&self) -> Report<'_> {
        Report { figures: &self.figures, conditions: &self.conditions }
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory is counted in bytes that a float counts exactly")]
pub(crate) fn bytes(bytes: u64) -> f64 {
    bytes as f64
}

pub(crate) fn mib(of: u64) -> f64 {
    bytes(of) / MIB
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_as_long_as_the_last_one_of_its_kind_says() {
        let mut results = Results::new();
        assert_eq!(results.events("ours", 20_000), 20_000);
        results.draw("ours", "ours-1", &Measured { rate: 7_000.0, ..Measured::default() });
        let events = results.events("ours", 20_000);
        assert!((34_990..35_010).contains(&events) && events.is_multiple_of(10), "{events}");
        results.draw("ours", "ours-2", &Measured { rate: 1e9, ..Measured::default() });
        assert_eq!(results.events("ours", 20_000), MOST);
        assert_ne!(results.begin("ours"), results.begin("ours"));
    }
}
