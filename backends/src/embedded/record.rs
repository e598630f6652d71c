//! The record of an attempt: history, health, standing, settled, newest and waiting at once.

use dockbell_proto::outcome::Verdict;
use rusqlite::{Connection, params};

use crate::store::{ATTEMPTS_SHOWN, AttemptRecord, EXCERPT_LIMIT, Recorded, SETTLED_KEPT, StoreError};

use super::newest::Because;
use super::{enter, newest, rows, settled, standing, trials, waiting, webhooks};

/// An attempt with its columns.
#[derive(Debug)]
pub(super) struct Entry {
    attempt: AttemptRecord,
    content: String,
    outcome: String,
    verdict: String,
}

impl Entry {
    pub(super) fn new(attempt: &AttemptRecord) -> Result<Self, StoreError> {
        Ok(Self {
            content: rows::to_json(&attempt.delivery.content)?,
            outcome: rows::to_json(&attempt.outcome)?,
            verdict: rows::to_json(&attempt.verdict)?,
            attempt: attempt.clone(),
        })
    }

    fn delivery(&self) -> &str {
        self.attempt.delivery.id.as_str()
    }
}

/// Records the attempt, as of `now`. Of a webhook that was removed meanwhile nothing is kept but the fact
/// that the attempt is settled.
pub(super) fn record(file: &Connection, entry: &Entry, now: i64) -> rusqlite::Result<Recorded> {
    let delivery = &entry.attempt.delivery;
    let is_first = settle(file, entry, now)?;
    let mut change = None;
    if is_first && webhooks::exists(file, &delivery.webhook)? {
        show(file, entry)?;
        change = standing::count(file, &entry.attempt, now)?;
        trials::end(file, &delivery.webhook, &delivery.attempt_id())?;
        follow(file, entry, now)?;
    } else if !is_first {
        change = standing::change_by(file, &entry.attempt)?;
    }
    Ok(Recorded { is_first, health: standing::health(file, &delivery.webhook, now)?, change })
}

/// Whether this is the first record of the attempt.
fn settle(file: &Connection, entry: &Entry, now: i64) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO settled (delivery, request, ordinal, verdict, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (delivery, request, ordinal) DO UPDATE SET verdict = ?4, expires_at = ?5
               WHERE settled.expires_at <= ?6";
    let expires_at = now.saturating_add(rows::micros(SETTLED_KEPT));
    let delivery = &entry.attempt.delivery;
    let values = params![entry.delivery(), delivery.request, delivery.ordinal, entry.verdict, expires_at, now];
    Ok(file.prepare_cached(sql)?.execute(values)? > 0)
}

/// Takes note of whether the delivery waits, and what is newest by it.
fn follow(file: &Connection, entry: &Entry, now: i64) -> rusqlite::Result<()> {
    let AttemptRecord { delivery, verdict, .. } = &entry.attempt;
    if matches!(verdict, Verdict::Retry { .. }) {
        // Recorded late, it would bring back what has ended since.
        if settled::is_settled_from(file, delivery, delivery.ordinal.saturating_add(1), now)? {
            return Ok(());
        }
        waiting::enter(file, delivery, now)?;
        return newest::raise(file, delivery, Because::Waits, now);
    }
    if matches!(verdict, Verdict::Delivered) {
        newest::raise(file, delivery, Because::Accepted, now)?;
    }
    // What is not owed any more withholds nothing.
    waiting::leave(file, delivery)?;
    newest::forget_waiting(file, delivery)
}

/// Enters the attempt and its delivery into the history.
fn show(file: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let AttemptRecord { delivery, at, verdict, .. } = &entry.attempt;
    let next_at = match verdict {
        Verdict::Retry { at } => Some(rows::at(*at)),
        _ => None,
    };
    let (content, at, state) = (&entry.content, rows::at(*at), verdict.state());
    enter::attempted(file, &enter::Entry { delivery, content, state, at, next_at, parked_because: None })?;
    insert_attempt(file, entry)?;
    let trim = "DELETE FROM attempts WHERE delivery = ?1 AND (request, ordinal) IN
        (SELECT request, ordinal FROM attempts WHERE delivery = ?1
         ORDER BY at DESC, request DESC, ordinal DESC LIMIT -1 OFFSET ?2)";
    file.prepare_cached(trim)?.execute(params![entry.delivery(), ATTEMPTS_SHOWN])?;
    enter::trim(file, &delivery.webhook)
}

fn insert_attempt(file: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO attempts (delivery, request, ordinal, at, took, outcome, verdict, excerpt)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let AttemptRecord { delivery, at, took, excerpt, .. } = &entry.attempt;
    let excerpt = excerpt.as_deref().and_then(|text| text.get(..text.floor_char_boundary(EXCERPT_LIMIT)));
    let (at, took) = (rows::at(*at), rows::micros(*took));
    let Entry { outcome, verdict, .. } = entry;
    let values = params![entry.delivery(), delivery.request, delivery.ordinal, at, took, outcome, verdict, excerpt];
    file.prepare_cached(sql)?.execute(values).map(drop)
}
