//! The queues in memory: which messages are handed out, which come next, and how much there is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::bus::{Depth, PublishError, Queue};

use super::messages::{FETCH_LIMIT, Fetch, Fetched, Stored};
use super::rows;
use super::status::Failure;

/// Every queue.
#[derive(Debug)]
pub(super) struct Queues {
    events: Arc<QueueState>,
    deliveries: Arc<QueueState>,
    redeliveries: Arc<QueueState>,
}

impl Queues {
    /// Reads the totals of what stands in the file.
    pub(super) fn load(file: &Connection, limit: u64) -> rusqlite::Result<Self> {
        let load = |queue| QueueState::load(file, queue, limit).map(Arc::new);
        Ok(Self {
            events: load(Queue::Events)?,
            deliveries: load(Queue::Deliveries)?,
            redeliveries: load(Queue::Redeliveries)?,
        })
    }

    pub(super) fn of(&self, queue: Queue) -> &Arc<QueueState> {
        match queue {
            Queue::Events => &self.events,
            Queue::Deliveries => &self.deliveries,
            Queue::Redeliveries => &self.redeliveries,
        }
    }
}

/// One queue.
#[derive(Debug)]
pub(super) struct QueueState {
    queue: Queue,
    /// The most bytes it holds.
    limit: u64,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Read from the file and not handed out, by seq.
    ready: BTreeMap<i64, Stored>,
    /// Handed out and come back; read again before anything else.
    returned: BTreeSet<i64>,
    /// Everything up to here was read.
    cursor: i64,
    /// The last that is durable.
    last: i64,
    /// The last that stood in the file when it was opened: it may have been handed out before.
    stood: i64,
    is_fetching: bool,
    has_stumbled: bool,
    depth: Depth,
}

/// What [`QueueState::take`] comes to.
#[derive(Debug)]
pub(super) enum Taken {
    /// A message to hand out.
    Message(Stored),
    /// There are messages, which must be fetched first.
    Unread,
    /// There is none.
    Nothing,
}

