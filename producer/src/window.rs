//! Windows: the open groups of events, one per repository.
//!
//! A pure structure: it holds events with their shares of custody, is told the time, and says what closes.
//! Everything that goes in comes out exactly once, in a closed window, as returned, or when a batch that it
//! repeats is confirmed.

mod identity;
mod nanos;
mod policy;
mod recent;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use dockbell_proto::event::Event;
use dockbell_proto::ids::SourceName;
use dockbell_proto::names::{Registry, Repository};
use dockbell_proto::order::Order;
use jiff::Timestamp;

use identity::{Identifier, Identities, Identity};
use nanos::Nanos;
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
    opened: Nanos,
    opened_at: Timestamp,
    deadline: Nanos,
    /// When it is looked at for its deadline, which moves with every event: never later than it is due.
    looked_at: Nanos,
    bytes: usize,
    held: Vec<Held<S>>,
}

/// An event in a window. Most windows have one: so it is one piece of memory.
#[derive(Debug)]
struct Held<S> {
    event: Event,
    identities: Identities,
    share: S,
}

/// All open windows, and the memory of what has left.
#[derive(Debug)]
pub struct Windows<S> {
    policy: WindowPolicy,
    /// Boxed, because up to half of the places of a map are empty.
    open: HashMap<Arc<Key>, Box<Window<S>>>,
    /// By when they are looked at.
    deadlines: BTreeSet<(Nanos, Arc<Key>)>,
    identifier: Identifier,
    /// The events of closed windows that are not confirmed, by the number of the window.
    in_flight: HashMap<u64, Vec<Identities>>,
    /// The shares of what repeats an event of a window, open or in flight, by its number. Few windows have any.
    repeated: HashMap<u64, Vec<S>>,
    seen: Recent<Identity, Place>,
    newest: Recent<Identity, Order>,
    /// Whom the last event names.
    names: Option<(SourceName, Registry)>,
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
            identifier: Identifier::default(),
            in_flight: HashMap::new(),
            repeated: HashMap::new(),
            seen: Recent::new(REMEMBERED, REMEMBERED_LIMIT),
            newest: Recent::new(REMEMBERED, REMEMBERED_LIMIT),
            names: None,
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

