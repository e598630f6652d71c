//! Which messages of a channel are settled, and which acknowledgements are due.
//!
//! One acknowledgement can cover a whole prefix of the tags, which is several times as fast as one each.
//! What stands behind a message that is held for long is acknowledged singly, because it would use up the prefetch.
//! That costs the broker several times as much, so it is not done while the prefix moves on: then every message is
//! held for long, and none stands in the way.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How long a message may be held, or the prefix stand still, before those behind do not wait any more.
const LONGEST_GAP: Duration = Duration::from_millis(250);

/// What is known of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is not settled, since then.
    Held(Instant),
    /// It is settled, which the broker was not told.
    Settled,
    /// The broker knows what became of it.
    Released,
}

/// The tags of one channel that the broker waits for.
#[derive(Debug)]
pub(super) struct Ledger {
    /// How many messages may be handed out.
    prefetch: usize,
    /// When the last prefix was taken.
    moved: Option<Instant>,
    /// The tag of the first state: a channel counts its messages, so that tags leave no gaps.
    first: u64,
    states: VecDeque<State>,
    held: usize,
    settled: usize,
}

/// Acknowledgements that are due.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Everything up to this tag.
    pub(super) prefix: Option<u64>,
    pub(super) singles: Vec<u64>,
    /// How many messages they are.
    pub(super) count: u64,
}

impl Ledger {
    /// An empty one of a channel that has so many messages handed out at most.
    pub(super) fn new(prefetch: usize) -> Self {
        Self { prefetch, moved: None, first: 0, states: VecDeque::new(), held: 0, settled: 0 }
    }

    /// Takes note of a message that was handed out; its tag is larger than all before it.
    pub(super) fn hold(&mut self, tag: u64, now: Instant) {
        if self.states.is_empty() {
            self.first = tag;
        }
        while self.first + count(self.states.len()) < tag {
            self.states.push_back(State::Released);
        }
        self.states.push_back(State::Held(now));
        self.held += 1;
    }

    pub(super) fn settle(&mut self, tag: u64) {
        if let Some(state @ State::Held(_)) = self.state(tag) {
            *state = State::Settled;
            self.held -= 1;
            self.settled += 1;
        }
    }

    /// The broker knows what became of the message.
    pub(super) fn release(&mut self, tag: u64) {
        let Some(state) = self.state(tag) else { return };
        match std::mem::replace(state, State::Released) {
            State::Held(_) => self.held -= 1,
            State::Settled => self.settled -= 1,
            State::Released => {}
        }
    }

    /// How many messages the broker waits for.
    pub(super) fn owed(&self) -> usize {
        self.held + self.settled
    }

    /// Takes out what is due. A prefix ends at a tag that the broker still waits for, because it refuses any
    /// other.
    pub(super) fn take_due(&mut self, now: Instant) -> Due {
        let mut due = self.take_prefix();
        if due.prefix.is_some() {
            self.moved = Some(now);
        }
        let is_long = |since: Instant| now.duration_since(since) >= LONGEST_GAP;
        let stands_still = self.moved.is_none_or(is_long);
        if let Some(State::Held(since)) = self.states.front()
            && is_long(*since)
            && (stands_still || 2 * self.settled >= self.prefetch)
        {
            self.take_singles(&mut due);
        }
        due
    }

    /// Takes out everything that is settled, for there will be no other time.
    pub(super) fn take_all(&mut self) -> Due {
        let mut due = self.take_prefix();
        self.take_singles(&mut due);
        due
    }

    /// The prefix ends before the first message that is held.
    fn take_prefix(&mut self) -> Due {
        let mut due = Due::default();
        while let Some(state) = self.states.front().filter(|state| !matches!(state, State::Held(_))) {
            if *state == State::Settled {
                due.prefix = Some(self.first);
                due.count += 1;
            }
            self.states.pop_front();
            self.first += 1;
        }
        self.settled -= usize::try_from(due.count).unwrap_or_default();
        due
    }

    fn take_singles(&mut self, due: &mut Due) {
        if self.settled == 0 {
            return;
        }
        for (tag, state) in (self.first..).zip(&mut self.states).filter(|(_, state)| **state == State::Settled) {
            *state = State::Released;
            due.singles.push(tag);
        }
        due.count += count(due.singles.len());
        self.settled = 0;
    }

