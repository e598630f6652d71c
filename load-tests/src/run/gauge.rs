//! What processes used during a run, over time.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::usage;

/// How often a line of the plots is drawn on.
const EVERY: Duration = Duration::from_millis(500);
/// An hour and some, twice a second.
const MOST: usize = 10_000;

/// A process that is watched.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) process: u32,
}

/// What a process used.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Used {
    pub(crate) name: String,
    /// Processors in use, on average of what is measured.
    pub(crate) processors: f64,
    /// The most memory that was resident, in MiB.
    pub(crate) peak_memory_mib: f64,
    /// Seconds from the start, processors in use since the sample before, and resident memory in MiB.
    pub(crate) samples: Vec<(f64, f64, f64)>,
}

/// What was counted of a process so far.
struct Going {
    at: Instant,
    cpu: Duration,
    /// Of the window, and how much of that has passed.
    cpu_within: Duration,
    within: Duration,
}

/// Watches until `is_over` resolves, and returns what they used. Time counts from `start`; the processors in use are those
/// of the `window` of it.
pub(crate) async fn watch(
    watched: &[Watched],
    (start, window): (Instant, Range<Duration>),
    is_over: impl Future<Output = ()>,
) -> Vec<Used> {
    let mut all: Vec<(Used, Going)> = watched.iter().map(begin).collect();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one is at once.
    ticks.tick().await;
    tokio::pin!(is_over);
    loop {
        let is_last = tokio::select! {
            _ = ticks.tick() => false,
            () = &mut is_over => true,
        };
        for ((used, going), watched) in all.iter_mut().zip(watched) {
            sample((used, going), watched.process, (start, &window));
        }
        if is_last {
            break;
        }
    }
    let average = |going: &Going| going.cpu_within.as_secs_f64() / going.within.as_secs_f64().max(f64::MIN_POSITIVE);
    all.into_iter().map(|(used, going)| Used { processors: average(&going), ..used }).collect()
}

fn begin(watched: &Watched) -> (Used, Going) {
    let cpu = usage::of(watched.process).unwrap_or_default().cpu;
    let used = Used { name: watched.name.clone(), ..Used::default() };
    (used, Going { at: Instant::now(), cpu, cpu_within: Duration::ZERO, within: Duration::ZERO })
}

fn sample((used, going): (&mut Used, &mut Going), process: u32, (start, window): (Instant, &Range<Duration>)) {
    // One that has ended is told by what does not arrive.
    let Some((usage, memory)) = usage::of(process).zip(usage::resident(process)) else { return };
    let now = Instant::now();
    let (at, took) = (now.saturating_duration_since(start), now.duration_since(going.at));
    let cpu = usage.cpu.saturating_sub(going.cpu);
    (going.at, going.cpu) = (now, usage.cpu);
    used.peak_memory_mib = mib(usage.peak_memory);
    if window.contains(&at) {
        going.cpu_within += cpu;
        going.within += took;
    }
    if !took.is_zero() && used.samples.len() < MOST {
        used.samples.push((at.as_secs_f64(), cpu.as_secs_f64() / took.as_secs_f64(), mib(memory)));
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory is counted in bytes that a float counts exactly")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_process_is_sampled_until_it_is_over() {
        let me = Watched { name: "me".to_owned(), process: std::process::id() };
        let window = Duration::ZERO..Duration::from_secs(9);
        let used = watch(&[me], (Instant::now(), window), tokio::time::sleep(Duration::from_millis(1_900))).await;
        assert_eq!(used[0].samples.len(), 4, "three in their turn and a last one: {used:?}");
        assert!(used[0].samples.iter().all(|(_, _, memory)| *memory > 0.0) && used[0].peak_memory_mib > 0.0);
    }
}
