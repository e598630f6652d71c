//! Counts what the hot path costs, in numbers that a busy machine does not change, and compares them with those that were
//! kept.
//!
//! Valgrind counts a few rounds and many rounds; what start and end cost is in both, so that the difference is what the rounds
//! between them cost. Instructions tell of work, allocations of copies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::{Args, ValueEnum as _};
use dockbell_chassis::lifecycle::BoxError;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::timeout;

use crate::hot::Case;
use crate::report::say;

/// The numbers that were kept.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json");
/// The most that a number may differ by from the one that was kept, in percent of it.
const TOLERANCE: u64 = 3;
/// What Rust asks for memory.
const ALLOCATORS: [&str; 3] = ["mi_malloc_aligned", "mi_zalloc_aligned", "mi_realloc_aligned"];
const PATIENCE: Duration = Duration::from_mins(5);
const FEW: u64 = 10;
const MANY: u64 = 50;

/// How to count.
#[derive(Debug, Clone, Args)]
pub(crate) struct Instructions {
    /// Keeps what is counted as the numbers to compare with
    #[arg(long)]
    keep: bool,
}

/// What one round costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    instructions: u64,
    /// How often memory is allocated, or made larger.
    allocations: u64,
}

/// By the name of the case.
type Baseline = BTreeMap<String, Counts>;

impl Instructions {
    /// Counts, prints, and says whether the numbers are those that were kept.
    pub(crate) async fn run(&self, folder: &Path) -> Result<bool, BoxError> {
        let mut counted = Baseline::new();
        for &case in Case::value_variants() {
            counted.insert(case.as_str().to_owned(), count(case, folder).await?);
        }
        if self.keep {
            std::fs::write(BASELINE, serde_json::to_string_pretty(&counted)? + "\n")?;
            say(&format!("kept in {BASELINE}"));
            return Ok(true);
        }
        let baseline: Baseline = serde_json::from_str(&std::fs::read_to_string(BASELINE)?)?;
        let (table, is_as_kept) = compare(&baseline, &counted);
        say(table.trim_end());
        if !is_as_kept {
            say(&format!(
                "more than {TOLERANCE} % away from what was kept: find what costs, or keep the new numbers with \
                 `make bench-instructions ARGS=--keep` and say why"
            ));
        }
        Ok(is_as_kept)
    }
}

/// A table of both, and whether they agree.
fn compare(baseline: &Baseline, counted: &Baseline) -> (String, bool) {
    let (mut table, mut agree) = (format!("{:<28}{:>14}{:>14}{:>9}\n", "per round", "kept", "counted", "ratio"), true);
    for (case, now) in counted {
        let Some(kept) = baseline.get(case) else {
            // Writing to a string cannot fail.
            writeln!(table, "{case}: nothing was kept").ok();
            agree = false;
            continue;
        };
        for (name, kept, now) in
            [("instructions", kept.instructions, now.instructions), ("allocations", kept.allocations, now.allocations)]
        {
            #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more digits")]
            let ratio = now as f64 / kept as f64;
            agree &= 100 * now.abs_diff(kept) <= TOLERANCE * kept;
            // Writing to a string cannot fail.
            writeln!(table, "{:<28}{kept:>14}{now:>14}{ratio:>9.3}", format!("{case}: {name}")).ok();
        }
    }
    (table, agree)
}

/// What a round costs: what many rounds cost more than a few, for each of those between them.
async fn count(case: Case, folder: &Path) -> Result<Counts, BoxError> {
    let (few, many) = (total(case, folder, FEW).await?, total(case, folder, MANY).await?);
    let per_round = |few, many: u64| many.saturating_sub(few) / (MANY - FEW);
    Ok(Counts {
        instructions: per_round(few.instructions, many.instructions),
        allocations: per_round(few.allocations, many.allocations),
    })
}

/// What a process costs that goes so many rounds.
async fn total(case: Case, folder: &Path, times: u64) -> Result<Counts, BoxError> {
    say(&format!("{} × {times}", case.as_str()));
    let out: PathBuf = folder.join(format!("{}-{times}.callgrind", case.as_str()));
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(std::env::current_exe()?).args(["hot", case.as_str(), "--times", &times.to_string()]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let running = timeout(PATIENCE, command.output()).await.map_err(|_| "valgrind does not end")?;
    let output = running.map_err(|error| format!("valgrind: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind, {}: {told}", output.status).into());
    }
    let profile = std::fs::read_to_string(&out)?;
    let instructions = instructions(&profile).ok_or("the profile has no total")?;
    match allocations(&profile) {
        0 => Err("the profile knows no allocator: the program was stripped of its names, or has another one".into()),
        allocations => Ok(Counts { instructions, allocations }),
    }
}

/// The total of a profile. Source: <https://valgrind.org/docs/manual/cl-format.html>.
fn instructions(profile: &str) -> Option<u64> {
    let total = |name| profile.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok();
    total("totals:").or_else(|| total("summary:"))
}

/// How often the functions of the allocator were called, by a profile. A name stands where it comes first, and its number
/// wherever it comes again.
fn allocations(profile: &str) -> u64 {
    let (mut allocators, mut is_allocator, mut calls) = (BTreeSet::new(), false, 0);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            let (number, name) = name.split_once(' ').unwrap_or((name, ""));
            if ALLOCATORS.contains(&name) {
                allocators.insert(number);
            }
            is_allocator = line.starts_with("cfn=") && allocators.contains(number);
        } else if let Some(count) = line.strip_prefix("calls=").filter(|_| is_allocator) {
            calls += count.split(' ').next().and_then(|count| count.parse::<u64>().ok()).unwrap_or_default();
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(instructions: u64, allocations: u64) -> Baseline {
        Baseline::from([("push".to_owned(), Counts { instructions, allocations })])
    }

    #[test]
    fn what_valgrind_tells_is_read() {
        let profile = "fn=(1) main\n16 400\ncfn=(2) mi_malloc_aligned\ncalls=12 0\n0 300\ncfn=(3) other\ncalls=9 0\n0 5\n\
                       fn=(3)\n0 5\ncfn=(2)\ncalls=3 0\n0 7\ncfn=(4) mi_realloc_aligned\ncalls=1 0\n0 7\ntotals: 987654\n";
        assert_eq!((instructions(profile), allocations(profile)), (Some(987_654), 16));
        assert_eq!((instructions(""), allocations("")), (None, 0));
    }

    #[test]
    fn a_number_may_differ_by_three_percent_and_not_by_more() {
        let agree = |now| compare(&counts(1000, 1000), &now).1;
        assert!(agree(counts(1000, 1000)) && agree(counts(1030, 970)));
        assert!(!agree(counts(1031, 1000)) && !agree(counts(1000, 1031)), "more");
        assert!(!agree(counts(969, 1000)), "less is to be kept");
        assert!(!compare(&Baseline::new(), &counts(1, 1)).1, "what was never kept cannot be compared");
    }
}
