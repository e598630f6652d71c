//! Whether everything that was accepted arrived, and nothing else: pure, from what was sent and what was seen.

use std::collections::{HashMap, HashSet};

use dockbell_testkit::oracle::{Invariant, Ledger, Push, Sighting, Sightings, Terms, judge};
use serde::Serialize;

use super::witness::{Change, Seen};
use crate::flood::{self, Kept};
use crate::pushes::{Pushes, digest};
use crate::stamp;

/// What a check is broken by is told so often; the first ones say enough.
const TOLD: usize = 10;
/// What every webhook is held to by the oracle of the tests with faults.
const BY_ORACLE: [(Invariant, &str); 4] = [
    (Invariant::Conservation, "what was accepted arrived"),
    (Invariant::NoInvention, "what arrived was pushed, as it was told"),
    (Invariant::BoundedRepeats, "nothing arrived twice"),
    (Invariant::Order, "the newest push of each tag is the last news of it"),
];

/// What webhooks are owed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owed<'a> {
    pub(crate) pushes: &'a Pushes,
    pub(crate) kept: &'a Kept,
    pub(crate) per_repository: usize,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// How many things were looked at.
    pub(crate) checked: usize,
    /// How many of them are not as they must be.
    pub(crate) broken: usize,
    /// The first of them, in words.
    pub(crate) findings: Vec<String>,
}

/// What came of the verification.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verified {
    pub(crate) checks: Vec<Check>,
    /// Multi-arch changes of which some platforms came in another window: they were told all the same, without their
    /// layers.
    pub(crate) torn: usize,
}

impl Check {
    fn new(name: &'static str) -> Self {
        Self { name, checked: 0, broken: 0, findings: Vec::new() }
    }

    fn find(&mut self, finding: impl FnOnce() -> String) {
        self.broken += 1;
        if self.findings.len() < TOLD {
            self.findings.push(finding());
        }
    }
}

impl Verified {
    pub(crate) fn is_right(&self) -> bool {
        self.checks.iter().all(|check| check.broken == 0)
    }
}

/// Judges every webhook: each is owed every accepted push of its repository.
pub(crate) fn verify(owed: &Owed<'_>, seen: &[Seen]) -> Verified {
    let mut checks: Vec<Check> = BY_ORACLE.iter().map(|(_, name)| Check::new(name)).collect();
    let repositories = owed.pushes.schedule.repositories();
    let mut events = vec![Vec::new(); repositories];
    for event in owed.pushes.schedule.events() {
        if let Some(of) = owed.pushes.schedule.push(event).and_then(|push| events.get_mut(push.repository)) {
            of.push(event);
        }
    }
    let webhooks = repositories * owed.per_repository;
    let mut accepted: Vec<Sightings> = (0..webhooks).map(|_| Sightings::default()).collect();
    for seen in seen.iter().filter(|seen| seen.is_accepted) {
        let told = seen.changes.iter().map(|change| change.told.clone()).collect();
        if let Some(sightings) = accepted.get_mut(seen.webhook) {
            sightings.see(Sighting { delivery: seen.id.clone(), at: seen.at, told });
        }
    }
    let taken = owed.kept.accepted.iter().copied().collect();
    let mut again: HashMap<usize, usize> = HashMap::new();
    for event in &owed.kept.repeated {
        *again.entry(*event).or_default() += 1;
    }
    for (events, webhooks) in events.iter().zip(accepted.chunks(owed.per_repository)) {
        let ledger = ledger(owed.pushes, events, (&taken, &again));
        for sightings in webhooks {
            let report = judge(&ledger, sightings, &Terms::default());
            for (check, (invariant, _)) in checks.iter_mut().zip(BY_ORACLE) {
                check.checked += looked_at(invariant, &ledger, sightings);
                for finding in report.against(invariant) {
                    check.find(|| finding.to_string());
                }
            }
        }
    }
    let (bursts, torn) = bursts(owed.pushes, seen);
    checks.extend([ids(seen), signatures(seen), bursts]);
    Verified { checks, torn }
}