impl QueueState {
    fn load(file: &Connection, queue: Queue, limit: u64) -> rusqlite::Result<Self> {
        let count = |table: &str, last: &str| {
            let sql = format!("SELECT count(*), coalesce(sum(bytes), 0), {last} FROM {table} WHERE queue = ?1");
            file.query_row(&sql, [rows::queue_code(queue)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        };
        let (messages, bytes, last): (i64, i64, i64) = count("messages", "coalesce(max(seq), 0)")?;
        let (delayed, delayed_bytes, _): (i64, i64, i64) = count("delayed", "0")?;
        let depth = Depth {
            messages: messages.unsigned_abs(),
            delayed: delayed.unsigned_abs(),
            bytes: bytes.unsigned_abs() + delayed_bytes.unsigned_abs(),
        };
        let state = Mutex::new(State { last, stood: last, depth, ..State::default() });
        Ok(Self { queue, limit, state, changed: Notify::new() })
    }

    pub(super) fn queue(&self) -> Queue {
        self.queue
    }

    pub(super) fn depth(&self) -> Depth {
        self.lock().depth
    }

    /// Whether less than a sixteenth of the bound is left: room for what is under way.
    pub(super) fn is_full(&self) -> bool {
        self.lock().depth.bytes > self.limit - self.limit / 16
    }

    /// Wakes when there may be something to take. To be enabled before the look, so that nothing is missed.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Room for a message of that size, or a refusal.
    pub(super) fn reserve(self: &Arc<Self>, bytes: i64) -> Result<Reservation, PublishError> {
        let bytes = bytes.unsigned_abs();
        let mut state = self.lock();
        if state.depth.bytes.saturating_add(bytes) > self.limit {
            let (queue, limit, held) = (self.queue.as_str(), self.limit, state.depth.bytes);
            return Err(PublishError::Unavailable(format!(
                "the queue {queue} is full: it holds {held} of at most {limit} bytes, and the message has {bytes}"
            )));
        }
        state.depth.bytes += bytes;
        Ok(Reservation { queue: Arc::clone(self), bytes, is_used: false })
    }

    /// A delayed message now stands on the queue.
    pub(super) fn moved(&self, seq: i64) {
        self.appeared(seq, 1);
    }

    /// A message stands on the queue, `waited` of which (one or none) was counted as delayed until now.
    fn appeared(&self, seq: i64, waited: u64) {
        let mut state = self.lock();
        state.depth.delayed -= waited;
        state.depth.messages += 1;
        state.last = state.last.max(seq);
        drop(state);
        self.changed.notify_waiters();
    }

    /// The next message, those that came back first.
    pub(super) fn take(&self) -> Taken {
        let mut state = self.lock();
        if !state.returned.is_empty() {
            return Taken::Unread;
        }
        match state.ready.pop_first() {
            Some((_, message)) => Taken::Message(message),
            None if state.cursor < state.last => Taken::Unread,
            None => Taken::Nothing,
        }
    }

    /// What to fetch now; nothing while another fetch is under way. Who gets something must answer with
    /// [`QueueState::fetched`].
    pub(super) fn begin_fetch(&self) -> Option<(Fetch, Upto)> {
        let mut state = self.lock();
        let is_needed = !state.returned.is_empty() || (state.ready.is_empty() && state.cursor < state.last);
        if state.is_fetching || !is_needed {
            return None;
        }
        state.is_fetching = true;
        let fetch = if state.returned.is_empty() {
            Fetch::After(state.cursor)
        } else {
            Fetch::Returned(state.returned.iter().copied().take(FETCH_LIMIT).collect())
        };
        Some((fetch, Upto(state.last)))
    }

    /// Ends a fetch. One that failed is made again after a pause.
    pub(super) fn fetched(&self, fetch: &Fetch, upto: Upto, found: Result<Fetched, Failure>) {
        let mut state = self.lock();
        state.is_fetching = false;
        state.has_stumbled = found.is_err();
        if let Ok(fetched) = found {
            match fetch {
                Fetch::After(_) => state.take_in(fetched, upto),
                Fetch::Returned(seqs) => state.take_back(seqs, fetched),
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Whether the last fetch failed.
    pub(super) fn has_stumbled(&self) -> bool {
        self.lock().has_stumbled
    }

    /// The duty to settle a message that is about to be handed out.
    pub(super) fn hand_out(self: &Arc<Self>, message: &Stored) -> Held {
        Held { queue: Arc::clone(self), seq: message.seq, bytes: message.bytes, is_settling: false, is_settled: false }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last seq that was durable when a fetch began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upto(i64);

impl State {
    fn take_in(&mut self, fetched: Fetched, Upto(upto): Upto) {
        let read_to = fetched.rows.last().map_or(0, |row| row.seq);
        self.cursor = self.cursor.max(if fetched.is_cut { read_to } else { read_to.max(upto) });
        self.last = self.last.max(self.cursor);
        for mut row in fetched.rows {
            row.maybe_repeated |= row.seq <= self.stood;
            self.ready.insert(row.seq, row);
        }
    }

    fn take_back(&mut self, seqs: &[i64], fetched: Fetched) {
        let last = fetched.rows.last().map(|row| row.seq);
        // A cut fetch leaves the rest for the next one.
        let is_done = |seq: &&i64| !fetched.is_cut || last.is_some_and(|last| **seq <= last);
        for seq in seqs.iter().filter(is_done) {
            self.returned.remove(seq);
        }
        for row in fetched.rows {
            self.ready.insert(row.seq, Stored { maybe_repeated: true, ..row });
        }
    }
}

/// Room on a queue, given back when the message is not stored.
#[derive(Debug)]
pub(super) struct Reservation {
    queue: Arc<QueueState>,
    bytes: u64,
    is_used: bool,
}

impl Reservation {
    /// The message is durable on its queue.
    pub(super) fn published(mut self, seq: i64) {
        self.is_used = true;
        self.queue.appeared(seq, 0);
    }

    /// The message is durable and waits for its time.
    pub(super) fn delayed(mut self) {
        self.is_used = true;
        self.queue.lock().depth.delayed += 1;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.is_used {
            self.queue.lock().depth.bytes -= self.bytes;
        }
    }
}

/// A message that is handed out. Dropped before it is settled, it comes back.
#[derive(Debug)]
pub(super) struct Held {
    queue: Arc<QueueState>,
    seq: i64,
    bytes: u64,
    is_settling: bool,
    is_settled: bool,
}

impl Held {
    pub(super) fn seq(&self) -> i64 {
        self.seq
    }

    /// The message is about to be settled. If that fails, whoever fetches it again pauses first.
    pub(super) fn settling(mut self) -> Self {
        self.is_settling = true;
        self
    }

    /// The message is durably gone from its queue.
    pub(super) fn settled(mut self) {
        self.is_settled = true;
        let depth = &mut self.queue.lock().depth;
        depth.messages -= 1;
        depth.bytes -= self.bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_settled {
            let mut state = self.queue.lock();
            state.returned.insert(self.seq);
            state.has_stumbled |= self.is_settling;
            drop(state);
            self.queue.changed.notify_waiters();
        }
    }
}
