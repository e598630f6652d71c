//! A memory of what happened lately, bounded in time and size.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use super::Moment;
use super::nanos::Nanos;

/// A map whose entries vanish `kept` after their last insertion, or when there are more than `limit`, the
/// oldest first.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    kept: Duration,
    limit: usize,
    entries: HashMap<K, (Nanos, V)>,
    ages: VecDeque<(Nanos, K)>,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(kept: Duration, limit: usize) -> Self {
        Self { kept, limit, entries: HashMap::new(), ages: VecDeque::new() }
    }

    /// The value of `key`, unless it is too old.
    pub(super) fn get(&mut self, key: &K, now: Moment) -> Option<&V> {
        self.expire(now);
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Sets the value of `key`, which starts its time anew.
    pub(super) fn insert(&mut self, key: K, value: V, now: Moment) {
        let at = Nanos::from(now);
        self.entries.insert(key.clone(), (at, value));
        self.ages.push_back((at, key));
        self.expire(now);
    }

    /// Sets the value of `key`, if it is remembered, without starting its time anew.
    pub(super) fn set(&mut self, key: &K, value: V) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.1 = value;
        }
    }

    /// Drops what is too old or too much. A key stands in `ages` once per insertion; only the latest counts.
    fn expire(&mut self, now: Moment) {
        while let Some((at, key)) = self.ages.front() {
            if Moment::from(*at) + self.kept > now && self.ages.len() <= self.limit {
                break;
            }
            if self.entries.get(key).is_some_and(|(inserted, _)| inserted == at) {
                self.entries.remove(key);
            }
            self.ages.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_vanish_by_age_and_by_number() {
        let seconds = Duration::from_secs;
        let mut recent = Recent::new(seconds(10), 3);
        recent.insert("a", 1, seconds(0));
        recent.insert("b", 2, seconds(1));
        recent.insert("a", 3, seconds(5));
        assert_eq!(recent.get(&"a", seconds(10)), Some(&3));
        assert_eq!(recent.get(&"b", seconds(11)), None);
        recent.insert("c", 4, seconds(11));
        recent.insert("d", 5, seconds(11));
        recent.insert("e", 6, seconds(11));
        assert_eq!(recent.get(&"a", seconds(11)), None);
        assert_eq!(recent.get(&"e", seconds(11)), Some(&6));
    }
}