/// How many things the oracle looked at.
fn looked_at(invariant: Invariant, ledger: &Ledger, sightings: &Sightings) -> usize {
    let told = || sightings.all().iter().flat_map(|sighting| &sighting.told);
    match invariant {
        Invariant::Conservation => ledger.accepted(),
        Invariant::NoInvention => told().count(),
        Invariant::BoundedRepeats => sightings.all().len(),
        // Of what is told without an order nothing can be said.
        Invariant::Order => {
            told().filter(|told| told.order.is_some()).map(|told| &told.tag).collect::<HashSet<_>>().len()
        }
        Invariant::Accounting | Invariant::NonVacuity => 0,
    }
}

/// What one repository's webhooks are owed.
fn ledger(pushes: &Pushes, events: &[usize], (taken, again): (&HashSet<usize>, &HashMap<usize, usize>)) -> Ledger {
    let mut ledger = Ledger::default();
    for &event in events {
        let Some(push) = pushes.schedule.push(event) else { continue };
        let (id, repository) = (pushes.id(event), flood::name(push.repository));
        let tag = pushes.tag(event, &push);
        ledger.issue(Push { event: id.clone(), repository, tag, digest: digest(event, 0) });
        if taken.contains(&event) {
            ledger.accept(&id);
        }
        for _ in 0..again.get(&event).copied().unwrap_or_default() {
            ledger.repeat(&id);
        }
    }
    ledger
}

/// The id of a delivery is the same in each of its attempts, and no other's.
fn ids(seen: &[Seen]) -> Check {
    let mut check = Check::new("each delivery has one id, which no other has");
    let (mut of_id, mut of_delivery) = (HashMap::new(), HashMap::new());
    for seen in seen {
        check.checked += 1;
        let newest: Vec<&str> =
            seen.changes.iter().filter_map(|change| Some(change.told.events.last()?.as_str())).collect();
        let delivery = (seen.webhook, newest);
        let is_known = *of_id.entry(&*seen.id).or_insert_with(|| delivery.clone()) == delivery;
        let is_its_own = *of_delivery.entry(delivery.clone()).or_insert(&*seen.id) == seen.id;
        if seen.id.is_empty() {
            check.find(|| format!("a request to webhook {} has no id", seen.webhook));
        } else if !is_known || !is_its_own {
            check.find(|| {
                format!(
                    "{} to webhook {} is also another's, or has another id too: {delivery:?}",
                    seen.id, seen.webhook
                )
            });
        }
    }
    check
}

fn signatures(seen: &[Seen]) -> Check {
    let mut check = Check::new("each request has a valid signature");
    for seen in seen {
        check.checked += usize::from(seen.is_signed.is_some());
        if seen.is_signed == Some(false) {
            check.find(|| format!("{} to webhook {} has a wrong signature", seen.id, seen.webhook));
        }
    }
    check
}

/// A multi-arch push is one change, with all of its platforms, where the format tells them.
fn bursts(pushes: &Pushes, seen: &[Seen]) -> (Check, usize) {
    let (mut check, mut torn) = (Check::new("each multi-arch push is one change with its platforms"), 0);
    let changes = seen.iter().filter(|seen| seen.is_accepted).flat_map(|seen| &seen.changes);
    for Change { told, platforms } in changes {
        let newest = told.events.last().and_then(|event| stamp::find(event, Some(&pushes.run)).first().copied());
        let push = newest.and_then(|stamp| pushes.schedule.push(stamp.event));
        let Some((push, (listed, whole))) = push.zip(*platforms) else { continue };
        check.checked += usize::from(push.platforms > 0);
        torn += usize::from(whole < listed);
        if listed != push.platforms {
            check.find(|| {
                format!("{}:{} was told with {listed} platforms of {}", told.repository, told.tag, push.platforms)
            });
        }
    }
    (check, torn)
}

#[cfg(test)]
mod tests;
