use super::*;
use crate::soak::book::Told;

type Break = (&'static str, fn(&mut Evidence));

const SECOND: Duration = Duration::from_secs(1);

/// A run of 120 pushes to one repository, all of which arrived, in which everything happened that must.
fn good() -> Evidence {
    let start = Instant::now();
    let calm_until = start + 200 * SECOND;
    let mut pages = Pages::default();
    for number in 0..120 {
        let (at, tag) = (start + u32::try_from(number).unwrap() * SECOND, format!("once-{number}"));
        for webhook in [0, 1] {
            let order = (format!("{number:03}"), digest_of(number));
            pages.newest.insert((webhook, "load/app-0".to_owned(), tag.clone()), order);
            pages.deliveries.insert((webhook, format!("msg-{number}")), Told { accepted: vec![at], ..Told::default() });
        }
        let arrived = [(0, at + SECOND), (1, at + SECOND)].into();
        let repository = "load/app-0".to_owned();
        pages.events.push(Event { repository, tag, reported_at: at, accepted_at: Some(at), arrived });
    }
    let again = Told { accepted: vec![calm_until, calm_until], refused: 1, is_retried: true };
    pages.deliveries.insert((0, "again".to_owned()), again);
    Evidence {
        pages,
        all: 1,
        faults: Fault::ALL.map(|fault| (fault, calm_until, calm_until + SECOND)).to_vec(),
        ailments: vec![(Ailment::Hangs, 0, start, start + SECOND)],
        under_way: vec![3],
        reconnects: 2,
        calm_until,
        probes: vec![Some(SECOND)],
        unwell: Vec::new(),
        disabled: Vec::new(),
        left: BTreeMap::new(),
        before: [("dockbell-producer".to_owned(), Held { memory_kib: 50_000, files: 20 })].into(),
        after: [("dockbell-producer".to_owned(), Held { memory_kib: 60_000, files: 22 })].into(),
    }
}

/// The lines that are not passed.
fn not_passed(evidence: &Evidence) -> Vec<(String, Verdict)> {
    let lines = evidence.judge().into_iter().filter(|line| line.verdict != Verdict::Pass);
    lines.map(|line| (line.invariant.split(' ').next().unwrap().to_owned(), line.verdict)).collect()
}

fn assert_fails(evidence: &Evidence, invariants: &[&str]) {
    let expected: Vec<_> = invariants.iter().map(|invariant| ((*invariant).to_owned(), Verdict::Fail)).collect();
    assert_eq!(not_passed(evidence), expected, "{:#?}", evidence.judge());
}

#[test]
fn a_run_in_which_all_was_kept_passes() {
    assert_fails(&good(), &[]);
}

#[test]
fn an_event_that_never_came_is_a_loss_unless_its_receiver_was_gone() {
    let mut evidence = good();
    evidence.pages.events[50].arrived.remove(&0);
    assert_fails(&evidence, &["I1"]);
    assert!(!evidence.is_quiet());
    let from = evidence.pages.events[49].reported_at;
    evidence.ailments.push((Ailment::Answers(410), 0, from, from + SECOND));
    // It ended without a trace.
    assert_fails(&evidence, &["I9"]);
    evidence.left.insert("dockbell.dead.v1".to_owned(), 1);
    assert_fails(&evidence, &[]);
}

#[test]
fn what_a_disabled_webhook_is_owed_is_no_loss_and_that_it_is_disabled_is_told() {
    let mut evidence = good();
    evidence.pages.events[50].arrived.remove(&0);
    evidence.disabled.push(0);
    evidence.unwell.push("webhook 0 is disabled".to_owned());
    assert!(evidence.is_quiet());
    assert_fails(&evidence, &["I6"]);
}

#[test]
fn what_a_later_push_overtook_is_not_owed_and_the_later_one_is() {
    let mut evidence = good();
    evidence.pages.events[50].tag = "once-51".to_owned();
    evidence.pages.events[50].arrived.clear();
    assert_fails(&evidence, &[]);
    evidence.pages.newest.insert((0, "load/app-0".to_owned(), "once-51".to_owned()), ("052".to_owned(), digest_of(50)));
    assert_fails(&evidence, &["I8"]);
}

#[test]
fn a_delivery_comes_again_only_beside_a_fault() {
    let mut evidence = good();
    let told = evidence.pages.deliveries.get_mut(&(0, "msg-7".to_owned())).unwrap();
    told.accepted.push(told.accepted[0] + SECOND);
    assert_fails(&evidence, &["I3"]);
}

#[test]
fn each_other_invariant_can_be_broken() {
    let breaks: [Break; 8] = [
        ("I2", |evidence| evidence.pages.invented.push("a false signature".to_owned())),
        ("I4", |evidence| evidence.probes.push(None)),
        ("I4", |evidence| evidence.probes.push(Some(11 * SECOND))),
        ("I6", |evidence| evidence.unwell.push("webhook 3".to_owned())),
        ("I7", |evidence| evidence.left.extend([("dockbell.redeliveries.v1.00".to_owned(), 1)])),
        ("I7", |evidence| evidence.after.values_mut().for_each(|held| held.files = 90)),
        ("I7", |evidence| evidence.after.values_mut().for_each(|held| held.memory_kib = 200_000)),
        ("I9", |evidence| evidence.left.extend([("dockbell.unrouted.v1".to_owned(), 1)])),
    ];
    for (invariant, break_it) in breaks {
        let mut evidence = good();
        break_it(&mut evidence);
        assert_fails(&evidence, &[invariant]);
    }
}

#[test]
fn neighbours_that_wait_are_told() {
    let mut evidence = good();
    for event in evidence.pages.events.iter_mut().take(5) {
        event.arrived.insert(1, event.reported_at + 20 * SECOND);
    }
    assert_fails(&evidence, &["I5"]);
}

#[test]
fn a_run_whose_faults_did_not_hit_is_invalid_and_not_good() {
    let breaks: [Break; 5] = [
        ("NV", |evidence| evidence.faults.truncate(3)),
        ("NV", |evidence| evidence.under_way = vec![0, 0]),
        ("NV", |evidence| evidence.reconnects = 0),
        ("NV", |evidence| evidence.pages.deliveries.retain(|(_, id), _| id != "again")),
        ("I4", |evidence| evidence.probes.clear()),
    ];
    for (invariant, break_it) in breaks {
        let mut evidence = good();
        break_it(&mut evidence);
        assert_eq!(not_passed(&evidence), [(invariant.to_owned(), Verdict::Invalid)]);
    }
}
