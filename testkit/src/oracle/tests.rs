use std::collections::HashMap;

use tokio::time::Instant;

use super::{
    Finding, Hit, Invariant, Judgement, Ledger, Push, Repeats, Report, Sighting, Sightings, Sum, Terms, Told, judge,
};

const REPOSITORY: &str = "team/app";

/// Events are `<tag>-<number>`, and so are their digests.
fn push(tag: &str, number: u32) -> Push {
    let event = format!("{tag}-{number}");
    Push { digest: format!("sha256:{event}"), event, repository: REPOSITORY.to_owned(), tag: tag.to_owned() }
}

fn ledger(pushes: &[(&str, u32)]) -> Ledger {
    let mut ledger = Ledger::default();
    for (tag, number) in pushes {
        let push = push(tag, *number);
        let event = push.event.clone();
        ledger.issue(push);
        ledger.accept(&event);
    }
    ledger
}

fn told(tag: &str, numbers: &[u32]) -> Told {
    let newest = push(tag, *numbers.last().unwrap());
    Told {
        repository: REPOSITORY.to_owned(),
        tag: tag.to_owned(),
        order: Some(format!("{:020}-{}", numbers.last().unwrap(), newest.event)),
        digest: Some(newest.digest),
        events: numbers.iter().map(|number| push(tag, *number).event).collect(),
    }
}

fn sightings(seen: &[(&str, Told)]) -> Sightings {
    let mut sightings = Sightings::default();
    for (delivery, told) in seen {
        sightings.see(Sighting { delivery: (*delivery).to_owned(), at: Instant::now(), told: vec![told.clone()] });
    }
    sightings
}

/// It must be broken in one way alone.
fn assert_only(report: &Report, invariant: Invariant, findings: &[Finding]) {
    assert_eq!(report.judgement(), Judgement::Broken, "{report}");
    assert_eq!(report.against(invariant), findings, "{report}");
    let found: usize = report.rows.iter().map(|(_, _, findings)| findings.len()).sum();
    assert_eq!(found, findings.len(), "{report}");
}