    fn state(&mut self, tag: u64) -> Option<&mut State> {
        self.states.get_mut(usize::try_from(tag.checked_sub(self.first)?).ok()?)
    }
}

fn count(tags: usize) -> u64 {
    u64::try_from(tags).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(tags: std::ops::RangeInclusive<u64>) -> (Ledger, Instant) {
        let (mut ledger, now) = (Ledger::new(8), Instant::now());
        tags.for_each(|tag| ledger.hold(tag, now));
        (ledger, now)
    }

    #[tokio::test]
    async fn a_prefix_is_acknowledged_at_once() {
        let (mut ledger, now) = ledger(1..=4);
        for tag in [2, 1, 4] {
            ledger.settle(tag);
        }
        assert_eq!(ledger.take_due(now), Due { prefix: Some(2), singles: vec![], count: 2 });
        assert_eq!(ledger.owed(), 2);
        ledger.settle(3);
        assert_eq!(ledger.take_due(now), Due { prefix: Some(4), singles: vec![], count: 2 });
        assert_eq!(ledger.owed(), 0);
    }

    #[tokio::test]
    async fn what_stands_behind_a_message_that_is_held_long_is_acknowledged_singly_and_at_once() {
        let (mut ledger, now) = ledger(1..=3);
        ledger.settle(3);
        assert_eq!(ledger.take_due(now), Due::default());
        let later = now + LONGEST_GAP;
        assert_eq!(ledger.take_due(later), Due { prefix: None, singles: vec![3], count: 1 });
        assert_eq!(ledger.owed(), 2, "what is acknowledged is forgotten, whatever stands before it");
        ledger.hold(4, later);
        ledger.settle(4);
        assert_eq!(ledger.take_due(later).singles, [4], "the gap is as old as the first that is held");
        ledger.settle(1);
        ledger.settle(2);
        assert_eq!(ledger.take_due(later).prefix, Some(2), "the broker knows of 3 and 4");
    }

    #[tokio::test]
    async fn while_the_prefix_moves_on_nothing_is_acknowledged_singly_unless_it_uses_up_the_prefetch() {
        let (mut ledger, now) = ledger(1..=8);
        let later = now + LONGEST_GAP;
        for tag in [1, 3, 4, 5] {
            ledger.settle(tag);
        }
        assert_eq!(ledger.take_due(later), Due { prefix: Some(1), singles: vec![], count: 1 });
        ledger.settle(6);
        assert_eq!(ledger.take_due(later), Due { prefix: None, singles: vec![3, 4, 5, 6], count: 4 });
        ledger.settle(7);
        assert_eq!(ledger.take_due(later), Due::default());
        assert_eq!(ledger.take_due(later + LONGEST_GAP).singles, [7], "it stands still");
    }

    #[tokio::test]
    async fn what_stands_behind_a_young_gap_waits_for_it() {
        let (mut ledger, now) = ledger(1..=1);
        let later = now + LONGEST_GAP;
        ledger.hold(2, later);
        ledger.hold(3, later);
        ledger.settle(1);
        ledger.settle(3);
        assert_eq!(ledger.take_due(later), Due { prefix: Some(1), singles: vec![], count: 1 });
    }

    #[tokio::test]
    async fn a_prefix_ends_at_a_tag_that_the_broker_waits_for() {
        let (mut ledger, now) = ledger(1..=3);
        ledger.settle(1);
        ledger.release(2);
        ledger.release(3);
        assert_eq!(ledger.take_due(now), Due { prefix: Some(1), singles: vec![], count: 1 });
        assert_eq!(ledger.take_due(now), Due::default());
    }

    #[tokio::test]
    async fn in_the_end_nothing_settled_is_left_out() {
        let (mut ledger, _) = ledger(1..=4);
        for tag in [1, 3, 4] {
            ledger.settle(tag);
        }
        assert_eq!(ledger.take_all(), Due { prefix: Some(1), singles: vec![3, 4], count: 3 });
        assert_eq!(ledger.owed(), 1);
    }
}
