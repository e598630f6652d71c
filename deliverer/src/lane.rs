//! Lanes: each webhook's share of what is attempted at once, so that a slow one holds nobody else up.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockbell_proto::ids::WebhookId;
use dockbell_proto::outcome::Outcome;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// How many attempts of one webhook are made at once before anything is known of it. Each of them is lost if it hangs, and
/// a receiver that answers has as many places as it uses soon.
const FIRST_WIDTH: usize = 4;
/// How many are made at once at most: a receiver that answers in 10 ms then gets some thousands per second.
const WIDEST: usize = 64;
/// How many deliveries of each kind stand in memory before a lane; more go back to the broker.
const QUEUE: usize = 28;
/// A lane that is full and whose oldest attempt has lasted for so long may stay so: nobody waits before it in memory any more.
const STUCK: Duration = Duration::from_secs(1);

/// Where a delivery comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A batch: it is news.
    Fresh,
    /// The queue of what waited.
    Waited,
}

/// The lanes of all webhooks that have something to do.
#[derive(Debug, Default)]
pub struct Lanes(Mutex<HashMap<WebhookId, Arc<Lane>>>);

/// One webhook's lane.
#[derive(Debug)]
pub struct Lane {
    state: Mutex<State>,
    /// Held by the one of its deliveries that stands in a queue which all lanes share: so each lane has one place
    /// there, however wide it is.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    width: usize,
    /// The attempts under way, the oldest first.
    running: BTreeMap<Ticket, Kind>,
    waited_running: usize,
    tickets: u64,
    fresh: VecDeque<oneshot::Sender<Ticket>>,
    waited: VecDeque<oneshot::Sender<Ticket>>,
    fresh_is_next: bool,
    paused_until: Option<Instant>,
}

/// Tells the places of a lane apart: when each was taken, and a number.
type Ticket = (Instant, u64);

/// The lane has no place: the delivery is to wait in the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// As many stand before it as may.
    Full,
    /// The receiver asked to be left alone for so long.
    Paused(Duration),
}

impl Lanes {
    /// The lane of a webhook.
    pub fn of(&self, webhook: &WebhookId) -> Arc<Lane> {
        Arc::clone(self.lock().entry(webhook.clone()).or_default())
    }