#[test]
fn a_run_passes_in_which_all_is_told_superseded_outdone_or_ended() {
    let mut ledger = ledger(&[("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("c", 1)]);
    ledger.end("c-1", "dead");
    // Of a, the second supersedes the first in a window; of b, the first was withheld.
    let seen = sightings(&[("d1", told("a", &[1, 2])), ("d2", told("a", &[3])), ("d3", told("b", &[2]))]);
    let report = judge(&ledger, &seen, &Terms::default());
    assert_eq!(report.judgement(), Judgement::Passed, "{report}");
    let counts = ["told", "superseded in a window", "outdone by a later push", "given an end"];
    assert_eq!(counts.map(|name| report.count(name)), [3, 1, 1, 1]);
}

#[test]
fn an_accepted_event_that_nothing_became_of_is_lost() {
    let (ledger, seen) = (ledger(&[("a", 1), ("a", 2), ("b", 1)]), sightings(&[("d1", told("a", &[2]))]));
    let of = |tag: &str| (REPOSITORY.to_owned(), tag.to_owned());
    let report = judge(&ledger, &seen, &Terms::default());
    assert_eq!(report.against(Invariant::Conservation), [Finding::Lost { event: "b-1".to_owned(), of: of("b") }]);
    let behind = Finding::Behind { of: of("b"), newest: push("b", 1).digest, told: None };
    assert_eq!(report.against(Invariant::Order), [behind], "nor does its receiver end with it");
    assert_eq!(report.judgement(), Judgement::Broken);
}

#[test]
fn an_earlier_push_does_not_make_up_for_a_later_one() {
    let (ledger, seen) = (ledger(&[("a", 1), ("a", 2)]), sightings(&[("d1", told("a", &[1]))]));
    let report = judge(&ledger, &seen, &Terms::default());
    assert_eq!(report.against(Invariant::Conservation).len(), 1, "{report}");
    assert_eq!(report.against(Invariant::Order).len(), 1, "{report}");
}

#[test]
fn an_event_that_was_issued_and_not_accepted_is_not_owed() {
    let mut ledger = ledger(&[("a", 1)]);
    ledger.issue(push("a", 2));
    for seen in [told("a", &[1]), told("a", &[2])] {
        let report = judge(&ledger, &sightings(&[("d1", seen)]), &Terms::default());
        assert_eq!(report.judgement(), Judgement::Passed, "{report}");
    }
}

#[test]
fn an_event_that_was_never_issued_is_an_invention() {
    let seen = sightings(&[("d1", told("a", &[7, 1]))]);
    let report = judge(&ledger(&[("a", 1)]), &seen, &Terms::default());
    let invented = Finding::Invented { event: "a-7".to_owned(), delivery: "d1".to_owned() };
    assert_only(&report, Invariant::NoInvention, &[invented]);
}

#[test]
fn an_event_of_another_tag_is_an_invention() {
    let ledger = ledger(&[("a", 1), ("b", 1)]);
    let strange = Told { events: vec!["b-1".to_owned(), "a-1".to_owned()], ..told("a", &[1]) };
    let report = judge(&ledger, &sightings(&[("d1", strange), ("d2", told("b", &[1]))]), &Terms::default());
    let invented = Finding::Invented { event: "b-1".to_owned(), delivery: "d1".to_owned() };
    assert_only(&report, Invariant::NoInvention, &[invented]);
}

#[test]
fn another_digest_than_the_one_reported_is_found() {
    let altered = Told { digest: Some("sha256:other".to_owned()), ..told("a", &[1]) };
    let seen = sightings(&[("d1", altered), ("d2", Told { order: Some("9".to_owned()), ..told("a", &[1]) })]);
    let report = judge(&ledger(&[("a", 1)]), &seen, &Terms::default());
    let finding =
        Finding::Altered { event: "a-1".to_owned(), issued: push("a", 1).digest, told: "sha256:other".to_owned() };
    assert_only(&report, Invariant::NoInvention, &[finding]);
}

#[test]
fn deliveries_come_again_no_more_often_than_is_explained() {
    let ledger = ledger(&[("a", 1), ("b", 1)]);
    let seen = sightings(&[
        ("d1", told("a", &[1])),
        ("d2", told("b", &[1])),
        ("d1", told("a", &[1])),
        ("d1", told("a", &[1])),
    ]);
    let judged = |repeats| judge(&ledger, &seen, &Terms { repeats, ..Terms::default() });
    let each = |delivery: &str, times| Repeats::Each(HashMap::from([(delivery.to_owned(), times)]));
    for explained in [Repeats::Together(2), each("d1", 2)] {
        assert_eq!(judged(explained).judgement(), Judgement::Passed);
    }
    let repeated = |delivery: Option<&str>, allowed| {
        [Finding::Repeated { delivery: delivery.map(str::to_owned), times: 2, allowed }]
    };
    assert_only(&judged(Repeats::Never), Invariant::BoundedRepeats, &repeated(Some("d1"), 0));
    assert_only(&judged(Repeats::Together(1)), Invariant::BoundedRepeats, &repeated(None, 1));
    assert_only(&judged(each("d1", 1)), Invariant::BoundedRepeats, &repeated(Some("d1"), 1));
    assert_only(&judged(each("d2", 2)), Invariant::BoundedRepeats, &repeated(Some("d1"), 0));
}

#[test]
fn what_was_reported_again_may_come_again_as_often() {
    let mut ledger = ledger(&[("a", 1), ("b", 1)]);
    ledger.repeat("a-1");
    let twice = |tag: &'static str| [("d1", told(tag, &[1])), ("d1", told(tag, &[1]))];
    let judged = |tag, other| {
        judge(&ledger, &sightings(&[&twice(tag)[..], &[("d2", told(other, &[1]))]].concat()), &Terms::default())
    };
    assert_eq!(judged("a", "b").judgement(), Judgement::Passed);
    let repeated = Finding::Repeated { delivery: Some("d1".to_owned()), times: 1, allowed: 0 };
    assert_only(&judged("b", "a"), Invariant::BoundedRepeats, &[repeated]);
}

#[test]
fn the_highest_order_decides_and_not_the_last_arrival() {
    let ledger = ledger(&[("a", 1), ("a", 2)]);
    let late = sightings(&[("d2", told("a", &[2])), ("d1", told("a", &[1]))]);
    assert_eq!(judge(&ledger, &late, &Terms::default()).judgement(), Judgement::Passed);
    let wrong = Told { order: Some("9".to_owned()), ..told("a", &[1]) };
    let report = judge(&ledger, &sightings(&[("d2", told("a", &[2])), ("d1", wrong)]), &Terms::default());
    let behind = Finding::Behind {
        of: (REPOSITORY.to_owned(), "a".to_owned()),
        newest: push("a", 2).digest,
        told: Some(push("a", 1).digest),
    };
    assert_only(&report, Invariant::Order, &[behind]);
}

#[test]
fn sums_that_do_not_come_out_are_found() {
    let seen = sightings(&[("d1", told("a", &[1]))]);
    let sum = |left| Sum { name: "events", left: vec![("accepted", left)], right: vec![("changed", 1), ("stale", 2)] };
    let judged = |left| judge(&ledger(&[("a", 1)]), &seen, &Terms { sums: vec![sum(left)], ..Terms::default() });
    assert_eq!(judged(3).judgement(), Judgement::Passed);
    let sum = "events: 4 accepted ≠ 1 changed + 2 stale".to_owned();
    assert_only(&judged(4), Invariant::Accounting, &[Finding::Unbalanced { sum }]);
}

#[test]
fn a_run_that_did_not_hit_is_neither_passed_nor_broken_but_a_loss_is_a_loss() {
    let terms = Terms { hits: vec![Hit { name: "kills under load", times: 1, least: 2 }], ..Terms::default() };
    let (ledger, seen) = (ledger(&[("a", 1)]), sightings(&[("d1", told("a", &[1]))]));
    let report = judge(&ledger, &seen, &terms);
    assert_eq!(report.judgement(), Judgement::Invalid, "{report}");
    assert!(report.to_string().contains("kills under load: 1, at least 2 needed"), "{report}");
    assert_eq!(judge(&ledger, &Sightings::default(), &terms).judgement(), Judgement::Broken);
}
