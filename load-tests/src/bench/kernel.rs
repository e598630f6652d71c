//! What the kernel tells of processes that are measured: the time of processors to the nanosecond, and memory. Source: proc(5).

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;

use crate::usage::{self, Usage};

/// Adds up what some processes use. Ticks of a hundredth of a second, as the kernel tells of a whole process, are too coarse for a
/// run of some seconds, so each thread is asked; what a thread had used that ended is kept.
#[derive(Debug)]
pub(crate) struct Meter {
    processes: Vec<u32>,
    /// Nanoseconds, by the id of the thread.
    threads: HashMap<u32, u64>,
}

impl Meter {
    pub(crate) fn new(processes: &[u32]) -> Self {
        Self { processes: processes.to_vec(), threads: HashMap::new() }
    }

    /// What they have used together so far; of memory, the most that one of them had.
    pub(crate) fn read(&mut self) -> Result<Usage, BoxError> {
        let mut all = Usage::default();
        for &process in &self.processes {
            let used = usage::of(process).ok_or("a process that is measured has ended")?;
            all.peak_memory = all.peak_memory.max(used.peak_memory);
            for thread in fs::read_dir(format!("/proc/{process}/task"))? {
                let id = thread?.file_name().to_str().and_then(|id| id.parse::<u32>().ok());
                // One that ended a moment ago is as it was last seen.
                let of_thread = id.and_then(|id| Some((id, on_processors(process, id)?)));
                self.threads.extend(of_thread);
            }
        }
        all.cpu = Duration::from_nanos(self.threads.values().sum());
        Ok(all)
    }
}

fn on_processors(process: u32, thread: u32) -> Option<u64> {
    first_number(&fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")).ok()?)
}

/// The process of this name that was started with `variable`, as `NAME=value`; its children of other names are not meant.
pub(crate) fn started_with(name: &str, variable: &str) -> Option<u32> {
    let is_meant = |process: u32| {
        let named = fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|known| known.trim() == name);
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        named && environment.split(|byte| *byte == 0).any(|known| known == variable.as_bytes())
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|process| is_meant(*process))
}

/// The memory of a process that is resident now, in bytes.
pub(crate) fn resident(process: u32) -> Result<u64, BoxError> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(first_number(line).ok_or("VmRSS is no number")? * 1024)
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_used_that_ended_is_not_forgotten() {
        let mut meter = Meter::new(&[std::process::id()]);
        let before = meter.read().unwrap().cpu;
        let (sender, receiver) = std::sync::mpsc::channel();
        let worked = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let rounds = (0..20_000_000_u64).fold(0, |sum, round| std::hint::black_box(sum ^ round));
                sender.send(rounds).unwrap();
                // Until it was looked at.
                std::thread::park();
            });
            receiver.recv().unwrap();
            let worked = meter.read().unwrap().cpu;
            thread.thread().unpark();
            worked
        });
        assert!(worked > before + Duration::from_millis(1), "{worked:?} after {before:?}");
        assert!(meter.read().unwrap().cpu >= worked);
        assert!(resident(std::process::id()).unwrap() > 0);
    }
}
