//! Windows: the open groups of events, one per repository.
//!
//! A pure structure: it holds events with their shares of custody, is told the time, and says what closes.
//! Everything that goes in comes out exactly once, in a closed window, as returned, or when a batch that it
//! repeats is confirmed.

mod policy;
mod recent;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use dockbell_proto::event::Event;
use dockbell_proto::ids::fingerprint;
use dockbell_proto::names::{Digest, Registry, Repository, Tag};
use dockbell_proto::order::Order;
use jiff::Timestamp;

use policy::MAX_BYTES;
pub use policy::{PolicyError, WindowPolicy};
use recent::Recent;

/// Time since some fixed moment, from a clock that never jumps.
pub type Moment = Duration;

/// How long an event is remembered, to recognise its repetitions and what is older than it.
const REMEMBERED: Duration = Duration::from_mins(10);
/// How many events are remembered at most; about 50 MiB of them.
const REMEMBERED_LIMIT: usize = 200_000;

/// What events are grouped by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The registry.
    pub registry: Registry,
    /// The repository.
    pub repository: Repository,
}

/// Why a window closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Nothing came for a while.
    Quiet,
    /// It had been open for as long as a window may be.
    MaxWait,
    /// It was full.
    Full,
    /// Too much was held at once.
    Pressure,
    /// The producer stops.
    Shutdown,
}

impl CloseReason {
    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::MaxWait => "max_wait",
            Self::Full => "full",
            Self::Pressure => "pressure",
            Self::Shutdown => "shutdown",
        }
    }
}

/// A closed window. Until [`Windows::confirmed`] is told its number, repetitions of its events share its
/// fate.
#[derive(Debug)]
pub struct Closed<S> {
    /// Its number.
    pub number: u64,
    /// When it opened, by the wall clock.
    pub opened_at: Timestamp,
    /// When it opened.
    pub opened: Moment,
    /// Its events, in the order in which they came; never empty.
    pub events: Vec<Event>,
    /// Their shares of custody, and those of their repetitions.
    pub shares: Vec<S>,
    /// Why it closed.
    pub reason: CloseReason,
}

/// What became of a pushed event.
#[derive(Debug)]
pub struct Pushed<S> {
    /// The windows that closed because of it: one that it no longer fitted into, one that it filled.
    pub closed: Vec<Closed<S>>,
    /// The event's share, if the event is of no use: a newer one of its tag has already left. It may be
    /// settled at once.
    pub stale: Option<S>,
    /// The number of the window that it opened.
    pub opened: Option<u64>,
}

impl<S> Pushed<S> {
    /// The event is in no window of its own account.
    fn elsewhere(stale: Option<S>) -> Self {
        Self { closed: Vec::new(), stale, opened: None }
    }
}

/// An event, or a tag, among those remembered: a hash of its names, for a table of 200,000 names takes as long to grow as
/// a delivery may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Identity([u8; 16]);

impl Identity {
    fn of_event(event: &Event) -> Self {
        let (digest, tag) = (event.digest.as_ref().map(Digest::as_str), event.tag.as_ref().map(Tag::as_str));
        // No name is empty.
        let (digest, tag) = (digest.unwrap_or_default(), tag.unwrap_or_default());
        Self(fingerprint(&[event.registry.as_str(), event.repository.as_str(), event.id.as_str(), digest, tag]))
    }

    fn of_tag(key: &Key, tag: &Tag) -> Self {
        Self(fingerprint(&[key.registry.as_str(), key.repository.as_str(), tag.as_str()]))
    }
}

/// Where a remembered event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Open,
    InFlight(u64),
    Left,
}

#[derive(Debug)]
struct Window<S> {
    number: u64,
    opened: Moment,
    opened_at: Timestamp,
    deadline: Moment,
    bytes: usize,
    events: Vec<Event>,
    identities: Vec<Identity>,
    shares: Vec<S>,
}

/// An event on its way into a window.
struct Arrival<S> {
    event: Event,
    identity: Identity,
    size: usize,
    share: S,
}

