//! Which messages of a channel are settled, and which acknowledgements are due.
//!
//! One acknowledgement can cover a whole prefix of the tags, which is several times as fast as one each.
//! What stands behind a message that is held for long is acknowledged singly after a while.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long an acknowledgement waits for those before it.
const LONGEST_GAP: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    /// Settled, and not yet told the broker.
    Settled(Instant),
    /// The broker knows.
    Gone,
}

/// The tags of one channel that may still have to be acknowledged.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    tags: BTreeMap<u64, State>,
    /// How many of them are not gone.
    owed: usize,
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
    pub(super) fn hold(&mut self, tag: u64) {
        self.tags.insert(tag, State::Held);
        self.owed += 1;
    }

    pub(super) fn settle(&mut self, tag: u64, now: Instant) {
        if let Some(state) = self.tags.get_mut(&tag)
            && *state == State::Held
        {
            *state = State::Settled(now);
        }
    }

    /// The message went back to its queue.
    pub(super) fn release(&mut self, tag: u64) {
        if let Some(state) = self.tags.get_mut(&tag)
            && *state != State::Gone
        {
            *state = State::Gone;
            self.owed -= 1;
        }
        self.pop_gone();
    }

    /// How many messages the broker waits for.
    pub(super) fn owed(&self) -> usize {
        self.owed
    }

    /// Takes out what is due. A prefix ends at a tag that the broker still waits for, because it refuses any
    /// other.
    pub(super) fn take_due(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        while let Some(first) = self.tags.first_entry() {
            match first.get() {
                State::Held => break,
                State::Settled(_) => {
                    due.prefix = Some(*first.key());
                    due.count += 1;
                }
                State::Gone => {}
            }
            first.remove();
        }
        for (tag, state) in &mut self.tags {
            if let State::Settled(at) = state
                && now.duration_since(*at) >= LONGEST_GAP
            {
                due.singles.push(*tag);
                due.count += 1;
                *state = State::Gone;
            }
        }
        self.owed -= usize::try_from(due.count).unwrap_or(self.owed);
        due
    }

    fn pop_gone(&mut self) {
        while let Some(first) = self.tags.first_entry()
            && *first.get() == State::Gone
        {
            first.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(tags: std::ops::RangeInclusive<u64>) -> Ledger {
        let mut ledger = Ledger::default();
        tags.for_each(|tag| ledger.hold(tag));
        ledger
    }

    #[tokio::test]
    async fn a_prefix_is_acknowledged_at_once() {
        let (mut ledger, now) = (ledger(1..=4), Instant::now());
        for tag in [2, 1, 4] {
            ledger.settle(tag, now);
        }
        assert_eq!(ledger.take_due(now), Due { prefix: Some(2), singles: vec![], count: 2 });
        assert_eq!(ledger.owed(), 2);
        ledger.settle(3, now);
        assert_eq!(ledger.take_due(now), Due { prefix: Some(4), singles: vec![], count: 2 });
        assert_eq!(ledger.owed(), 0);
    }

    #[tokio::test]
    async fn what_stands_long_behind_a_gap_is_acknowledged_singly() {
        let (mut ledger, now) = (ledger(1..=3), Instant::now());
        ledger.settle(3, now);
        assert_eq!(ledger.take_due(now), Due::default());
        assert_eq!(ledger.take_due(now + LONGEST_GAP), Due { prefix: None, singles: vec![3], count: 1 });
        ledger.settle(1, now);
        ledger.settle(2, now);
        assert_eq!(ledger.take_due(now).prefix, Some(2), "the broker knows of 3");
    }

    #[tokio::test]
    async fn a_prefix_ends_at_a_tag_that_the_broker_waits_for() {
        let (mut ledger, now) = (ledger(1..=3), Instant::now());
        ledger.settle(1, now);
        ledger.release(2);
        ledger.release(3);
        assert_eq!(ledger.take_due(now), Due { prefix: Some(1), singles: vec![], count: 1 });
        assert_eq!(ledger.take_due(now), Due::default());
    }
}
