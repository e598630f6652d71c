//! What each part makes of what the machine can do: ours and a naked loop in turn, in one run, as ratios.

mod conditions;
mod deliverer;
mod embedded;
mod kernel;
mod latency;
mod lookups;
mod many;
mod misses;
mod page;
mod producer;
mod results;
mod rows;
mod run;
mod scaling;
mod servers;
mod spread;
mod stage;
mod stock;
mod windows;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dockbell_chassis::lifecycle::BoxError;
use tokio::time::timeout;

use self::many::Many;
use self::results::Results;
use crate::goals::Goal;
use crate::report::say;
use crate::transport;
use crate::trial::Ground;

/// Longer than a pass takes on a machine that is slow, so that one that hangs ends by itself.
const PASS_AT_MOST: Duration = Duration::from_mins(20);

/// How to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct Bench {
    /// How often everything is measured; the medians count
    #[arg(long, default_value_t = 1)]
    passes: usize,
    /// Whether a missed goal makes the exit code 1
    #[arg(long)]
    strict: bool,
    /// What is measured; may be given several times [default: all]
    #[arg(long = "only", value_name = "PART")]
    only: Vec<Part>,
    /// Webhooks of the store that is to be large
    #[arg(long, default_value_t = 1_000_000)]
    webhooks: usize,
    /// Where report.json and report.html go
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    report: PathBuf,
}

/// A part of what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Deliverer,
    Producer,
    Windows,
    Latency,
    Embedded,
    Scaling,
    Repositories,
    Webhooks,
}

impl Bench {
    /// Measures, prints, and says whether everything is as promised.
    pub(crate) async fn run(&self, ground: &Ground<'_>) -> Result<bool, BoxError> {
        let mut results = Results::new();
        // It is filled once, and nothing that is measured adds to it.
        let mut many = None;
        for pass in 1..=self.passes {
            let measuring = self.pass(ground, &mut many, &mut results);
            timeout(PASS_AT_MOST, measuring).await.map_err(|_| format!("a pass took more than {PASS_AT_MOST:?}"))??;
            results.tell(&format!("pass {pass} of {} is done", self.passes));
        }
        let table = results.table();
        say(&format!("\n{}\n", table.trim_end()));
        std::fs::create_dir_all(&self.report)?;
        std::fs::write(self.report.join("report.json"), serde_json::to_string_pretty(&results.report())?)?;
        std::fs::write(self.report.join("report.html"), page::page(&table, &results.charts))?;
        say(&format!("report: {}", self.report.join("report.html").display()));
        Ok(!self.strict || results.figures.are_met())
    }

    async fn pass(&self, ground: &Ground<'_>, many: &mut Option<Many>, results: &mut Results) -> Result<(), BoxError> {
        if self.wants(Part::Deliverer) {
            let rate = transport::sink_alone(ground.sink).await?;
            results.add("sink alone", (rate, "/s"), Goal::None);
            deliverer::measure(ground, results).await?;
        }
        if self.wants(Part::Producer) {
            producer::measure(ground, results).await?;
        }
        if self.wants(Part::Windows) {
            windows::measure(ground, results).await?;
        }
        if self.wants(Part::Latency) {
            latency::measure(ground, results).await?;
        }
        if self.wants(Part::Embedded) {
            embedded::measure(ground, results).await?;
        }
        if self.wants(Part::Scaling) {
            scaling::measure(ground, results).await?;
        }
        if self.wants(Part::Repositories) {
            spread::of_repositories(ground, results).await?;
        }
        if self.wants(Part::Webhooks) {
            let many = match many.take() {
                Some(known) => many.insert(known),
                None => many.insert(Many::fill(ground, self.webhooks, results).await?),
            };
            lookups::measure(many, results).await?;
            spread::of_webhooks(ground, many, results).await?;
            misses::measure(ground, many, results).await?;
        }
        Ok(())
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}
