//! One run of a load that was there from the start, and what the processes that worked on it used.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::kernel::Meter;
use super::servers::Used;
use crate::tally::{FROM, TO, Tally};
use crate::usage::Usage;

const POLL: Duration = Duration::from_millis(5);
/// How often a line of the plots is drawn on.
const SAMPLED_EVERY: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_mins(2);

/// What was measured of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured {
    /// Events per second, once it was well under way.
    pub(crate) rate: f64,
    /// For how long that was measured.
    pub(crate) length: Duration,
    /// The time of processors that an event took, meanwhile.
    pub(crate) cpu_per_event: Duration,
    /// What an event took of the servers, from the start to the end of the processes; zero where that is not looked at.
    pub(crate) servers: Used,
    /// The most memory of one process, in bytes.
    pub(crate) peak_memory: u64,
    /// How it went.
    pub(crate) samples: Vec<Sample>,
}

/// What was so at one moment of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Since the start.
    pub(crate) at: Duration,
    /// Events that had arrived.
    pub(crate) events: usize,
    /// What all processes together had used.
    pub(crate) used: Usage,
}

/// A process that works without what makes ours reliable. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Bare {
    child: Child,
}

impl Bare {
    /// Starts this program with these arguments.
    pub(crate) fn start(arguments: &[String]) -> Result<Self, BoxError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("naked").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        Ok(Self { child: command.spawn()? })
    }

    pub(crate) fn id(&self) -> Result<u32, BoxError> {
        self.child.id().ok_or_else(|| "the naked process has ended".into())
    }

    /// Returns once it is gone.
    pub(crate) async fn kill(mut self) -> Result<(), BoxError> {
        Ok(self.child.kill().await?)
    }
}

/// Waits until `share` of the load has arrived, and measures meanwhile. What arrives twice where nothing failed is an error.
pub(crate) async fn watch(tally: &Arc<Tally>, processes: &[u32], share: f64) -> Result<Measured, BoxError> {
    let (start, mut samples, mut meter) = (Instant::now(), Vec::new(), Meter::new(processes));
    let mut before = None;
    let mut after = None;
    while !tally.has(share) || after.is_none() {
        if start.elapsed() > PATIENCE {
            let (count, all) = (tally.count(), tally.events());
            return Err(format!("{count} of {all} events had arrived after {PATIENCE:?}").into());
        }
        let is_time = samples.last().is_none_or(|last: &Sample| start.elapsed() >= last.at + SAMPLED_EVERY);
        let (is_begin, is_end) = (before.is_none() && tally.has(FROM), after.is_none() && tally.has(TO));
        if is_time || is_begin || is_end {
            let sample = Sample { at: start.elapsed(), events: tally.count(), used: meter.read()? };
            samples.push(sample);
            before = before.or(is_begin.then_some(sample));
            after = after.or(is_end.then_some(sample));
        }
        sleep(POLL).await;
    }
    let (before, after) = before.zip(after).ok_or("the run was too short to measure")?;
    if tally.repeated() > 0 {
        return Err(format!("{} events arrived more than once", tally.repeated()).into());
    }
    let events = u32::try_from(after.events.saturating_sub(before.events))?;
    let cpu_per_event = after.used.cpu.saturating_sub(before.used.cpu).checked_div(events).unwrap_or_default();
    let length = after.at.saturating_sub(before.at);
    let peak_memory = after.used.peak_memory;
    Ok(Measured { rate: tally.rate(), length, cpu_per_event, servers: Used::default(), peak_memory, samples })
}
