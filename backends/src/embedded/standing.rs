//! A webhook's counters, and the changes of its standing.

use dockbell_proto::health::{Counted, StandingChange};
use dockbell_proto::ids::{DeliveryId, WebhookId};
use dockbell_proto::outcome::{Fault, Outcome, Verdict};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::{AttemptRecord, CHANGES_PER_WEBHOOK, Health};

use super::{rows, waiting, webhooks};

/// The counters of a webhook, as of `now`.
pub(super) fn health(file: &Connection, webhook: &WebhookId, now: i64) -> rusqlite::Result<Health> {
    let sql =
        "SELECT consecutive_failures, failing_since, failed_at, failed_deliveries, succeeded_at, standing, waiting,
               skipped FROM health WHERE webhook = ?1";
    let health = file.prepare_cached(sql)?.query_row([webhook.as_str()], |row| {
        Ok(Health {
            consecutive_failures: row.get(0)?,
            failing_since: rows::optional_time(row, 1)?,
            failed_at: rows::optional_time(row, 2)?,
            failed_deliveries: rows::json::<Vec<DeliveryId>>(row, 3)?,
            succeeded_at: rows::optional_time(row, 4)?,
            standing: rows::json(row, 5)?,
            waiting: row.get(6)?,
            skipped: row.get(7)?,
        })
    });
    let mut health = health.optional()?.unwrap_or_default();
    if health.waiting > 0 {
        health.waiting = health.waiting.saturating_sub(waiting::expired(file, webhook, now)?);
    }
    Ok(health)
}

/// Keeps the counters, but for the number of those that wait, which the file counts itself.
fn keep(file: &Connection, webhook: &WebhookId, health: &Health) -> rusqlite::Result<()> {
    let sql = "INSERT INTO health (webhook, consecutive_failures, failing_since, failed_at, failed_deliveries,
               succeeded_at, standing, skipped) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
               ON CONFLICT (webhook) DO UPDATE SET consecutive_failures = ?2, failing_since = ?3, failed_at = ?4,
               failed_deliveries = ?5, succeeded_at = ?6, standing = ?7, skipped = ?8";
    file.prepare_cached(sql)?
        .execute(params![
            webhook.as_str(),
            health.consecutive_failures,
            health.failing_since.map(rows::at),
            health.failed_at.map(rows::at),
            rows::json_column(&health.failed_deliveries)?,
            health.succeeded_at.map(rows::at),
            rows::json_column(&health.standing)?,
            health.skipped,
        ])
        .map(drop)
}

/// Counts an attempt, as of `now`, and keeps the change of the standing that it makes.
pub(super) fn count(file: &Connection, attempt: &AttemptRecord, now: i64) -> rusqlite::Result<Option<StandingChange>> {
    let (webhook, at) = (&attempt.delivery.webhook, rows::moment(now)?);
    let before = health(file, webhook, now)?;
    let mut after = before.clone();
    let is_accepted = matches!(attempt.outcome, Outcome::Accepted { .. });
    if is_accepted || attempt.outcome.fault() == Fault::Receiver {
        let counted = Counted { delivery: &attempt.delivery.id, at: attempt.at, is_accepted };
        after.count(counted, &attempt.suspension, at);
    }
    if matches!(attempt.verdict, Verdict::Skipped { .. }) {
        after.skipped = after.skipped.saturating_add(1);
    }
    if after != before {
        keep(file, webhook, &after)?;
    }
    let change = after.change_since(&before, at);
    if let Some(change) = &change {
        insert_change(file, webhook, change, Some(&maker(attempt)))?;
    }
    Ok(change)
}

/// Who recorded an attempt: whoever else has a copy of its message makes it at another time.
fn maker(attempt: &AttemptRecord) -> String {
    format!("{} {}", attempt.delivery.attempt_id(), rows::at(attempt.at))
}

/// The change that this very record made before, whose answer was lost on its way.
pub(super) fn change_by(file: &Connection, attempt: &AttemptRecord) -> rusqlite::Result<Option<StandingChange>> {
    let sql = "SELECT change FROM changes WHERE webhook = ?1 AND made_by = ?2";
    let values = [attempt.delivery.webhook.as_str(), &maker(attempt)];
    file.prepare_cached(sql)?.query_row(values, |row| rows::json(row, 0)).optional()
}

/// Forgets the failures of a webhook, and what follows from them.
pub(super) fn reset(file: &Connection, webhook: &WebhookId) -> rusqlite::Result<()> {
    let sql = "UPDATE health SET consecutive_failures = 0, failing_since = NULL, failed_at = NULL,
               failed_deliveries = '[]', standing = '{\"kind\":\"healthy\"}' WHERE webhook = ?1";
    file.prepare_cached(sql)?.execute([webhook.as_str()]).map(drop)
}

/// Sets the count of skipped deliveries back to none.
pub(super) fn forget_skipped(file: &Connection, webhook: &WebhookId) -> rusqlite::Result<()> {
    file.prepare_cached("UPDATE health SET skipped = 0 WHERE webhook = ?1")?.execute([webhook.as_str()]).map(drop)
}

/// Keeps a change that is not kept yet; the oldest go first.
pub(super) fn keep_change(file: &Connection, webhook: &WebhookId, change: &StandingChange) -> rusqlite::Result<()> {
    if !webhooks::exists(file, webhook)? {
        return Ok(());
    }
    let mut is_kept = file.prepare_cached("SELECT 1 FROM changes WHERE webhook = ?1 AND at = ?2 AND change = ?3")?;
    let text = rows::json_column(change)?;
    if is_kept.exists(params![webhook.as_str(), rows::at(change.at), text])? {
        return Ok(());
    }
    insert_change(file, webhook, change, None)
}

fn insert_change(
    file: &Connection,
    webhook: &WebhookId,
    change: &StandingChange,
    made_by: Option<&str>,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO changes (webhook, at, change, made_by) VALUES (?1, ?2, ?3, ?4)";
    let text = rows::json_column(change)?;
    file.prepare_cached(sql)?.execute(params![webhook.as_str(), rows::at(change.at), text, made_by])?;
    let trim = "DELETE FROM changes WHERE seq IN
        (SELECT seq FROM changes WHERE webhook = ?1 ORDER BY at DESC, seq DESC LIMIT -1 OFFSET ?2)";
    file.prepare_cached(trim)?.execute(params![webhook.as_str(), CHANGES_PER_WEBHOOK]).map(drop)
}

/// The changes of a webhook's standing, newest first.
pub(super) fn changes(file: &Connection, webhook: &WebhookId) -> rusqlite::Result<Vec<StandingChange>> {
    let sql = "SELECT change FROM changes WHERE webhook = ?1 ORDER BY at DESC, seq DESC";
    file.prepare_cached(sql)?.query_map([webhook.as_str()], |row| rows::json(row, 0))?.collect()
}
