use std::pin::pin;

use dockbell_proto::outcome::Phase;
use futures_util::future::{FutureExt, poll_immediate};

use super::*;

const ACCEPTED: Outcome = Outcome::Accepted { status: 200 };
const TIMED_OUT: Outcome = Outcome::TimedOut { phase: Phase::Headers };

fn try_enter(lane: &Arc<Lane>, kind: Kind) -> Option<Place> {
    lane.enter(kind).now_or_never().map(|place| place.expect("a place"))
}

/// As many places as there are at once.
fn fill(lane: &Arc<Lane>, kind: Kind) -> Vec<Place> {
    std::iter::from_fn(|| try_enter(lane, kind)).collect()
}

fn narrow() -> Arc<Lane> {
    let lane = Arc::new(Lane::default());
    for _ in 0..5 {
        lane.learn(&TIMED_OUT);
    }
    lane
}

/// A lane whose width is used, and grows by that.
fn wide() -> (Arc<Lane>, Vec<Place>) {
    let (lane, mut places) = (Arc::new(Lane::default()), Vec::new());
    loop {
        let more = fill(&lane, Kind::Fresh);
        if more.is_empty() {
            return (lane, places);
        }
        places.extend(more);
        lane.learn(&ACCEPTED);
    }
}

#[tokio::test]
async fn a_lane_that_is_used_doubles_on_success_and_halves_on_time_outs_within_its_bounds() {
    let lane = Arc::new(Lane::default());
    let mut places = fill(&lane, Kind::Fresh);
    assert_eq!(places.len(), 4);
    for (outcome, width) in [(&ACCEPTED, 8), (&ACCEPTED, 16), (&ACCEPTED, 32), (&ACCEPTED, 64), (&ACCEPTED, 64)] {
        lane.learn(outcome);
        places.extend(fill(&lane, Kind::Fresh));
        assert_eq!(places.len(), width);
    }
    let refused = Outcome::Refused { status: 500, retry_after: None };
    for (outcome, width) in [(&TIMED_OUT, 32), (&refused, 32)] {
        lane.learn(outcome);
        places.clear();
        places.extend(fill(&lane, Kind::Fresh));
        assert_eq!(places.len(), width, "an answer is not slow");
    }
    drop(places);
    assert_eq!(fill(&narrow(), Kind::Fresh).len(), 1);
}

#[tokio::test]
async fn a_lane_keeps_no_width_that_nobody_uses() {
    let (lane, mut places) = wide();
    assert_eq!(places.len(), 64);
    places.truncate(1);
    for width in [32, 16, 8, 4, 4] {
        lane.learn(&ACCEPTED);
        let rest = fill(&lane, Kind::Fresh);
        assert_eq!(rest.len(), width - 1);
    }
    places.extend(fill(&lane, Kind::Fresh).into_iter().take(1));
    lane.learn(&ACCEPTED);
    assert_eq!(fill(&lane, Kind::Fresh).len(), 8 - 2, "half of four is in use");
}

