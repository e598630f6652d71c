//! What a person reads of the runs.

use std::io::Write as _;
use std::time::Duration;

use crate::arrivals::{LATEST, Summary};
use crate::ratio::{PROMISED, Ratio};
use crate::trial::Outcome;

/// A generator that was later than this at any time did not keep to an open model: its run says little.
const LATEST_PUBLISH: Duration = Duration::from_millis(500);

/// Prints a line of results.
pub(crate) fn say(line: &str) {
    // Whoever read it may have gone, which ends no run before it has removed what it made.
    writeln!(std::io::stdout(), "{line}").ok();
}

/// Prints what came of a run for the repositories that count, and returns it.
pub(crate) fn tell(name: &str, outcome: &Outcome, counts: impl Fn(usize) -> bool) -> Summary {
    let summary = outcome.arrivals.summary(counts);
    let Summary { due, arrived, rate, median, p99, longest, .. } = summary;
    let lag = outcome.kept.longest_lag;
    let is_late = if lag > LATEST_PUBLISH { ", TOO LATE: the machine is too busy to measure" } else { "" };
    say(&format!(
        "  {name}: {arrived} of {due} arrived, {rate:.1}/s, median {}, p99 {}, longest {}; {} repeated, generator {} ms \
         late at most{is_late}",
        ms(median),
        ms(p99),
        ms(longest),
        outcome.arrivals.repeated(),
        lag.as_millis()
    ));
    summary
}

/// Prints a ratio and whether it is as promised, and says whether it is.
pub(crate) fn judge(name: &str, ratio: &Ratio) -> bool {
    let keeps = ratio.keeps(PROMISED);
    let verdict = if keeps { "as promised" } else { "NOT as promised" };
    say(&format!("{name}: {ratio}: {verdict} (at most {}, at least {})", PROMISED.p99, PROMISED.rate));
    keeps
}

fn ms(time: Duration) -> String {
    if time < LATEST { format!("{:.1} ms", time.as_secs_f64() * 1e3) } else { "never".to_owned() }
}
