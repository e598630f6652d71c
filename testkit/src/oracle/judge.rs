//! The judgement: pure, from the ledger, the sightings and the terms alone.

use std::collections::{BTreeMap, HashMap};

use super::ledger::{Ledger, Push};
use super::report::{Finding, Invariant, Report};
use super::sightings::{Sighting, Sightings, Told};
use super::terms::{Repeats, Sum, Terms};

/// Judges one webhook that is owed every accepted event.
pub fn judge(ledger: &Ledger, sightings: &Sightings, terms: &Terms) -> Report {
    let seen = sightings.all();
    let (lost, fates) = conservation(ledger, seen);
    let told = seen.iter().map(|sighting| sighting.told.len()).sum();
    let rows = vec![
        (Invariant::Conservation, ledger.accepted(), lost),
        (Invariant::NoInvention, told, invention(ledger, seen)),
        (Invariant::BoundedRepeats, seen.len(), repeats(ledger, seen, &terms.repeats)),
        (Invariant::Order, ledger.tags().count(), order(ledger, seen)),
        (Invariant::Accounting, terms.sums.len(), terms.sums.iter().filter_map(unbalanced).collect()),
        (Invariant::NonVacuity, terms.hits.len(), not_hit(terms)),
    ];
    let repeated = seen.len() - by_delivery(seen).len();
    let counts = vec![
        ("accepted", ledger.accepted()),
        ("reported again", ledger.repeated()),
        ("told", fates.told),
        ("superseded in a window", fates.superseded),
        ("outdone by a later push", fates.outdone),
        ("given an end", fates.ended),
        ("requests", seen.len()),
        ("repeated", repeated),
    ];
    Report { rows, counts }
}

/// What became of the accepted events that are not lost.
#[derive(Default)]
struct Fates {
    told: usize,
    superseded: usize,
    outdone: usize,
    ended: usize,
}

/// Where an event stands in what was told.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Standing {
    Superseded,
    Newest,
}

fn conservation(ledger: &Ledger, seen: &[Sighting]) -> (Vec<Finding>, Fates) {
    let (told, latest) = (told_events(seen), latest_told(ledger, seen));
    let (mut lost, mut fates) = (Vec::new(), Fates::default());
    for (place, push) in ledger.owed() {
        // Newest wins: a push may be withheld once a later one of its tag was told.
        let is_outdone = || latest.get(&(&*push.repository, &*push.tag)).is_some_and(|latest| *latest > place);
        match told.get(&*push.event) {
            Some(Standing::Newest) => fates.told += 1,
            Some(Standing::Superseded) => fates.superseded += 1,
            None if ledger.has_ended(place) => fates.ended += 1,
            None if is_outdone() => fates.outdone += 1,
            None => lost.push(Finding::Lost { event: push.event.clone(), of: tag_of(push) }),
        }
    }
    (lost, fates)
}

fn told_events(seen: &[Sighting]) -> HashMap<&str, Standing> {
    let mut told = HashMap::new();
    for change in changes(seen) {
        let Some((newest, earlier)) = change.events.split_last() else { continue };
        told.insert(&**newest, Standing::Newest);
        for event in earlier {
            told.entry(&**event).or_insert(Standing::Superseded);
        }
    }
    told
}

/// The place of the latest push that was told, by repository and tag.
fn latest_told<'a>(ledger: &Ledger, seen: &'a [Sighting]) -> HashMap<(&'a str, &'a str), usize> {
    let mut latest = HashMap::new();
    for change in changes(seen) {
        let places = change.events.iter().filter_map(|event| ledger.find(event)).map(|(place, _)| place);
        if let Some(place) = places.max() {
            let known = latest.entry((&*change.repository, &*change.tag)).or_insert(place);
            *known = place.max(*known);
        }
    }
    latest
}

fn invention(ledger: &Ledger, seen: &[Sighting]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for sighting in seen {
        for change in &sighting.told {
            findings.extend(
                change
                    .events
                    .iter()
                    .filter(|event| !is_issued(ledger, change, event))
                    .map(|event| Finding::Invented { event: event.clone(), delivery: sighting.delivery.clone() }),
            );
            findings.extend(altered(ledger, change));
        }
    }
    findings
}

fn is_issued(ledger: &Ledger, change: &Told, event: &str) -> bool {
    let of_tag = |(_, push): (usize, &Push)| push.repository == change.repository && push.tag == change.tag;
    ledger.find(event).is_some_and(of_tag)
}

