//! What a soak showed of each invariant: kept, broken, or nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::ailing::Case;
use super::book::{Event, Pages, digest_of};
use super::fault::{Ailment, Fault};
use super::resources::Held;

/// Pushes of these events arrive within this time at webhooks that are well, while others are not.
const LATEST: Duration = Duration::from_secs(3);
/// With fewer events a percentile says little.
const FEWEST: usize = 100;
/// What is accepted so long after a fault may still be a consequence of it.
const AFTERMATH: Duration = Duration::from_secs(30);
/// Within which a push must arrive once all is well.
const SOON: Duration = Duration::from_secs(10);
/// Allocators keep some of what they once needed.
const MEMORY: f64 = 1.5;
const MEMORY_KIB: u64 = 32 * 1024;
const FILES: usize = 16;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) invariant: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
}

/// What a run says of an invariant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Fail,
    /// The run could not have shown it broken.
    Invalid,
}

/// Everything that is judged.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) pages: Pages,
    /// The webhook of all repositories, which never ails; the others have the numbers of their repositories.
    pub(crate) all: usize,
    pub(crate) faults: Vec<(Fault, Instant, Instant)>,
    pub(crate) ailments: Vec<Case>,
    /// Requests under way when deliverers were killed.
    pub(crate) under_way: Vec<usize>,
    pub(crate) reconnects: u64,
    /// When faults of the fleet began; until then only receivers ailed.
    pub(crate) calm_until: Instant,
    /// When each push that was made after the end of all trouble arrived; none if it did not.
    pub(crate) probes: Vec<Option<Duration>>,
    /// Webhooks that the API shows as disabled or failing after the end.
    pub(crate) unwell: Vec<String>,
    /// Webhooks that were disabled at the end of all trouble: what they are owed is skipped, and can be seen as such.
    pub(crate) disabled: Vec<usize>,
    /// Messages that are left in the broker, by queue, dead letters and strays too.
    pub(crate) left: BTreeMap<String, u64>,
    pub(crate) before: BTreeMap<String, Held>,
    pub(crate) after: BTreeMap<String, Held>,
}

impl Evidence {
    /// The table.
    pub(crate) fn judge(&self) -> Vec<Line> {
        vec![
            self.conservation(),
            self.invention(),
            self.duplication(),
            self.liveness(),
            self.isolation(),
            self.counters(),
            self.resources(),
            self.order(),
            self.honesty(),
            self.vacuity(),
        ]
    }

    /// Whether nothing is owed and nothing stands in the broker any more.
    pub(crate) fn is_quiet(&self) -> bool {
        self.missing().0.is_empty() && self.left.iter().all(|(name, count)| *count == 0 || is_kept(name))
    }

    /// The number of the last event of each tag that was accepted.
    fn newest(&self) -> BTreeMap<(&str, &str), usize> {
        let accepted = self.pages.events.iter().enumerate().filter(|(_, event)| event.accepted_at.is_some());
        accepted.map(|(number, event)| ((event.repository.as_str(), event.tag.as_str()), number)).collect()
    }

    /// Whether an event may have ended at a webhook that answered 410, or is disabled.
    fn is_ended(&self, event: &Event, webhook: usize) -> bool {
        let is_gone = |(ailment, ill, _, end): &Case| {
            *ailment == Ailment::Answers(410) && *ill == webhook && event.reported_at <= *end + AFTERMATH
        };
        self.disabled.contains(&webhook) || self.ailments.iter().any(is_gone)
    }

    /// The webhooks that an event is owed to.
    fn webhooks(&self, event: &Event) -> impl Iterator<Item = usize> + use<> {
        let own = event.repository.rsplit('-').next().and_then(|number| number.parse().ok());
        own.into_iter().chain([self.all])
    }

    fn missing(&self) -> (Vec<String>, usize) {
        // What has been overtaken by a later push of its tag is not owed.
        let newest = self.newest();
        let owed = newest.values().filter_map(|number| Some((number, self.pages.events.get(*number)?)));
        let (mut missing, mut ended) = (Vec::new(), 0);
        for (number, event) in owed {
            for webhook in self.webhooks(event).filter(|webhook| !event.arrived.contains_key(webhook)) {
                if self.is_ended(event, webhook) {
                    ended += 1;
                } else {
                    missing.push(format!("event {number} at webhook {webhook}"));
                }
            }
        }
        (missing, ended)
    }

