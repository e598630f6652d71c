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
}

/// The tags of one channel that the broker waits for.
#[derive(Debug, Default)]
pub(super) struct Ledger(BTreeMap<u64, State>);

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
        self.0.insert(tag, State::Held);
    }

    pub(super) fn settle(&mut self, tag: u64, now: Instant) {
        if let Some(state) = self.0.get_mut(&tag)
            && *state == State::Held
        {
            *state = State::Settled(now);
        }
    }

    /// The broker knows what became of the message.
    pub(super) fn release(&mut self, tag: u64) {
        self.0.remove(&tag);
    }

    /// How many messages the broker waits for.
    pub(super) fn owed(&self) -> usize {
        self.0.len()
    }

    /// Takes out what is due. A prefix ends at a tag that the broker still waits for, because it refuses any
    /// other.
    pub(super) fn take_due(&mut self, now: Instant) -> Due {
        let is_late = |at: Instant| now.duration_since(at) >= LONGEST_GAP;
        self.take(is_late)
    }

    /// Takes out everything that is settled, for there will be no other time.
    pub(super) fn take_all(&mut self) -> Due {
        self.take(|_| true)
    }

    fn take(&mut self, is_single: impl Fn(Instant) -> bool) -> Due {
        let mut due = Due::default();
        while let Some(first) = self.0.first_entry()
            && matches!(first.get(), State::Settled(_))
        {
            due.prefix = Some(*first.key());
            due.count += 1;
            first.remove();
        }
        let singles = self.0.extract_if(.., |_, state| matches!(state, State::Settled(at) if is_single(*at)));
        due.singles = singles.map(|(tag, _)| tag).collect();
        due.count += u64::try_from(due.singles.len()).unwrap_or_default();
        due
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
        assert_eq!(ledger.owed(), 2, "what is acknowledged is forgotten, whatever stands before it");
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

    #[tokio::test]
    async fn in_the_end_nothing_settled_is_left_out() {
        let (mut ledger, now) = (ledger(1..=4), Instant::now());
        for tag in [1, 3, 4] {
            ledger.settle(tag, now);
        }
        assert_eq!(ledger.take_all(), Due { prefix: Some(1), singles: vec![3, 4], count: 3 });
        assert_eq!(ledger.owed(), 1);
    }
}
