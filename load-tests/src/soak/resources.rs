//! What processes hold of the machine.

use std::collections::BTreeMap;

use crate::program::Program;

/// Of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) memory_kib: u64,
    pub(crate) files: usize,
}

/// The most that a process of each program holds; none if that cannot be told.
pub(crate) fn most<'a>(programs: impl Iterator<Item = &'a Program>) -> Option<BTreeMap<String, Held>> {
    let mut most: BTreeMap<String, Held> = BTreeMap::new();
    for program in programs {
        let held = held(program.id()?)?;
        let kind = program.name.rsplit_once('-').map_or(program.name.as_str(), |(kind, _)| kind);
        let known = most.entry(kind.to_owned()).or_insert(held);
        *known = Held { memory_kib: known.memory_kib.max(held.memory_kib), files: known.files.max(held.files) };
    }
    Some(most)
}

fn held(id: u32) -> Option<Held> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let memory_kib = memory.split_whitespace().next()?.parse().ok()?;
    let files = std::fs::read_dir(format!("/proc/{id}/fd")).ok()?.count();
    Some(Held { memory_kib, files })
}
