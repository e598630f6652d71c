//! What was reported, what of it was accepted, and what was given an end other than a delivery.

use std::collections::{BTreeMap, HashMap, HashSet};

/// A push as it is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The event id.
    pub event: String,
    /// The repository that was pushed to.
    pub repository: String,
    /// The tag that was pushed.
    pub tag: String,
    /// The digest that it got.
    pub digest: String,
}

/// Everything that was reported. Pushes of one tag must be issued in their order, each once the one before it was
/// accepted or given up: that makes the later one the newer.
#[derive(Debug, Default)]
pub struct Ledger {
    pushes: Vec<Push>,
    places: HashMap<String, usize>,
    by_tag: BTreeMap<(String, String), Vec<usize>>,
    accepted: HashSet<usize>,
    ended: HashMap<usize, String>,
    again: HashMap<usize, usize>,
}

impl Ledger {
    /// Notes a push before it is reported for the first time.
    ///
    /// # Panics
    /// If its event was issued before.
    pub fn issue(&mut self, push: Push) {
        let place = self.pushes.len();
        let before = self.places.insert(push.event.clone(), place);
        assert!(before.is_none(), "the event {} is issued twice", push.event);
        self.by_tag.entry((push.repository.clone(), push.tag.clone())).or_default().push(place);
        self.pushes.push(push);
    }

    /// Notes that an issued event was answered with 202: from now on it is owed.
    ///
    /// # Panics
    /// If it was not issued.
    pub fn accept(&mut self, event: &str) {
        self.accepted.insert(self.place(event));
    }

    /// Notes that an event is reported again because nobody knows whether it was taken. If it was, it was reported
    /// twice, and whoever had taken it first may be gone: so what tells it may come once more.
    ///
    /// # Panics
    /// If it was not issued.
    pub fn repeat(&mut self, event: &str) {
        *self.again.entry(self.place(event)).or_default() += 1;
    }

    /// Notes that an event was given an end that Dockbell recorded, such as `dead` or `expired`.
    ///
    /// # Panics
    /// If it was not issued.
    pub fn end(&mut self, event: &str, end: &str) {
        self.ended.insert(self.place(event), end.to_owned());
    }

    /// How many events were accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.len()
    }

    fn place(&self, event: &str) -> usize {
        *self.places.get(event).expect("an event that was issued")
    }

    /// What was issued under this id, with its place.
    pub(super) fn find(&self, event: &str) -> Option<(usize, &Push)> {
        let place = *self.places.get(event)?;
        Some((place, self.pushes.get(place)?))
    }

    /// The accepted pushes with their places.
    pub(super) fn owed(&self) -> impl Iterator<Item = (usize, &Push)> {
        self.pushes.iter().enumerate().filter(|(place, _)| self.accepted.contains(place))
    }

    /// How often an event was reported again.
    pub(super) fn repeats(&self, event: &str) -> usize {
        let place = self.places.get(event);
        place.and_then(|place| self.again.get(place)).copied().unwrap_or_default()
    }

    /// How many events were reported more than once.
    pub(super) fn repeated(&self) -> usize {
        self.again.len()
    }

    pub(super) fn has_ended(&self, place: usize) -> bool {
        self.ended.contains_key(&place)
    }

    pub(super) fn is_accepted(&self, place: usize) -> bool {
        self.accepted.contains(&place)
    }

    /// The pushes of every tag, oldest first.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&(String, String), &[usize])> {
        self.by_tag.iter().map(|(tag, places)| (tag, places.as_slice()))
    }

    pub(super) fn push(&self, place: usize) -> Option<&Push> {
        self.pushes.get(place)
    }
}
