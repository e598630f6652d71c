use std::sync::Arc;
use std::time::Duration;

use dockbell_testkit::oracle::Told;
use dockbell_testkit::sample;
use tokio::time::Instant;

use super::*;
use crate::plan::Plan;
use crate::scenario::Way;
use crate::schedule::{Schedule, Shape, Spread};

const PER_REPOSITORY: usize = 2;
const PLATFORMS: usize = 3;

fn pushes(tags: Option<usize>) -> Pushes {
    let plan = Plan { rate: 10.0, repositories: 2, warm_up: Duration::ZERO, length: Duration::from_secs(1) };
    let shape = Shape { spread: Spread::Even, tags, bursts: 1.0, platforms: PLATFORMS };
    let schedule = Arc::new(Schedule::new(plan, &shape));
    Pushes { schedule, run: "r1".to_owned(), began: sample::moment(), way: Way::Amqp }
}

fn kept() -> Kept {
    Kept { accepted: (0..10).collect(), ..Kept::default() }
}

/// How a push arrives where nothing is wrong, at one of the two webhooks of its repository.
fn seen(pushes: &Pushes, event: usize, webhook: usize) -> Seen {
    let push = pushes.schedule.push(event).unwrap();
    let told = Told {
        repository: flood::name(push.repository),
        tag: pushes.tag(event, &push),
        order: Some(format!("{event:020}-{}", pushes.id(event))),
        digest: Some(digest(event, 0)),
        events: vec![pushes.id(event)],
    };
    let changes = vec![Change { told, platforms: Some((PLATFORMS, PLATFORMS)) }];
    let webhook = push.repository * PER_REPOSITORY + webhook;
    let id = format!("msg_{webhook}_{event}");
    Seen { webhook, id, at: Instant::now(), is_accepted: true, is_signed: Some(true), changes }
}

fn all(pushes: &Pushes) -> Vec<Seen> {
    (0..10).flat_map(|event| [0, 1].map(|webhook| seen(pushes, event, webhook))).collect()
}

/// The names of the checks that are broken, with how often.
fn broken(pushes: &Pushes, kept: &Kept, seen: &[Seen]) -> Vec<(&'static str, usize)> {
    let verified = verify(&Owed { pushes, kept, per_repository: PER_REPOSITORY }, seen);
    let broken = verified.checks.iter().filter(|check| check.broken > 0).map(|check| (check.name, check.broken));
    let broken: Vec<_> = broken.collect();
    assert_eq!(verified.is_right(), broken.is_empty());
    broken
}

#[test]
fn a_run_is_right_in_which_every_push_arrived_once_at_each_webhook_of_its_repository() {
    let pushes = pushes(None);
    let verified = verify(&Owed { pushes: &pushes, kept: &kept(), per_repository: PER_REPOSITORY }, &all(&pushes));
    assert!(verified.is_right() && verified.torn == 0, "{verified:?}");
    let checked: Vec<usize> = verified.checks.iter().map(|check| check.checked).collect();
    assert_eq!(checked, [20; 7], "{verified:?}");
}

#[test]
fn a_lost_push_is_found_unless_nobody_accepted_it() {
    let (pushes, mut kept) = (pushes(None), kept());
    let mut seen = all(&pushes);
    seen.remove(7);
    assert_eq!(broken(&pushes, &kept, &seen), [(BY_ORACLE[0].1, 1), (BY_ORACLE[3].1, 1)]);
    kept.accepted.remove(3);
    assert_eq!(broken(&pushes, &kept, &seen), []);
}

#[test]
fn what_arrives_twice_is_found_unless_it_was_refused_the_first_time_or_reported_twice() {
    let (pushes, mut kept) = (pushes(None), kept());
    let mut seen = all(&pushes);
    seen.push(seen[4].clone());
    assert_eq!(broken(&pushes, &kept, &seen), [(BY_ORACLE[2].1, 1)]);
    kept.repeated.push(2);
    assert_eq!(broken(&pushes, &kept, &seen), [], "whoever took it first may have been cut off");
    kept.repeated.clear();
    seen[4].is_accepted = false;
    assert_eq!(broken(&pushes, &kept, &seen), []);
}

#[test]
fn what_arrives_where_it_is_not_owed_or_is_told_otherwise_than_it_was_pushed_is_found() {
    let pushes = pushes(None);
    let mut seen = all(&pushes);
    // An event of the first repository at a webhook of the second.
    seen.push(Seen { webhook: 2, id: "msg_x".to_owned(), ..seen[0].clone() });
    assert!(broken(&pushes, &kept(), &seen).contains(&(BY_ORACLE[1].1, 1)));
    let mut altered = all(&pushes);
    altered[0].changes[0].told.digest = Some(digest(9, 0));
    assert!(broken(&pushes, &kept(), &altered).contains(&(BY_ORACLE[1].1, 1)));
}

#[test]
fn a_wrong_signature_is_found_also_of_an_attempt_that_was_refused() {
    let pushes = pushes(None);
    let mut seen = all(&pushes);
    seen.push(Seen { is_accepted: false, is_signed: Some(false), ..seen[3].clone() });
    assert_eq!(broken(&pushes, &kept(), &seen), [("each request has a valid signature", 1)]);
}

#[test]
fn an_id_that_changes_between_attempts_or_that_two_deliveries_share_is_found() {
    let pushes = pushes(None);
    let name = "each delivery has one id, which no other has";
    let mut seen = all(&pushes);
    let earlier = Seen { is_accepted: false, id: "msg_other".to_owned(), ..seen[3].clone() };
    seen.insert(3, earlier);
    assert_eq!(broken(&pushes, &kept(), &seen), [(name, 1)]);
    let mut shared = all(&pushes);
    shared[3].id = shared[2].id.clone();
    assert_eq!(broken(&pushes, &kept(), &shared), [(name, 1)], "two webhooks are two deliveries");
    shared[3].id.clear();
    assert_eq!(broken(&pushes, &kept(), &shared), [(name, 1)]);
}

#[test]
fn a_burst_without_all_of_its_platforms_is_found_and_one_of_two_windows_is_counted() {
    let pushes = pushes(None);
    let mut seen = all(&pushes);
    seen[5].changes[0].platforms = Some((PLATFORMS - 1, PLATFORMS - 1));
    seen[6].changes[0].platforms = Some((PLATFORMS, 1));
    assert_eq!(broken(&pushes, &kept(), &seen), [("each multi-arch push is one change with its platforms", 1)]);
    assert_eq!(verify(&Owed { pushes: &pushes, kept: &kept(), per_repository: PER_REPOSITORY }, &seen).torn, 1);
}

#[test]
fn of_a_tag_that_is_pushed_again_an_earlier_push_may_be_withheld_and_the_last_may_not() {
    let pushes = pushes(Some(1));
    // Events 0, 2, … 8 are pushes of one tag of the first repository.
    let without = |event: usize| {
        let mut seen = all(&pushes);
        seen.remove(PER_REPOSITORY * event);
        seen
    };
    assert_eq!(broken(&pushes, &kept(), &without(2)), []);
    assert_eq!(broken(&pushes, &kept(), &without(8)), [(BY_ORACLE[0].1, 1), (BY_ORACLE[3].1, 1)]);
}
