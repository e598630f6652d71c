//! What each part makes of what the machine can do: ours and a naked loop in turn, in one run, as ratios.

mod deliverer;
mod embedded;
mod latency;
mod page;
mod producer;
mod run;

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dockbell_chassis::lifecycle::BoxError;
use tokio::time::Instant;

use self::page::Chart;
use self::run::Measured;
use crate::arrivals::Summary;
use crate::goals::{Figures, Goal};
use crate::report::say;
use crate::sink::Behaviour;
use crate::transport;
use crate::trial::{Ground, QUIET};

const MIB: f64 = 1024.0 * 1024.0;
/// What receivers of the scaling runs take, and what a deliverer of them may have under way.
const SLOW: Duration = Duration::from_millis(100);
const FEW_ATTEMPTS: &str = "16";
/// The one webhook of a hundred that takes its time.
const LATE: Duration = Duration::from_secs(1);
/// Of a run with such a webhook, what is due to the others has arrived by then.
const WITHOUT_LATE: f64 = 0.95;
/// Events per second at which latency is measured.
const RATE: f64 = 1_000.0;

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
    /// Where report.json and report.html go
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    report: PathBuf,
}

/// A part of what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Deliverer,
    Producer,
    Latency,
    Embedded,
    Scaling,
}

/// What is gathered.
#[derive(Debug, Default)]
struct Results {
    figures: Figures,
    charts: Vec<Chart>,
    pass: usize,
}

impl Bench {
    /// Measures, prints, and says whether everything is as promised.
    pub(crate) async fn run(&self, ground: &Ground<'_>) -> Result<bool, BoxError> {
        let (began, mut results) = (Instant::now(), Results::default());
        for pass in 1..=self.passes {
            results.pass = pass;
            self.pass(ground, &mut results).await?;
            say(&format!("pass {pass} of {} after {} s", self.passes, began.elapsed().as_secs()));
        }
        say(results.figures.table().trim_end());
        std::fs::create_dir_all(&self.report)?;
        std::fs::write(self.report.join("report.json"), serde_json::to_string_pretty(&results.figures)?)?;
        std::fs::write(self.report.join("report.html"), page::page(&results.figures, &results.charts))?;
        say(&format!("report: {}", self.report.join("report.html").display()));
        Ok(!self.strict || results.figures.are_met())
    }

