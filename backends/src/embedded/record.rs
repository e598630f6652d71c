//! The record of an attempt: history, health, settled and newest at once.

use std::time::Duration;

use dockbell_proto::outcome::{Fault, Outcome, Verdict};
use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::store::{
    ATTEMPTS_SHOWN, AttemptRecord, EXCERPT_LIMIT, HISTORY_PER_WEBHOOK, Recorded, SETTLED_KEPT, StoreError,
};

use super::{counters, rows};

/// How long the newest order of a tag is kept after it was last raised: as long as a delivery may wait.
const NEWEST_KEPT: Duration = Duration::from_hours(7 * 24);

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

    fn webhook(&self) -> &str {
        self.attempt.delivery.webhook.as_str()
    }

    fn at(&self) -> i64 {
        self.attempt.at.as_microsecond()
    }
}

/// Records the attempt, as of `now`. Of a webhook that was removed meanwhile nothing is kept but the fact
/// that the attempt is settled.
pub(super) fn record(file: &Connection, entry: &Entry, now: i64) -> rusqlite::Result<Recorded> {
    let is_first = settle(file, entry, now)?;
    if is_first && exists(file, entry)? {
        enter(file, entry)?;
        count(file, entry)?;
        match &entry.attempt.verdict {
            Verdict::Delivered => {
                raise_newest(file, entry, Standing::Accepted, now)?;
                forget_waiting(file, entry)?;
            }
            Verdict::Retry { .. } => raise_newest(file, entry, Standing::Waits, now)?,
            _ => forget_waiting(file, entry)?,
        }
    }
    Ok(Recorded { is_first, health: counters::health(file, &entry.attempt.delivery.webhook)?, change: None })
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

fn exists(file: &Connection, entry: &Entry) -> rusqlite::Result<bool> {
    file.prepare_cached("SELECT 1 FROM webhooks WHERE id = ?1")?.exists([entry.webhook()])
}

/// Enters the attempt into the history, which forgets what goes beyond its bounds.
fn enter(file: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    if !update_delivery(file, entry)? {
        insert_delivery(file, entry)?;
    }
    insert_attempt(file, entry)?;
    let trim_attempts = "DELETE FROM attempts WHERE delivery = ?1 AND (request, ordinal) IN
        (SELECT request, ordinal FROM attempts WHERE delivery = ?1
         ORDER BY at DESC, request DESC, ordinal DESC LIMIT -1 OFFSET ?2)";
    file.prepare_cached(trim_attempts)?.execute(params![entry.delivery(), ATTEMPTS_SHOWN])?;
    let trim_deliveries = "DELETE FROM deliveries WHERE id IN
        (SELECT id FROM deliveries WHERE webhook = ?1 ORDER BY first_at DESC, id DESC LIMIT -1 OFFSET ?2)";
    file.prepare_cached(trim_deliveries)?.execute(params![entry.webhook(), HISTORY_PER_WEBHOOK]).map(drop)
}

/// Brings a delivery up to date that is not known by a later attempt already.
fn update_delivery(file: &Connection, entry: &Entry) -> rusqlite::Result<bool> {
    let sql = "UPDATE deliveries SET requests = max(requests, ?3), state = ?4, last_at = ?5, next_at = ?6,
               request = ?3, ordinal = ?7, not_before = ?8, content = ?9, webhook = ?2
               WHERE id = ?1 AND last_at <= ?5";
    execute_on_delivery(file, sql, entry)
}

/// Makes a delivery, or takes note of an attempt that was recorded late.
fn insert_delivery(file: &Connection, entry: &Entry) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO deliveries
               (id, webhook, requests, state, first_at, last_at, next_at, request, ordinal, not_before, content)
               VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?3, ?7, ?8, ?9)
               ON CONFLICT (id) DO UPDATE SET requests = max(requests, ?3), first_at = min(first_at, ?5)";
    execute_on_delivery(file, sql, entry)
}

