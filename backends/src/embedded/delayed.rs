//! Messages that wait for their time, and the schedule by which they are moved onto their queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use tokio::time::Instant;

use crate::bus::Queue;

use super::messages::Incoming;
use super::queue::Queues;
use super::rows;
use super::status::Failure;
use super::writer::Write;

/// The most messages that one move takes, so that it does not hold up the writes beside it for long.
const MOVE_LIMIT: i64 = 256;
/// How long a move waits after one that failed, as on a full disk.
const PAUSE: Duration = Duration::from_secs(1);
/// How far ahead the writer looks at most: a longer wait is only a wait again.
const HORIZON: Duration = Duration::from_hours(1);
const NEVER: i64 = i64::MAX;

/// When the next delayed message is due, by a time that starts from the wall clock and then runs evenly:
/// when the wall clock jumps, no delay of this process changes.
#[derive(Debug)]
pub(super) struct Schedule {
    opened_at: i64,
    opened: Instant,
    next_due: AtomicI64,
    /// The last that stood in the file when it was opened.
    stood: i64,
}

impl Schedule {
    /// Reads what waits in the file. Nothing waits longer than it was told to, even if the wall clock was
    /// set back since.
    pub(super) fn load(file: &Connection, now: Timestamp) -> rusqlite::Result<Self> {
        let now = now.as_microsecond();
        file.execute("UPDATE delayed SET due_at = ?1 + delay WHERE due_at - delay > ?1", [now])?;
        let stood = file.query_row("SELECT coalesce(max(seq), 0) FROM delayed", [], |row| row.get(0))?;
        let next_due = AtomicI64::new(next_due(file)?);
        Ok(Self { opened_at: now, opened: Instant::now(), next_due, stood })
    }

    fn now(&self) -> i64 {
        self.opened_at.saturating_add(rows::micros(self.opened.elapsed()))
    }

    /// When the next message is due, or earlier.
    pub(super) fn next_at(&self) -> Instant {
        let wait = self.next_due.load(Ordering::Relaxed).saturating_sub(self.now());
        Instant::now() + Duration::from_micros(u64::try_from(wait).unwrap_or(0)).min(HORIZON)
    }

    /// Whether there is something to move.
    pub(super) fn is_due(&self) -> bool {
        self.next_due.load(Ordering::Relaxed) <= self.now()
    }

    /// Takes note of a message that is due at `due_at`.
    pub(super) fn note(&self, due_at: i64) {
        self.next_due.fetch_min(due_at, Ordering::Relaxed);
    }
}

fn next_due(file: &Connection) -> rusqlite::Result<i64> {
    file.prepare_cached("SELECT coalesce(min(due_at), ?1) FROM delayed")?.query_row([NEVER], |row| row.get(0))
}

/// Stores a message as [`insert`] does, unless it is flagged as a repetition and the original still waits.
pub(super) fn insert_unless_there(
    file: &Connection,
    schedule: &Schedule,
    delay: Duration,
    message: &Incoming,
) -> rusqlite::Result<Option<i64>> {
    let mut original = file.prepare_cached("SELECT 1 FROM delayed WHERE id = ?1 AND queue = ?2")?;
    if message.maybe_repeated && original.exists(params![message.id, rows::queue_code(message.queue)])? {
        return Ok(None);
    }
    insert(file, schedule, delay, message).map(Some)
}

/// Stores a message to appear after `delay` and says when that is. The delay runs from here: a message is
/// never early by the time it waited for the writer.
fn insert(file: &Connection, schedule: &Schedule, delay: Duration, message: &Incoming) -> rusqlite::Result<i64> {
    let delay = rows::micros(delay);
    let due_at = schedule.now().saturating_add(delay);
    let sql = "INSERT INTO delayed (queue, due_at, delay, bytes, maybe_repeated, id, headers, body)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let Incoming { queue, bytes, maybe_repeated, id, headers, body } = message;
    let values = params![rows::queue_code(*queue), due_at, delay, bytes, maybe_repeated, id, headers, body.as_ref()];
    file.prepare_cached(sql)?.execute(values)?;
    Ok(due_at)
}

/// The writer's own task: moves what is due onto its queue.
pub(super) struct MoveDue {
    queues: Arc<Queues>,
    schedule: Arc<Schedule>,
    moved: Vec<(Queue, i64)>,
    next_due: i64,
}

impl MoveDue {
    pub(super) fn new(queues: Arc<Queues>, schedule: Arc<Schedule>) -> Self {
        Self { queues, schedule, moved: Vec::new(), next_due: NEVER }
    }

    fn move_one(&mut self, file: &Connection, seq: i64, queue: Queue) -> rusqlite::Result<()> {
        let copy = "INSERT INTO messages (queue, bytes, maybe_repeated, id, headers, body)
                    SELECT queue, bytes, maybe_repeated OR seq <= ?2, id, headers, body FROM delayed WHERE seq = ?1";
        file.prepare_cached(copy)?.execute([seq, self.schedule.stood])?;
        self.moved.push((queue, file.last_insert_rowid()));
        file.prepare_cached("DELETE FROM delayed WHERE seq = ?1")?.execute([seq])?;
        Ok(())
    }
}

impl Write for MoveDue {
    fn run(&mut self, file: &Connection) -> rusqlite::Result<()> {
        self.moved.clear();
        let sql = "SELECT seq, queue FROM delayed WHERE due_at <= ?1 ORDER BY due_at, seq LIMIT ?2";
        let due: Vec<(i64, Queue)> = file
            .prepare_cached(sql)?
            .query_map([self.schedule.now(), MOVE_LIMIT], |row| Ok((row.get(0)?, rows::queue(row, 1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (seq, queue) in due {
            self.move_one(file, seq, queue)?;
        }
        self.next_due = next_due(file)?;
        Ok(())
    }

    /// Publishes that came after it in its group take note of theirs after this.
    fn finish(self: Box<Self>, result: Result<(), Failure>) {
        if let Err(error) = result {
            tracing::warn!(%error, "failed to move delayed messages onto their queues");
            let again = self.schedule.now().saturating_add(rows::micros(PAUSE));
            self.schedule.next_due.store(again, Ordering::Relaxed);
            return;
        }
        self.schedule.next_due.store(self.next_due, Ordering::Relaxed);
        for (queue, seq) in self.moved {
            self.queues.of(queue).moved(seq);
        }
    }
}