    async fn pass(&self, ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
        if self.wants(Part::Deliverer) {
            sink_alone(ground, results).await?;
            one_deliverer(ground, results).await?;
        }
        if self.wants(Part::Producer) {
            a_producer(ground, results).await?;
        }
        if self.wants(Part::Latency) {
            added_latency(ground, results).await?;
        }
        if self.wants(Part::Embedded) {
            one_process(ground, results).await?;
        }
        if self.wants(Part::Scaling) {
            more_deliverers(ground, results).await?;
        }
        Ok(())
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

impl Results {
    fn add(&mut self, name: &str, figure: (f64, &'static str), goal: Goal) {
        self.figures.add(name, figure, goal);
    }

    /// The name of a run, which is that of its folder, its virtual host's events and its lines in plots.
    fn name(&self, run: &str) -> String {
        format!("{run}{}", self.pass)
    }

    fn draw(&mut self, name: &str, measured: &Measured) {
        say(&format!(
            "  {name}: {:.0}/s, {:.0} µs of processors each, {:.0} MiB",
            measured.rate,
            micros(measured.cpu_per_event),
            mib(measured.peak_memory)
        ));
        self.charts.extend(Chart::of_run(name, measured));
    }
}

async fn sink_alone(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    let rate = transport::sink_alone(ground.sink).await?;
    results.add("sink alone", (rate, "/s"), Goal::None);
    Ok(())
}

async fn one_deliverer(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    const EVENTS: usize = 20_000;
    let name = results.name("naked-deliverer-");
    let naked = deliverer::naked(ground, &name, EVENTS).await?;
    results.draw(&name, &naked);
    let name = results.name("deliverer-");
    let ours = deliverer::ours(ground, &name, &deliverer::Load::plain(EVENTS)).await?;
    results.draw(&name, &ours);
    let name = results.name("late-");
    let behaviours = vec![Behaviour::Late(LATE)];
    let load = deliverer::Load { behaviours, share: WITHOUT_LATE, ..deliverer::Load::plain(EVENTS) };
    let late = deliverer::ours(ground, &name, &load).await?;
    results.draw(&name, &late);
    results.add("naked deliverer", (naked.rate, "/s"), Goal::None);
    results.add("deliverer", (ours.rate, "/s"), Goal::None);
    results.add("deliverer: rate, to the naked one", (ours.rate / naked.rate, "×"), Goal::AtLeast(0.8));
    let cpu = ours.cpu_per_event.as_secs_f64() / naked.cpu_per_event.as_secs_f64();
    results.add("deliverer: processors per delivery, to the naked one", (cpu, "×"), Goal::AtMost(1.25));
    results.add("deliverer: rate with 1 % late, to that without", (late.rate / ours.rate, "×"), Goal::AtLeast(0.9));
    results.add("deliverer: memory at full load", (mib(ours.peak_memory), "MiB"), Goal::AtMost(64.0));
    Ok(())
}

async fn a_producer(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    let few = producer::Load { events: 40_000, repositories: 1_000, together: 10 };
    let many = producer::Load { events: 40_000, repositories: 100_000, together: 1 };
    for (what, load, least) in [("1,000 repositories", few, 0.85), ("a repository for each event", many, 0.8)] {
        let name = results.name(&format!("naked-producer-{}-", load.repositories));
        let naked = producer::naked(ground, &name, load).await?;
        results.draw(&name, &naked);
        let name = results.name(&format!("producer-{}-", load.repositories));
        let ours = producer::ours(ground, &name, load).await?;
        results.draw(&name, &ours);
        results.add(&format!("naked producer, {what}"), (naked.rate, "/s"), Goal::None);
        results.add(&format!("producer, {what}"), (ours.rate, "/s"), Goal::None);
        let ratio = ours.rate / naked.rate;
        results.add(&format!("producer, {what}: to the naked one"), (ratio, "×"), Goal::AtLeast(least));
        results.add(&format!("producer, {what}: memory"), (mib(ours.peak_memory), "MiB"), Goal::None);
    }
    Ok(())
}

async fn added_latency(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    const LENGTH: Duration = Duration::from_secs(15);
    let name = results.name("naked-latency-");
    let naked = latency::naked(ground, &name, (RATE, LENGTH)).await?;
    let name = results.name("latency-");
    let ours = latency::ours(ground, &name, (RATE, LENGTH)).await?;
    let added = |of: fn(&Summary) -> Duration| ms(of(&ours)) - ms(QUIET) - ms(of(&naked));
    results.add("naked way: median", (ms(naked.median), "ms"), Goal::None);
    results.add("naked way: 99th percentile", (ms(naked.p99), "ms"), Goal::None);
    let at = "latency at 1,000/s beyond window and naked way";
    results.add(&format!("{at}: median"), (added(|of| of.median), "ms"), Goal::AtMost(2.0));
    results.add(&format!("{at}: p99"), (added(|of| of.p99), "ms"), Goal::AtMost(15.0));
    Ok(())
}

async fn one_process(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    const EVENTS: usize = 20_000;
    let rows = embedded::rows(ground, &results.name("rows-"), EVENTS).await?;
    let name = results.name("embedded-");
    let ours = embedded::ours(ground, &name, EVENTS).await?;
    results.draw(&name, &ours);
    results.add("rows of the embedded store alone", (rows, "/s"), Goal::None);
    results.add("embedded, the whole way", (ours.rate, "/s"), Goal::None);
    results.add("embedded: to its rows alone", (ours.rate / rows, "×"), Goal::AtLeast(0.5));
    Ok(())
}

async fn more_deliverers(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    let slow = vec![Behaviour::Late(SLOW); 100];
    let few = [("DOCKBELL_DELIVERY_ATTEMPTS", FEW_ATTEMPTS)];
    let load = |deliverers, events| deliverer::Load {
        deliverers,
        behaviours: slow.clone(),
        variables: &few,
        ..deliverer::Load::plain(events)
    };
    let name = results.name("one-of-16-");
    let one = deliverer::ours(ground, &name, &load(1, 1_600)).await?;
    results.draw(&name, &one);
    let name = results.name("four-of-16-");
    let four = deliverer::ours(ground, &name, &load(4, 6_400)).await?;
    results.draw(&name, &four);
    let gain = four.rate / one.rate;
    results.add("4 deliverers to 1, receivers that take 100 ms", (gain, "×"), Goal::AtLeast(3.8));
    let mut rates = Vec::new();
    for shards in [NonZeroU16::MIN, NonZeroU16::MIN.saturating_add(3)] {
        let name = results.name(&format!("shards-{shards}-"));
        let load = deliverer::Load { deliverers: 4, shards, ..deliverer::Load::plain(20_000) };
        let measured = deliverer::ours(ground, &name, &load).await?;
        results.draw(&name, &measured);
        rates.push(measured.rate);
    }
    let gain = rates.last().zip(rates.first()).map(|(last, first)| last / first);
    results.add("4 shards to 1, at 4 deliverers", (gain.unwrap_or(f64::NAN), "×"), Goal::None);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "memory is counted in bytes that a float counts exactly")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
