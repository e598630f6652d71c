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
    Some(Usage { cpu: cpu(&stat)?, peak_memory: bytes(&status, "VmHWM:")? })
}

/// The memory of a process that is resident now, in bytes; none if there is no such process.
pub(crate) fn resident(process: u32) -> Option<u64> {
    bytes(&fs::read_to_string(format!("/proc/{process}/status")).ok()?, "VmRSS:")
}

/// The processes that `ancestor` started, itself or through others, of a program whose name begins like this.
pub(crate) fn descendants(ancestor: u32, program: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().map_while(Result::ok);
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let all: Vec<(u32, String, u32)> = entries.filter_map(number).filter_map(kin).collect();
    let parent = |process: u32| all.iter().find(|(known, ..)| *known == process).map(|(.., parent)| *parent);
    let descends =
        |process: u32| std::iter::successors(Some(process), |process| parent(*process)).any(|of| of == ancestor);
    let named = all.iter().filter(|(_, name, _)| name.starts_with(program));
    named.map(|(process, ..)| *process).filter(|process| descends(*process)).collect()
}

/// A process with its name and its parent.
fn kin(process: u32) -> Option<(u32, String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (head, fields) = stat.rsplit_once(')')?;
    let parent = fields.split_whitespace().nth(1)?.parse().ok()?;
    Some((process, head.split_once('(')?.1.to_owned(), parent))
}

/// The fields `utime` and `stime`. What stands before the last parenthesis is the name, which may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(Duration::from_secs_f64(f64::from(next()? + next()?) / TICKS_PER_SECOND))
}

/// A line of a status, in bytes.
fn bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_read_whatever_the_process_is_called() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 4 0 100 1 1";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(bytes("Name:\tx\nVmHWM:\t    12 kB\n", "VmHWM:"), Some(12 * 1024));
        assert!(of(std::process::id()).is_some_and(|usage| usage.peak_memory > 0));
    }

    #[test]
    fn a_process_is_found_among_the_descendants_of_those_who_started_it() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        // The name is that of this program until the other one is loaded.
        let found = || descendants(std::process::id(), "sleep").contains(&child.id());
        while !found() {
            std::thread::yield_now();
        }
        assert!(!descendants(child.id(), "dockbell").contains(&std::process::id()), "nobody descends from a child");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