#[derive(Debug)]
struct InFlight<S> {
    identities: Vec<Identity>,
    repeated: Vec<S>,
}

/// All open windows, and the memory of what has left.
#[derive(Debug)]
pub struct Windows<S> {
    policy: WindowPolicy,
    open: HashMap<Arc<Key>, Window<S>>,
    deadlines: BTreeSet<(Moment, Arc<Key>)>,
    in_flight: HashMap<u64, InFlight<S>>,
    seen: Recent<Identity, Place>,
    newest: Recent<Identity, Order>,
    next_number: u64,
    held: usize,
    held_open: usize,
}

impl<S> Windows<S> {
    /// No windows yet.
    pub fn new(policy: WindowPolicy) -> Self {
        Self {
            policy,
            open: HashMap::new(),
            deadlines: BTreeSet::new(),
            in_flight: HashMap::new(),
            seen: Recent::new(REMEMBERED, REMEMBERED_LIMIT),
            newest: Recent::new(REMEMBERED, REMEMBERED_LIMIT),
            next_number: 0,
            held: 0,
            held_open: 0,
        }
    }

    /// How many shares are held, in open windows and in those whose batch is not yet confirmed.
    pub fn held(&self) -> usize {
        self.held
    }

    /// How many windows are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// When the next window is due to close.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Adds an event that adds `size` bytes to a batch, which came at `now`, by the wall clock at `wall`.
    pub fn push(&mut self, event: Event, size: usize, share: S, (now, wall): (Moment, Timestamp)) -> Pushed<S> {
        let key = self.key_of(&event);
        let identity = Identity::of_event(&event);
        let share = match self.seen.get(&identity, now).copied() {
            None => share,
            Some(place) => match self.join(&key, place, share) {
                None => return Pushed::elsewhere(None),
                Some(share) => return Pushed::elsewhere(Some(share)),
            },
        };
        if self.is_stale(&event, &key, now) {
            return Pushed::elsewhere(Some(share));
        }
        self.held += 1;
        self.held_open += 1;
        let overfull = self.open.get(&key).is_some_and(|window| window.bytes + size > MAX_BYTES);
        let overfull = overfull.then(|| self.close(&key, CloseReason::Full)).flatten();
        let opened = (!self.open.contains_key(&key)).then_some(self.next_number);
        self.add(&key, Arrival { event, identity, size, share }, (now, wall));
        let full = self.open.get(&key).is_some_and(|window| window.events.len() >= self.policy.max_events());
        let full = full.then(|| self.close(&key, CloseReason::Full)).flatten();
        Pushed { closed: overfull.into_iter().chain(full).collect(), stale: None, opened }
    }

    /// Closes every window that is due at `now`, the longest due first.
    pub fn close_due(&mut self, now: Moment) -> Vec<Closed<S>> {
        let mut closed = Vec::new();
        while let Some((deadline, key)) = self.deadlines.first().cloned().filter(|(deadline, _)| *deadline <= now) {
            let opened = self.open.get(&key).map_or(deadline, |window| window.opened);
            let waited = deadline.saturating_sub(opened) >= self.policy.max_wait();
            closed.extend(self.close(&key, if waited { CloseReason::MaxWait } else { CloseReason::Quiet }));
        }
        closed
    }

    /// Closes the windows that have been open longest until open ones hold at most `shares` shares.
    pub fn close_oldest(&mut self, shares: usize) -> Vec<Closed<S>> {
        if self.held_open <= shares {
            return Vec::new();
        }
        let mut oldest: Vec<_> = self.open.iter().map(|(key, window)| (window.opened, Arc::clone(key))).collect();
        oldest.sort();
        let mut closed = Vec::new();
        for (_, key) in oldest {
            if self.held_open <= shares {
                break;
            }
            closed.extend(self.close(&key, CloseReason::Pressure));
        }
        closed
    }