    /// When to ask next whether a window is due to close: at the latest when one is.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(deadline, _)| Moment::from(*deadline))
    }

    /// Adds an event that adds `size` bytes to a batch, which came at `now`, by the wall clock at `wall`.
    pub fn push(&mut self, mut event: Event, size: usize, share: S, (now, wall): (Moment, Timestamp)) -> Pushed<S> {
        self.share_names(&mut event);
        let key = Key { registry: event.registry.clone(), repository: event.repository.clone() };
        let identities = self.identifier.identify(&event);
        let share = match self.seen.get(&identities.event, now).copied() {
            None => share,
            Some(place) => match self.join(&key, place, share) {
                None => return Pushed::elsewhere(None),
                Some(share) => return Pushed::elsewhere(Some(share)),
            },
        };
        if self.is_stale(&event, identities.tag, now) {
            return Pushed::elsewhere(Some(share));
        }
        self.held += 1;
        self.held_open += 1;
        self.seen.insert(identities.event, Place::Open, now);
        let held = Held { event, identities, share };
        let (full, opened) = match self.open.get_mut(&key).map(|window| window.has_room_for(size)) {
            Some(true) => (None, None),
            Some(false) => (self.close(&key, CloseReason::Full), Some(self.next_number)),
            None => (None, Some(self.next_number)),
        };
        let is_full = match opened {
            Some(_) => self.begin(key.clone(), (held, size), (now, wall)),
            None => self.add(&key, (held, size), now),
        };
        let closed = if is_full { self.close(&key, CloseReason::Full) } else { None };
        Pushed { closed: full.into_iter().chain(closed).collect(), stale: None, opened }
    }

    /// Closes every window that is due at `now`, the longest due first.
    pub fn close_due(&mut self, now: Moment) -> Vec<Closed<S>> {
        let (mut closed, now) = (Vec::new(), Nanos::from(now));
        while let Some((looked_at, key)) = self.deadlines.first().cloned().filter(|(looked_at, _)| *looked_at <= now) {
            let Some(window) = self.open.get_mut(&key) else {
                // Every entry belongs to an open window.
                self.deadlines.remove(&(looked_at, key));
                continue;
            };
            if window.deadline > looked_at {
                window.looked_at = window.deadline;
                let later = (window.deadline, Arc::clone(&key));
                self.deadlines.remove(&(looked_at, key));
                self.deadlines.insert(later);
                continue;
            }
            let lasted = Moment::from(window.deadline).saturating_sub(window.opened.into());
            let waited = lasted >= self.policy.max_wait();
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
        for identities in &in_flight {
            self.seen.set(&identities.event, Place::Left);
        }
        let repeated = self.repeated.remove(&number).unwrap_or_default();
        self.held -= shares + repeated.len();
        repeated
    }

    /// Most events name the source and the registry that the one before named. They do not hold a copy each.
    fn share_names(&mut self, event: &mut Event) {
        match &self.names {
            Some((source, registry)) if *source == event.source && *registry == event.registry => {
                (event.source, event.registry) = (source.clone(), registry.clone());
            }
            _ => self.names = Some((event.source.clone(), event.registry.clone())),
        }
    }

    /// Lets a repetition share the fate of what it repeats; if that has left, the share is returned.
    fn join(&mut self, key: &Key, place: Place, share: S) -> Option<S> {
        let number = match place {
            Place::Open => self.open.get(key).map(|window| window.number),
            Place::InFlight(number) => self.in_flight.contains_key(&number).then_some(number),
            Place::Left => None,
        };
        let Some(number) = number else { return Some(share) };
        self.repeated.entry(number).or_default().push(share);
        self.held += 1;
        self.held_open += usize::from(place == Place::Open);
        None
    }

    /// Whether a newer event of the tag has already left its window. Inside a window order decides later.
    fn is_stale(&mut self, event: &Event, tag: Option<Identity>, now: Moment) -> bool {
        tag.is_some_and(|tag| self.newest.get(&tag, now).is_some_and(|newest| event.order() < *newest))
    }

    /// Opens a window; says whether it is full.
    fn begin(&mut self, key: Key, (held, size): (Held<S>, usize), (now, wall): (Moment, Timestamp)) -> bool {
        let (number, deadline) = (self.next_number, Nanos::from(self.policy.deadline(now, now)));
        self.next_number += 1;
        let window = Window {
            number,
            opened: now.into(),
            opened_at: wall,
            deadline,
            looked_at: deadline,
            bytes: size,
            held: vec![held],
        };
        let key = Arc::new(key);
        self.deadlines.insert((deadline, Arc::clone(&key)));
        self.open.insert(key, Box::new(window));
        self.policy.max_events() <= 1
    }

    /// Adds to an open window; says whether it is full.
    fn add(&mut self, key: &Key, (held, size): (Held<S>, usize), now: Moment) -> bool {
        let Some(window) = self.open.get_mut(key) else { return false };
        // Its deadline only moves back, so that it may stay where it is looked at.
        window.deadline = self.policy.deadline(window.opened.into(), now).into();
        window.bytes += size;
        window.held.push(held);
        window.held.len() >= self.policy.max_events()
    }

    fn close(&mut self, key: &Key, reason: CloseReason) -> Option<Closed<S>> {
        let (key, window) = self.open.remove_entry(key)?;
        self.deadlines.remove(&(window.looked_at, key));
        let Window { number, opened, opened_at, deadline, held, .. } = *window;
        let count = held.len();
        let (mut events, mut all_identities) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut shares = Vec::with_capacity(count);
        for Held { event, identities, share } in held {
            self.seen.set(&identities.event, Place::InFlight(number));
            self.raise_newest(&event, identities.tag, deadline.into());
            events.push(event);
            all_identities.push(identities);
            shares.push(share);
        }
        shares.extend(self.repeated.remove(&number).into_iter().flatten());
        self.in_flight.insert(number, all_identities);
        self.held_open -= shares.len();
        Some(Closed { number, opened_at, opened: opened.into(), events, shares, reason })
    }

    fn raise_newest(&mut self, event: &Event, tag: Option<Identity>, now: Moment) {
        let Some(tag) = tag else { return };
        let order = event.order();
        if self.newest.get(&tag, now).is_none_or(|newest| *newest < order) {
            self.newest.insert(tag, order, now);
        }
    }
}

impl<S> Window<S> {
    fn has_room_for(&self, size: usize) -> bool {
        self.bytes + size <= MAX_BYTES
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