fn execute_on_delivery(file: &Connection, sql: &str, entry: &Entry) -> rusqlite::Result<bool> {
    let AttemptRecord { delivery, verdict, .. } = &entry.attempt;
    let next_at = match verdict {
        Verdict::Retry { at } => Some(at.as_microsecond()),
        _ => None,
    };
    let changed = file.prepare_cached(sql)?.execute(params![
        entry.delivery(),
        entry.webhook(),
        delivery.request,
        verdict.state().as_str(),
        entry.at(),
        next_at,
        delivery.ordinal,
        delivery.not_before.map(Timestamp::as_microsecond),
        entry.content,
    ])?;
    Ok(changed > 0)
}

fn insert_attempt(file: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO attempts (delivery, request, ordinal, at, took, outcome, verdict, excerpt)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let AttemptRecord { delivery, took, excerpt, .. } = &entry.attempt;
    let excerpt = excerpt.as_deref().and_then(|text| text.get(..text.floor_char_boundary(EXCERPT_LIMIT)));
    let took = rows::micros(*took);
    let Entry { outcome, verdict, .. } = entry;
    let values =
        params![entry.delivery(), delivery.request, delivery.ordinal, entry.at(), took, outcome, verdict, excerpt];
    file.prepare_cached(sql)?.execute(values).map(drop)
}

/// Brings the counters up to date: an acceptance clears them, what is not charged leaves them alone.
fn count(file: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let sql = match &entry.attempt.outcome {
        Outcome::Accepted { .. } => {
            "INSERT INTO health (webhook, consecutive_failures, failing_since, succeeded_at) VALUES (?1, 0, NULL, ?2)
             ON CONFLICT (webhook) DO UPDATE SET consecutive_failures = 0, failing_since = NULL,
             succeeded_at = max(coalesce(succeeded_at, ?2), ?2)"
        }
        outcome if outcome.fault() == Fault::Receiver => {
            "INSERT INTO health (webhook, consecutive_failures, failing_since, succeeded_at) VALUES (?1, 1, ?2, NULL)
             ON CONFLICT (webhook) DO UPDATE SET consecutive_failures = consecutive_failures + 1,
             failing_since = coalesce(failing_since, ?2)"
        }
        _ => return Ok(()),
    };
    file.prepare_cached(sql)?.execute(params![entry.webhook(), entry.at()]).map(drop)
}

/// Why an order is the newest of its tag. What was accepted stays so; what waits may still be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Accepted = 0,
    Waits = 1,
}

/// Raises the newest order of each tag that was accepted, or waits for its next attempt. Orders compare as
/// their texts do.
fn raise_newest(file: &Connection, entry: &Entry, standing: Standing, now: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO newest (webhook, registry, repository, tag, waits, latest, expires_at)
               VALUES (?1, ?2, ?3, ?4, ?8, ?5, ?6)
               ON CONFLICT (webhook, registry, repository, tag, waits) DO UPDATE SET
               latest = CASE WHEN expires_at <= ?7 THEN ?5 ELSE max(latest, ?5) END, expires_at = ?6";
    let mut statement = file.prepare_cached(sql)?;
    let expires_at = now.saturating_add(rows::micros(NEWEST_KEPT));
    let content = &entry.attempt.delivery.content;
    for change in &content.changes {
        let (registry, repository, tag) = (content.registry.as_str(), content.repository.as_str(), change.tag.as_str());
        let (order, waits) = (change.order.to_string(), standing as i64);
        statement.execute(params![entry.webhook(), registry, repository, tag, order, expires_at, now, waits])?;
    }
    Ok(())
}

/// What waited is the newest of what waits no more.
fn forget_waiting(file: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let sql = "DELETE FROM newest
               WHERE webhook = ?1 AND registry = ?2 AND repository = ?3 AND tag = ?4 AND waits = 1 AND latest = ?5";
    let mut statement = file.prepare_cached(sql)?;
    let content = &entry.attempt.delivery.content;
    for change in &content.changes {
        let (registry, repository, tag) = (content.registry.as_str(), content.repository.as_str(), change.tag.as_str());
        statement.execute(params![entry.webhook(), registry, repository, tag, change.order.to_string()])?;
    }
    Ok(())
}