#[tokio::test]
async fn what_does_not_fit_before_a_lane_is_told_so() {
    let lane = narrow();
    let place = try_enter(&lane, Kind::Fresh).unwrap();
    let mut waiting: Vec<_> = (0..QUEUE).map(|_| Box::pin(lane.enter(Kind::Fresh))).collect();
    for waiting in &mut waiting {
        assert!(poll_immediate(waiting).await.is_none());
    }
    assert_eq!(lane.enter(Kind::Fresh).await.unwrap_err(), NoPlace::Full);
    assert!(!lane.has_room(Kind::Fresh) && lane.has_room(Kind::Waited));
    assert!(poll_immediate(pin!(lane.enter(Kind::Waited))).await.is_none(), "the other kind has a queue of its own");
    drop(place);
    assert!(waiting.remove(0).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_before_a_lane_that_does_not_move() {
    let lane = Arc::new(Lane::default());
    let mut running = fill(&lane, Kind::Fresh);
    let mut waits = Box::pin(lane.enter(Kind::Fresh));
    assert!(poll_immediate(&mut waits).await.is_none());
    tokio::time::advance(STUCK).await;
    for kind in [Kind::Fresh, Kind::Waited] {
        assert!(!lane.has_room(kind));
        assert_eq!(lane.enter(kind).await.unwrap_err(), NoPlace::Full);
    }
    assert_eq!(waits.await.unwrap_err(), NoPlace::Full, "who waited before is told too");
    drop(running.pop());
    assert!(lane.has_room(Kind::Fresh), "there is a place");
    drop(running);
    assert_eq!(fill(&lane, Kind::Fresh).len(), FIRST_WIDTH);
}

#[tokio::test(start_paused = true)]
async fn who_waits_before_a_lane_that_moves_keeps_its_turn() {
    let lane = narrow();
    let mut place = try_enter(&lane, Kind::Fresh).unwrap();
    let mut waiting: VecDeque<_> = (0..4).map(|_| Box::pin(lane.enter(Kind::Fresh))).collect();
    for waiting in &mut waiting {
        assert!(poll_immediate(waiting).await.is_none());
    }
    while let Some(next) = waiting.pop_front() {
        tokio::time::advance(STUCK * 3 / 4).await;
        drop(place);
        place = next.await.unwrap();
    }
    drop(place);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_attempt_and_what_waits_tell_how_long_a_lane_makes_wait() {
    let lane = Arc::new(Lane::default());
    assert_eq!(lane.expected_wait(100), Duration::ZERO);
    let first = try_enter(&lane, Kind::Fresh).unwrap();
    tokio::time::advance(Duration::from_secs(3)).await;
    let second = try_enter(&lane, Kind::Fresh).unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    for (waiting, seconds) in [(0, 5), (63, 5), (64, 10), (640, 55)] {
        assert_eq!(lane.expected_wait(waiting), Duration::from_secs(seconds), "{waiting}");
    }
    drop(first);
    assert_eq!(lane.expected_wait(0), Duration::from_secs(2));
    drop(second);
    assert_eq!(lane.expected_wait(0), Duration::ZERO);
}

#[tokio::test]
async fn who_gives_up_leaves_no_place_taken() {
    let lane = narrow();
    let place = try_enter(&lane, Kind::Fresh).unwrap();
    let mut gives_up_late = Box::pin(lane.enter(Kind::Fresh));
    assert!(poll_immediate(&mut gives_up_late).await.is_none());
    drop(place);
    // It was granted the place now, and has not looked.
    drop(gives_up_late);
    let place = try_enter(&lane, Kind::Fresh).unwrap();
    let mut gives_up_early = Box::pin(lane.enter(Kind::Fresh));
    assert!(poll_immediate(&mut gives_up_early).await.is_none());
    drop(gives_up_early);
    drop(place);
    assert_eq!(fill(&lane, Kind::Fresh).len(), 1);
}

#[tokio::test]
async fn a_quarter_of_a_wide_lane_is_kept_for_what_waited() {
    let (lane, mut running) = wide();
    let mut fresh: Vec<_> = (0..8).map(|_| Box::pin(lane.enter(Kind::Fresh))).collect();
    let mut waited: Vec<_> = (0..8).map(|_| Box::pin(lane.enter(Kind::Waited))).collect();
    for waiting in fresh.iter_mut().chain(&mut waited) {
        assert!(poll_immediate(waiting).await.is_none());
    }
    running.truncate(56);
    let mut granted = [0, 0];
    let mut places = Vec::new();
    for (kind, queue) in [fresh, waited].into_iter().enumerate() {
        for waiting in queue {
            if let Some(place) = waiting.now_or_never() {
                granted[kind] += 1;
                places.push(place);
            }
        }
    }
    assert_eq!(granted, [0, 8], "none of the sixteen that are kept was in use");
}

#[tokio::test]
async fn a_narrow_lane_serves_fresh_and_waited_in_turn() {
    let lane = narrow();
    let mut place = try_enter(&lane, Kind::Fresh).unwrap();
    let mut fresh: VecDeque<_> = (0..3).map(|_| Box::pin(lane.enter(Kind::Fresh))).collect();
    let mut waited: VecDeque<_> = (0..3).map(|_| Box::pin(lane.enter(Kind::Waited))).collect();
    for waiting in fresh.iter_mut().chain(&mut waited) {
        assert!(poll_immediate(waiting).await.is_none());
    }
    let mut order = Vec::new();
    while !fresh.is_empty() || !waited.is_empty() {
        drop(place);
        let first = fresh.front_mut().and_then(FutureExt::now_or_never);
        place = match first {
            Some(granted) => {
                fresh.pop_front();
                granted.unwrap()
            }
            None => waited.pop_front().unwrap().await.unwrap(),
        };
        order.push(lane.lock().running.values().next() == Some(&Kind::Fresh));
    }
    assert_eq!(order, [true, false, true, false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_to_be_left_alone_is() {
    let lane = Arc::new(Lane::default());
    lane.learn(&Outcome::Refused { status: 429, retry_after: Some(Duration::from_secs(30)) });
    assert_eq!(lane.enter(Kind::Fresh).await.unwrap_err(), NoPlace::Paused(Duration::from_secs(30)));
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(fill(&lane, Kind::Fresh).len(), 2);
}

#[tokio::test]
async fn idle_lanes_are_forgotten_unless_they_know_something() {
    let lanes = Lanes::default();
    let ids: Vec<_> = (1..=3).map(|number| WebhookId::from_random([number; 16])).collect();
    let held = lanes.of(&ids[0]);
    drop(lanes.of(&ids[1]));
    lanes.of(&ids[2]).learn(&TIMED_OUT);
    lanes.forget_idle();
    assert_eq!(lanes.lock().len(), 2);
    assert!(Arc::ptr_eq(&held, &lanes.of(&ids[0])));
}