    /// Closes every window.
    pub fn close_all(&mut self) -> Vec<Closed<S>> {
        let keys: Vec<_> = self.deadlines.iter().map(|(_, key)| Arc::clone(key)).collect();
        keys.iter().filter_map(|key| self.close(key, CloseReason::Shutdown)).collect()
    }

    /// A closed window's batch is durable (or the window made none): its `shares` shares are settled, and
    /// so are those of the repetitions that came meanwhile, which are returned.
    pub fn confirmed(&mut self, number: u64, shares: usize) -> Vec<S> {
        let Some(in_flight) = self.in_flight.remove(&number) else { return Vec::new() };
        for identity in &in_flight.identities {
            self.seen.set(identity, Place::Left);
        }
        self.held -= shares + in_flight.repeated.len();
        in_flight.repeated
    }

    /// The key of an event; one allocation serves all events of an open window.
    fn key_of(&self, event: &Event) -> Arc<Key> {
        let key = Key { registry: event.registry.clone(), repository: event.repository.clone() };
        self.open.get_key_value(&key).map_or_else(|| Arc::new(key), |(key, _)| Arc::clone(key))
    }

    /// Lets a repetition share the fate of what it repeats; if that has left, the share is returned.
    fn join(&mut self, key: &Key, place: Place, share: S) -> Option<S> {
        let shares = match place {
            Place::Open => self.open.get_mut(key).map(|window| &mut window.shares),
            Place::InFlight(number) => self.in_flight.get_mut(&number).map(|in_flight| &mut in_flight.repeated),
            Place::Left => None,
        };
        let Some(shares) = shares else { return Some(share) };
        shares.push(share);
        self.held += 1;
        self.held_open += usize::from(place == Place::Open);
        None
    }

    /// Whether a newer event of the tag has already left its window. Inside a window order decides later.
    fn is_stale(&mut self, event: &Event, key: &Key, now: Moment) -> bool {
        let Some(tag) = &event.tag else { return false };
        self.newest.get(&Identity::of_tag(key, tag), now).is_some_and(|newest| event.order() < *newest)
    }

    fn add(&mut self, key: &Arc<Key>, arrival: Arrival<S>, (now, wall): (Moment, Timestamp)) {
        self.seen.insert(arrival.identity, Place::Open, now);
        let window = self.open.entry(Arc::clone(key)).or_insert_with(|| Window {
            number: self.next_number,
            opened: now,
            opened_at: wall,
            deadline: now,
            bytes: 0,
            events: Vec::new(),
            identities: Vec::new(),
            shares: Vec::new(),
        });
        // Only a window that was just opened has this number.
        self.next_number += u64::from(window.number == self.next_number);
        self.deadlines.remove(&(window.deadline, Arc::clone(key)));
        window.deadline = self.policy.deadline(window.opened, now);
        window.bytes += arrival.size;
        window.events.push(arrival.event);
        window.identities.push(arrival.identity);
        window.shares.push(arrival.share);
        self.deadlines.insert((window.deadline, Arc::clone(key)));
    }

    fn close(&mut self, key: &Arc<Key>, reason: CloseReason) -> Option<Closed<S>> {
        let window = self.open.remove(key)?;
        self.deadlines.remove(&(window.deadline, Arc::clone(key)));
        let number = window.number;
        for (event, identity) in window.events.iter().zip(&window.identities) {
            self.seen.set(identity, Place::InFlight(number));
            self.raise_newest(key, event, window.deadline);
        }
        self.in_flight.insert(number, InFlight { identities: window.identities, repeated: Vec::new() });
        let Window { opened, opened_at, events, shares, .. } = window;
        self.held_open -= shares.len();
        Some(Closed { number, opened_at, opened, events, shares, reason })
    }

    fn raise_newest(&mut self, key: &Key, event: &Event, now: Moment) {
        let Some(tag) = &event.tag else { return };
        let entry = Identity::of_tag(key, tag);
        let order = event.order();
        if self.newest.get(&entry, now).is_none_or(|newest| *newest < order) {
            self.newest.insert(entry, order, now);
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