fn altered(ledger: &Ledger, change: &Told) -> Option<Finding> {
    let (event, told) = (change.events.last()?, change.digest.as_ref()?);
    let (_, push) = ledger.find(event)?;
    (push.digest != *told).then(|| Finding::Altered {
        event: event.clone(),
        issued: push.digest.clone(),
        told: told.clone(),
    })
}

fn by_delivery(seen: &[Sighting]) -> BTreeMap<&str, usize> {
    let mut times = BTreeMap::new();
    for sighting in seen {
        *times.entry(&*sighting.delivery).or_default() += 1;
    }
    times
}

fn repeats(ledger: &Ledger, seen: &[Sighting], allowed: &Repeats) -> Vec<Finding> {
    let times = by_delivery(seen);
    if let Repeats::Together(allowed) = *allowed {
        let repeated = seen.len() - times.len();
        let is_too_many = repeated > allowed;
        return is_too_many
            .then_some(Finding::Repeated { delivery: None, times: repeated, allowed })
            .into_iter()
            .collect();
    }
    let allowed_of = |delivery: &str| match allowed {
        Repeats::Each(each) => each.get(delivery).copied().unwrap_or_default(),
        Repeats::Never | Repeats::Together(_) => 0,
    };
    let reported_again = reported_again(ledger, seen);
    let too_often = |(delivery, times): (&str, usize)| {
        let again = reported_again.get(delivery).copied().unwrap_or_default();
        let (times, allowed) = (times - 1, allowed_of(delivery) + again);
        (times > allowed).then(|| Finding::Repeated { delivery: Some(delivery.to_owned()), times, allowed })
    };
    times.into_iter().filter_map(too_often).collect()
}

/// How often what a delivery tells was reported again, if it was.
fn reported_again<'a>(ledger: &Ledger, seen: &'a [Sighting]) -> HashMap<&'a str, usize> {
    let again = |sighting: &Sighting| {
        let newest = sighting.told.iter().filter_map(|change| change.events.last());
        newest.map(|event| ledger.repeats(event)).max().unwrap_or_default()
    };
    seen.iter().map(|sighting| (&*sighting.delivery, again(sighting))).collect()
}

/// A receiver that compares orders ends with the change of the highest one. It must be the newest accepted push,
/// or one after it: a report that was cut off may have been taken.
fn order(ledger: &Ledger, seen: &[Sighting]) -> Vec<Finding> {
    let mut highest: HashMap<(&str, &str), &Told> = HashMap::new();
    for change in changes(seen).filter(|change| change.order.is_some()) {
        let known = highest.entry((&*change.repository, &*change.tag)).or_insert(change);
        if change.order > known.order {
            *known = change;
        }
    }
    if highest.is_empty() {
        return Vec::new();
    }
    let behind = |(of, places): (&(String, String), &[usize])| {
        let first = places.iter().rposition(|place| ledger.is_accepted(*place) && !ledger.has_ended(*place))?;
        let newest = ledger.push(*places.get(first)?)?;
        let told = highest.get(&(&*of.0, &*of.1)).and_then(|change| change.digest.clone());
        let mut newest_ones = places.iter().skip(first).filter_map(|place| ledger.push(*place));
        let is_newest = newest_ones.any(|push| told.as_ref() == Some(&push.digest));
        (!is_newest).then(|| Finding::Behind { of: of.clone(), newest: newest.digest.clone(), told })
    };
    ledger.tags().filter_map(behind).collect()
}

fn unbalanced(sum: &Sum) -> Option<Finding> {
    let total = |side: &[(&str, u64)]| side.iter().map(|(_, number)| number).sum::<u64>();
    let shown = |side: &[(&str, u64)]| {
        side.iter().map(|(name, number)| format!("{number} {name}")).collect::<Vec<_>>().join(" + ")
    };
    let is_equal = total(&sum.left) == total(&sum.right);
    (!is_equal)
        .then(|| Finding::Unbalanced { sum: format!("{}: {} ≠ {}", sum.name, shown(&sum.left), shown(&sum.right)) })
}

fn not_hit(terms: &Terms) -> Vec<Finding> {
    let missed = terms.hits.iter().filter(|hit| hit.times < hit.least);
    missed.map(|hit| Finding::NotHit { hit: hit.name, times: hit.times, least: hit.least }).collect()
}

fn changes(seen: &[Sighting]) -> impl Iterator<Item = &Told> {
    seen.iter().flat_map(|sighting| &sighting.told)
}

fn tag_of(push: &Push) -> (String, String) {
    (push.repository.clone(), push.tag.clone())
}
