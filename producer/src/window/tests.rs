use dockbell_testkit::sample::{event, moment};

use super::*;

const fn seconds(count: u64) -> Moment {
    Duration::from_secs(count)
}

fn windows() -> Windows<u32> {
    Windows::new(WindowPolicy::new(seconds(1), seconds(5), 4).unwrap())
}

/// Pushes an event of 100 bytes and returns what it closed and whether its share came back.
fn push(windows: &mut Windows<u32>, event: Event, share: u32, at: Moment) -> (Vec<Closed<u32>>, Option<u32>) {
    let pushed = windows.push(event, 100, share, (at, moment()));
    (pushed.closed, pushed.stale)
}

#[test]
fn a_window_closes_after_a_quiet_time() {
    let mut windows = windows();
    push(&mut windows, event("1", "a", Some("x"), 0), 1, seconds(0));
    push(&mut windows, event("2", "a", Some("x"), 1), 2, Duration::from_millis(900));
    assert!(windows.close_due(Duration::from_millis(1899)).is_empty());
    let closed = windows.close_due(Duration::from_millis(1900));
    assert_eq!((closed[0].shares.clone(), closed[0].reason), (vec![1, 2], CloseReason::Quiet));
    assert_eq!(windows.next_deadline(), None);
}

#[test]
fn a_window_that_is_never_quiet_closes_at_its_deadline() {
    let mut windows = Windows::new(WindowPolicy::new(seconds(1), seconds(5), 1000).unwrap());
    for step in 0..10u32 {
        push(
            &mut windows,
            event(&step.to_string(), "a", Some("x"), step.into()),
            step,
            Duration::from_millis(u64::from(step) * 500),
        );
    }
    let closed = windows.close_due(seconds(5));
    assert_eq!((closed[0].shares.len(), closed[0].reason), (10, CloseReason::MaxWait));
}

#[test]
fn a_full_window_closes_at_once_and_one_repository_does_not_hold_up_another() {
    let mut windows = windows();
    push(&mut windows, event("other", "b", Some("x"), 0), 9, seconds(0));
    let closed: Vec<_> = (0..4)
        .flat_map(|n| push(&mut windows, event(&n.to_string(), "a", Some("x"), n.into()), n, seconds(0)).0)
        .collect();
    assert_eq!((closed.len(), closed[0].shares.clone(), closed[0].reason), (1, vec![0, 1, 2, 3], CloseReason::Full));
    assert_eq!(windows.open(), 1);
}

#[test]
fn an_event_that_does_not_fit_closes_the_window_before_it() {
    let mut windows = windows();
    let big = 200 * 1024;
    assert!(windows.push(event("1", "a", Some("x"), 0), big, 1, (seconds(0), moment())).closed.is_empty());
    let closed = windows.push(event("2", "a", Some("x"), 1), big, 2, (seconds(0), moment())).closed;
    assert_eq!(closed[0].shares, vec![1]);
    assert_eq!(windows.close_due(seconds(1))[0].shares, vec![2]);
}

#[test]
fn a_repetition_is_settled_with_what_it_repeats() {
    let mut windows = windows();
    let same = || event("1", "a", Some("x"), 0);
    push(&mut windows, same(), 1, seconds(0));
    assert_eq!(push(&mut windows, same(), 2, seconds(0)).1, None, "it waits with the original");
    let closed = windows.close_due(seconds(1)).remove(0);
    assert_eq!((closed.events.len(), closed.shares), (1, vec![1, 2]));
    assert_eq!(push(&mut windows, same(), 3, seconds(2)).1, None, "the batch is not durable yet");
    assert_eq!(windows.confirmed(closed.number, 2), vec![3]);
    assert_eq!(push(&mut windows, same(), 4, seconds(3)).1, Some(4), "it has left: settle at once");
    assert_eq!(windows.held(), 0);
}

#[test]
fn the_same_id_for_another_digest_or_tag_is_another_event() {
    let mut windows = windows();
    push(&mut windows, event("1", "a", Some("x"), 0), 1, seconds(0));
    push(&mut windows, event("1", "a", Some("y"), 0), 2, seconds(0));
    push(&mut windows, Event { digest: None, ..event("1", "a", Some("x"), 0) }, 3, seconds(0));
    assert_eq!(windows.close_due(seconds(1))[0].events.len(), 3);
}

#[test]
fn an_event_older_than_what_has_left_is_dropped_for_ten_minutes() {
    let mut windows = windows();
    push(&mut windows, event("new", "a", Some("x"), 50), 1, seconds(0));
    windows.close_due(seconds(1));
    assert_eq!(push(&mut windows, event("old", "a", Some("x"), 10), 2, seconds(2)).1, Some(2));
    assert_eq!(push(&mut windows, event("other tag", "a", Some("y"), 10), 3, seconds(2)).1, None);
    assert_eq!(push(&mut windows, event("old", "a", Some("x"), 10), 4, seconds(1000)).1, None);
}

#[test]
fn pressure_closes_the_oldest_windows_first() {
    let mut windows = windows();
    for (share, name) in ["c", "a", "b"].into_iter().enumerate() {
        push(
            &mut windows,
            event("1", name, Some("x"), 0),
            u32::try_from(share).unwrap(),
            Duration::from_millis(share as u64),
        );
    }
    let closed = windows.close_oldest(1);
    assert_eq!(closed.iter().map(|closed| closed.shares[0]).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn bounds_that_do_not_fit_each_other_are_refused() {
    let policy =
        |quiet, wait, events| WindowPolicy::new(Duration::from_millis(quiet), Duration::from_millis(wait), events);
    assert_eq!(policy(0, 5000, 1), Err(PolicyError::Quiet));
    assert_eq!(policy(1000, 999, 1), Err(PolicyError::MaxWait));
    assert_eq!(policy(1000, 5000, 0), Err(PolicyError::MaxEvents));
}