    /// Forgets the lanes that nobody uses and that are as wide as new ones or wider. Narrow ones are kept: they
    /// know something.
    pub fn forget_idle(&self) {
        self.lock().retain(|_, lane| Arc::strong_count(lane) > 1 || !lane.lock().is_as_new());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WebhookId, Arc<Lane>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Lane {
    fn default() -> Self {
        let state = State {
            width: FIRST_WIDTH,
            running: BTreeMap::new(),
            waited_running: 0,
            tickets: 0,
            fresh: VecDeque::new(),
            waited: VecDeque::new(),
            fresh_is_next: true,
            paused_until: None,
        };
        Self { state: Mutex::new(state), turn: tokio::sync::Mutex::default() }
    }
}

impl Lane {
    /// Takes a place in the lane, at once or after those before it. Dropping the future gives it up.
    pub async fn enter(self: &Arc<Self>, kind: Kind) -> Result<Place, NoPlace> {
        let entered = self.lock().enter(kind, Instant::now())?;
        let ticket = match entered {
            Entered::Now(ticket) => ticket,
            Entered::Queued(granted) => Waiting { lane: self, granted }.until_granted().await?,
        };
        Ok(Place { lane: Arc::clone(self), ticket })
    }

    /// How long it may take until one gets its turn before whom `waiting` others wait. An attempt may last as long again
    /// as the oldest one under way has lasted already, and a lane that nothing made narrow becomes as wide as it is used.
    pub fn expected_wait(&self, waiting: u32) -> Duration {
        let state = self.lock();
        let oldest = state.running.first_key_value().map_or(Duration::ZERO, |((since, _), _)| since.elapsed());
        let width = if state.width < FIRST_WIDTH { state.width } else { WIDEST };
        oldest.saturating_mul(1 + waiting / u32::try_from(width).unwrap_or(u32::MAX).max(1))
    }

    /// Whether the lane is full, and its oldest attempt has lasted for so long that nobody knows when there will be room.
    pub fn is_stuck(&self) -> bool {
        self.lock().is_stuck(Instant::now())
    }

    /// Whether a delivery of this kind would get a place, or one in the queue before it.
    pub fn has_room(&self, kind: Kind) -> bool {
        let mut state = self.lock();
        let takes = |queue: &VecDeque<oneshot::Sender<Ticket>>| {
            queue.iter().filter(|waiting| !waiting.is_closed()).count() < QUEUE
        };
        state.running.len() < state.width || (!state.is_stuck(Instant::now()) && takes(state.queue(kind)))
    }

    /// Waits until this lane is the one of its deliveries that may stand in a shared queue.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Learns from an attempt that is still under way here. A success makes the lane as wide as its use asks for; what was
    /// slow or asks for less makes it narrower.
    pub fn learn(&self, outcome: &Outcome) {
        let mut state = self.lock();
        match outcome {
            Outcome::Accepted { .. } => state.width = state.width_in_use(),
            Outcome::TimedOut { .. } => state.width = (state.width / 2).max(1),
            Outcome::Refused { status: 429 | 503, retry_after } => {
                state.width = (state.width / 2).max(1);
                state.paused_until = retry_after.and_then(|pause| Instant::now().checked_add(pause));
            }
            _ => {}
        }
        state.grant();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_as_new(&self) -> bool {
        self.width >= FIRST_WIDTH && self.paused_until.is_none_or(|until| until <= Instant::now())
    }

    /// A place at once, or what tells when there is one.
    fn enter(&mut self, kind: Kind, now: Instant) -> Result<Entered, NoPlace> {
        if let Some(left) = self.paused_until.and_then(|until| until.checked_duration_since(now))
            && !left.is_zero()
        {
            return Err(NoPlace::Paused(left));
        }
        if self.running.len() < self.width && self.fresh.is_empty() && self.waited.is_empty() {
            return Ok(Entered::Now(self.start(kind)));
        }
        if self.is_stuck(now) {
            return Err(NoPlace::Full);
        }
        let queue = self.queue(kind);
        queue.retain(|waiting| !waiting.is_closed());
        if queue.len() >= QUEUE {
            return Err(NoPlace::Full);
        }
        let (sender, receiver) = oneshot::channel();
        queue.push_back(sender);
        self.grant();
        Ok(Entered::Queued(receiver))
    }

    /// The width after a success: twice as much if half of it or more is in use, and, beyond that of a new lane, half as
    /// much if no more than a quarter is. What a lane does not use it would only lose when its receiver begins to hang.
    fn width_in_use(&self) -> usize {
        let (width, used) = (self.width, self.running.len());
        if 2 * used >= width {
            (2 * width).min(WIDEST)
        } else if width > FIRST_WIDTH && 4 * used <= width {
            (width / 2).max(FIRST_WIDTH)
        } else {
            width
        }
    }

    fn is_stuck(&self, now: Instant) -> bool {
        let is_old = |(since, _): &Ticket| now.duration_since(*since) >= STUCK;
        self.running.len() >= self.width && self.running.first_key_value().is_some_and(|(oldest, _)| is_old(oldest))
    }

    fn queue(&mut self, kind: Kind) -> &mut VecDeque<oneshot::Sender<Ticket>> {
        match kind {
            Kind::Fresh => &mut self.fresh,
            Kind::Waited => &mut self.waited,
        }
    }

    fn start(&mut self, kind: Kind) -> Ticket {
        self.tickets += 1;
        let ticket = (Instant::now(), self.tickets);
        self.running.insert(ticket, kind);
        self.waited_running += usize::from(kind == Kind::Waited);
        ticket
    }

    fn end(&mut self, ticket: Ticket) {
        let kind = self.running.remove(&ticket);
        self.waited_running -= usize::from(kind == Some(Kind::Waited));
        self.grant();
    }

    /// Gives the free places to those who wait for one.
    fn grant(&mut self) {
        while self.running.len() < self.width {
            let kind = self.next_kind();
            let Some(waiting) = self.queue(kind).pop_front() else { return };
            let ticket = self.start(kind);
            if waiting.send(ticket).is_ok() {
                self.fresh_is_next = kind == Kind::Waited;
            } else {
                // Who has given up meanwhile takes no place.
                self.running.remove(&ticket);
                self.waited_running -= usize::from(kind == Kind::Waited);
            }
        }
    }

    /// Of a wide lane a quarter is kept for what waited; places of a narrow one go to both in turn.
    fn next_kind(&self) -> Kind {
        let kept = self.width / 4;
        let prefers_waited = if kept == 0 { !self.fresh_is_next } else { self.waited_running < kept };
        let has_waited = !self.waited.is_empty();
        if self.fresh.is_empty() || (has_waited && prefers_waited) { Kind::Waited } else { Kind::Fresh }
    }
}

/// A place in a lane. Dropping it makes room for the next.
#[derive(Debug)]
#[must_use = "the place is free again as soon as it is dropped"]
pub struct Place {
    lane: Arc<Lane>,
    ticket: Ticket,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lane.lock().end(self.ticket);
    }
}

/// How a delivery enters a lane.
enum Entered {
    Now(Ticket),
    /// It gets its place when one is free.
    Queued(oneshot::Receiver<Ticket>),
}

/// Who waits for a place, and may have been granted it without having looked.
struct Waiting<'a> {
    lane: &'a Lane,
    granted: oneshot::Receiver<Ticket>,
}

impl Waiting<'_> {
    /// The place, unless the lane does not move any more.
    async fn until_granted(mut self) -> Result<Ticket, NoPlace> {
        loop {
            match timeout(STUCK, &mut self.granted).await {
                // Whoever drops the sender has sent, or was dropped with the lane, which we hold.
                Ok(granted) => return granted.map_err(|_| NoPlace::Full),
                Err(_) if self.lane.lock().is_stuck(Instant::now()) => return Err(NoPlace::Full),
                Err(_) => {}
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.granted.close();
        if let Ok(ticket) = self.granted.try_recv() {
            self.lane.lock().end(ticket);
        }
    }
}

#[cfg(test)]
mod tests;