    fn conservation(&self) -> Line {
        let accepted = self.newest().len();
        let (missing, ended) = self.missing();
        let why = format!(
            "{accepted} owed twice, {} never came, {ended} ended by 410 or were skipped{}",
            missing.len(),
            first(&missing)
        );
        line("I1 conservation", (accepted >= FEWEST).then_some(missing.is_empty()), why)
    }

    fn invention(&self) -> Line {
        let (invented, told) = (&self.pages.invented, self.pages.deliveries.len());
        let why =
            format!("{told} deliveries, {} with a false signature, event or digest{}", invented.len(), first(invented));
        line("I2 no invention", (told >= FEWEST).then_some(invented.is_empty()), why)
    }

    /// A delivery comes twice only if it came for the first time beside a fault of the fleet.
    fn duplication(&self) -> Line {
        let twice = self.pages.deliveries.iter().filter(|(_, told)| told.accepted.len() > 1);
        let beside = |at: &Instant| self.faults.iter().any(|(_, from, to)| (*from..*to + AFTERMATH).contains(at));
        let (excused, unexcused): (Vec<_>, Vec<_>) =
            twice.partition(|(_, told)| told.accepted.first().is_some_and(beside));
        let unexcused: Vec<String> = unexcused.iter().map(|((webhook, id), _)| format!("{id} at {webhook}")).collect();
        let why = format!(
            "{} came again beside a fault, {} without one{}",
            excused.len(),
            unexcused.len(),
            first(&unexcused)
        );
        line("I3 bounded duplication", Some(unexcused.is_empty()), why)
    }

    fn liveness(&self) -> Line {
        let longest = self.probes.iter().map(|took| took.unwrap_or(Duration::MAX)).max();
        let why = longest.map_or("nothing was pushed".to_owned(), |longest| {
            if longest < Duration::MAX {
                format!("a push took {longest:.1?} at most")
            } else {
                "a push never came".to_owned()
            }
        });
        line("I4 liveness", longest.map(|longest| longest <= SOON), why)
    }

    /// While only receivers ailed.
    fn isolation(&self) -> Line {
        let calm = self.pages.events.iter().filter(|event| event.reported_at + LATEST < self.calm_until);
        let mut took: Vec<Duration> = calm.map(|event| event.latency(self.all).unwrap_or(Duration::MAX)).collect();
        took.sort_unstable();
        let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
        let is_valid = took.len() >= FEWEST && self.ailments.iter().any(|(.., from, _)| *from < self.calm_until);
        let why =
            format!("p99 of {} pushes at a webhook that is well beside others that are not: {p99:.1?}", took.len());
        line("I5 isolation", is_valid.then_some(p99 <= LATEST), why)
    }

    fn counters(&self) -> Line {
        let why = format!("{} webhooks are not well after the end{}", self.unwell.len(), first(&self.unwell));
        line("I6 counters", (!self.ailments.is_empty()).then_some(self.unwell.is_empty()), why)
    }

    /// The programs that hold much more than at first.
    pub(crate) fn grown(&self) -> Vec<String> {
        let grown = |(kind, after): (&String, &Held)| {
            let before = self.before.get(kind)?;
            #[expect(clippy::cast_precision_loss, reason = "memory in KiB is far less than a float counts exactly")]
            let has_grown = after.memory_kib > before.memory_kib + MEMORY_KIB
                && after.memory_kib as f64 > before.memory_kib as f64 * MEMORY
                || after.files > before.files + FILES;
            has_grown.then(|| format!("{kind} from {before:?} to {after:?}"))
        };
        self.after.iter().filter_map(grown).collect()
    }

