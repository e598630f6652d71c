//! What a process has used, as the kernel tells. Source: proc(5).

use std::fs;
use std::time::Duration;

/// Of the times that the kernel tells: `USER_HZ`, which is 100 wherever Linux runs Rust.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// The time of processors, its own and the kernel's on its behalf.
    pub(crate) cpu: Duration,
    /// The most memory that was resident, in bytes.
    pub(crate) peak_memory: u64,
}

/// What the process of this id has used; none if there is none.
pub(crate) fn of(process: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    Some(Usage { cpu: cpu(&stat)?, peak_memory: peak_memory(&status)? })
}

/// The fields `utime` and `stime`. What stands before the last parenthesis is the name, which may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(Duration::from_secs_f64(f64::from(next()? + next()?) / TICKS_PER_SECOND))
}

fn peak_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_read_whatever_the_process_is_called() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 4 0 100 1 1";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(peak_memory("Name:\tx\nVmHWM:\t    12 kB\n"), Some(12 * 1024));
        assert!(of(std::process::id()).is_some_and(|usage| usage.peak_memory > 0));
    }
}
