//! The attempts that are under way of webhooks that allow only a few at once.

use dockbell_proto::health::Standing;
use dockbell_proto::ids::{AttemptId, WebhookId};
use rusqlite::{Connection, params};

use crate::store::Trial;

use super::{rows, standing, webhooks};

/// Whether the attempt may be made; it is under way from then on. Of a webhook that was removed nothing is noted.
pub(super) fn begin(file: &Connection, trial: &Trial, now: i64) -> rusqlite::Result<bool> {
    if !webhooks::exists(file, &trial.webhook)? {
        return Ok(true);
    }
    let is_granted = is_under_way(file, trial, now)? || has_place(file, trial, now)?;
    if is_granted {
        enter(file, trial)?;
    }
    Ok(is_granted)
}

fn has_place(file: &Connection, trial: &Trial, now: i64) -> rusqlite::Result<bool> {
    let places = match standing::health(file, &trial.webhook, now)?.standing {
        Standing::Healthy => return Ok(true),
        Standing::Suspended { until, .. } => u32::from(rows::at(until) <= now),
        Standing::Recovering { .. } => trial.trickle,
    };
    let sql = "SELECT count(*) FROM trials WHERE webhook = ?1 AND expires_at > ?2";
    let under_way: u32 = file.prepare_cached(sql)?.query_row(params![trial.webhook.as_str(), now], |row| row.get(0))?;
    Ok(under_way < places)
}

fn is_under_way(file: &Connection, trial: &Trial, now: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM trials
               WHERE webhook = ?1 AND delivery = ?2 AND request = ?3 AND ordinal = ?4 AND expires_at > ?5";
    let AttemptId { delivery, request, ordinal } = &trial.attempt;
    file.prepare_cached(sql)?.exists(params![trial.webhook.as_str(), delivery.as_str(), request, ordinal, now])
}

fn enter(file: &Connection, trial: &Trial) -> rusqlite::Result<()> {
    let sql = "INSERT INTO trials (webhook, delivery, request, ordinal, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (webhook, delivery, request, ordinal) DO UPDATE SET expires_at = max(expires_at, ?5)";
    let AttemptId { delivery, request, ordinal } = &trial.attempt;
    let values = params![trial.webhook.as_str(), delivery.as_str(), request, ordinal, rows::at(trial.until)];
    file.prepare_cached(sql)?.execute(values).map(drop)
}

/// The attempt is under way no more.
pub(super) fn end(file: &Connection, webhook: &WebhookId, attempt: &AttemptId) -> rusqlite::Result<()> {
    let sql = "DELETE FROM trials WHERE webhook = ?1 AND delivery = ?2 AND request = ?3 AND ordinal = ?4";
    let AttemptId { delivery, request, ordinal } = attempt;
    file.prepare_cached(sql)?.execute(params![webhook.as_str(), delivery.as_str(), request, ordinal]).map(drop)
}