    fn resources(&self) -> Line {
        let grown = self.grown();
        let left: Vec<String> = self
            .left
            .iter()
            .filter(|(name, count)| **count > 0 && !is_kept(name))
            .map(|(name, count)| format!("{count} on {name}"))
            .collect();
        let why = format!(
            "{} programs grew{}, {} queues hold something{}",
            grown.len(),
            first(&grown),
            left.len(),
            first(&left)
        );
        line("I7 resources", (!self.after.is_empty()).then_some(grown.is_empty() && left.is_empty()), why)
    }

    /// Every receiver ends at the newest push of each tag.
    fn order(&self) -> Line {
        let newest = self.newest();
        let mut behind = Vec::new();
        for ((repository, tag), number) in &newest {
            let Some(event) = self.pages.events.get(*number) else { continue };
            for webhook in self.webhooks(event).filter(|webhook| !self.is_ended(event, *webhook)) {
                let key = (webhook, (*repository).to_owned(), (*tag).to_owned());
                let told = self.pages.newest.get(&key).map(|(_, digest)| digest.as_str());
                if told != Some(digest_of(*number).as_str()) {
                    behind.push(format!("{repository}:{tag} at webhook {webhook}"));
                }
            }
        }
        let why =
            format!("{} of {} tags do not end at their newest push{}", behind.len(), newest.len(), first(&behind));
        line("I8 order", (!newest.is_empty()).then_some(behind.is_empty()), why)
    }

    /// What did not come can be seen.
    fn honesty(&self) -> Line {
        let (_, ended) = self.missing();
        let dead = self.left.iter().filter(|(name, _)| is_dead(name)).map(|(_, count)| *count).sum::<u64>();
        let strays =
            self.left.iter().filter(|(name, _)| name.contains("unrouted")).map(|(_, count)| *count).sum::<u64>();
        let is_shown = ended == 0 || dead > 0 || !self.unwell.is_empty();
        let why = format!("{ended} ended by 410 or were skipped, {dead} dead letters, {strays} strays");
        line("I9 honesty", Some(is_shown && strays == 0), why)
    }

    fn vacuity(&self) -> Line {
        let again = self.pages.deliveries.values().filter(|told| told.accepted.len() > 1).count();
        let retried = self.pages.deliveries.values().filter(|told| told.is_retried).count();
        let hits = self.under_way.iter().filter(|count| **count > 0).count();
        let needed = [
            (retried > 0, "no retry was accepted"),
            (self.reconnects > 0, "nobody connected again"),
            (hits > 0, "no deliverer was killed with attempts under way"),
            (
                Fault::ALL.iter().all(|fault| self.faults.iter().any(|(hit, ..)| hit == fault)),
                "a kind of fault is absent",
            ),
        ];
        let absent: Vec<String> =
            needed.iter().filter(|(is_met, _)| !is_met).map(|(_, what)| (*what).to_owned()).collect();
        let why = format!(
            "{} faults, {} ailments, {again} came again, {retried} retried, {} reconnects, {hits} of {} kills of deliverers hit{}",
            self.faults.len(),
            self.ailments.len(),
            self.reconnects,
            self.under_way.len(),
            first(&absent)
        );
        line("NV non-vacuity", absent.is_empty().then_some(true), why)
    }
}

/// Queues that keep what is on them.
fn is_kept(name: &str) -> bool {
    is_dead(name) || name.contains("unrouted")
}

fn is_dead(name: &str) -> bool {
    name.contains(".dead.")
}

/// None is a run that says nothing.
fn line(invariant: &'static str, is_kept: Option<bool>, why: String) -> Line {
    let verdict = is_kept.map_or(Verdict::Invalid, |is_kept| if is_kept { Verdict::Pass } else { Verdict::Fail });
    Line { invariant, verdict, why }
}

/// The first few of what is wrong.
fn first(wrong: &[String]) -> String {
    if wrong.is_empty() {
        return String::new();
    }
    let shown: Vec<&str> = wrong.iter().take(3).map(String::as_str).collect();
    format!(" ({}{})", shown.join(", "), if wrong.len() > shown.len() { ", …" } else { "" })
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "FAIL",
            Verdict::Invalid => "invalid",
        };
        write!(f, "{:<24}{verdict:<9}{}", self.invariant, self.why)
    }
}

#[cfg(test)]
mod tests;
