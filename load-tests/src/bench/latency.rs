//! How long an event takes at a steady rate, beside a way that has no windows, no policy and no store.

use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;

use super::kernel::Meter;
use super::results::{Results, ms};
use super::{deliverer, producer};
use crate::arrivals::Summary;
use crate::backlog;
use crate::fleet::amqp_url;
use crate::goals::Goal;
use crate::plan::Plan;
use crate::program::Program;
use crate::report::tell;
use crate::trial::{Ground, Make, QUIET};

/// Events per second.
const RATE: f64 = 1_000.0;
/// Each has ten events per second, so that windows close by their quiet time and hold one.
const REPOSITORIES: usize = 100;
const FORMAT: &str = "dockerhub";
const WARM_UP: Duration = Duration::from_secs(3);
const LENGTH: Duration = Duration::from_secs(15);

/// What was measured of a run.
struct Steady {
    latency: Summary,
    /// How many processors the processes of the way used, of those that the machine has.
    processors: f64,
}

/// Measures both ways, one after the other.
pub(crate) async fn measure(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    let name = results.begin("naked-latency");
    let naked = naked(ground, &name).await?;
    let name = results.begin("latency");
    let ours = ours(ground, &name).await?;
    let added = |of: fn(&Summary) -> Duration| ms(of(&ours.latency)) - ms(QUIET) - ms(of(&naked.latency));
    results.add("naked way: median", (ms(naked.latency.median), "ms"), Goal::None);
    results.add("naked way: 99th percentile", (ms(naked.latency.p99), "ms"), Goal::None);
    results.add("naked way: processors in use", (naked.processors, ""), Goal::None);
    results.add("latency at 1,000/s: processors in use", (ours.processors, ""), Goal::None);
    let at = "latency at 1,000/s beyond window and naked way";
    results.add(&format!("{at}: median"), (added(|of| of.median), "ms"), Goal::AtMost(2.0));
    results.add(&format!("{at}: p99"), (added(|of| of.p99), "ms"), Goal::AtMost(15.0));
    Ok(())
}

/// Ours, with one deliverer.
async fn ours(ground: &Ground<'_>, name: &str) -> Result<Steady, BoxError> {
    let make = Make { repositories: REPOSITORIES, format: FORMAT, deliverers: 1, variables: &[] };
    let crew = ground.crew_of(name, make).await?;
    let processes: Vec<u32> = crew.deliverers.iter().chain([&crew.producer]).filter_map(Program::id).collect();
    let steady = play(ground, (&crew.host, name), &processes).await?;
    ground.end(crew).await?;
    Ok(steady)
}

/// The way of the naked ones: consume, publish, acknowledge; consume, POST, acknowledge.
async fn naked(ground: &Ground<'_>, name: &str) -> Result<Steady, BoxError> {
    let host = ground.node.virtual_host().await;
    let url = amqp_url(ground.node, &host);
    backlog::declare(&url).await?;
    let (first, second) = (producer::start(&url, 1)?, deliverer::start(ground, &url)?);
    let steady = play(ground, (&host, name), &[first.id()?, second.id()?]).await?;
    first.kill().await?;
    second.kill().await?;
    ground.node.remove_virtual_host(&host).await;
    Ok(steady)
}

async fn play(ground: &Ground<'_>, (host, name): (&str, &str), processes: &[u32]) -> Result<Steady, BoxError> {
    let plan = Plan { rate: RATE, repositories: REPOSITORIES, warm_up: WARM_UP, length: LENGTH };
    let mut meter = Meter::new(processes);
    let before = meter.read()?.cpu;
    let outcome = ground.play_on(host, (name, plan), (Vec::new(), &[]), |_| true).await?;
    let used = meter.read()?.cpu.saturating_sub(before);
    let processors = used.as_secs_f64() / outcome.arrivals.start.elapsed().as_secs_f64();
    Ok(Steady { latency: tell(name, &outcome, |_| true), processors })
}
