//! Which deliveries of each webhook wait for their next attempt.

use std::time::Duration;

use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::policy::LONGEST_AGE;
use rusqlite::{Connection, params};

use super::rows;

/// How long a delivery counts as waiting: a day longer than it may wait, in case that its end was never recorded.
const WAITING_KEPT: Duration = LONGEST_AGE.saturating_add(Duration::from_hours(24));

/// Counts a delivery among those that wait, once.
pub(super) fn enter(file: &Connection, delivery: &Delivery, now: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO waiting (webhook, delivery, expires_at) VALUES (?1, ?2, ?3)
               ON CONFLICT (webhook, delivery) DO UPDATE SET expires_at = ?3";
    let expires_at = now.saturating_add(rows::micros(WAITING_KEPT));
    file.prepare_cached(sql)?.execute(params![delivery.webhook.as_str(), delivery.id.as_str(), expires_at]).map(drop)
}

/// Counts a delivery among them no more.
pub(super) fn leave(file: &Connection, delivery: &Delivery) -> rusqlite::Result<()> {
    let sql = "DELETE FROM waiting WHERE webhook = ?1 AND delivery = ?2";
    file.prepare_cached(sql)?.execute([delivery.webhook.as_str(), delivery.id.as_str()]).map(drop)
}

/// Whether a delivery is among them.
pub(super) fn contains(file: &Connection, delivery: &Delivery, now: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM waiting WHERE webhook = ?1 AND delivery = ?2 AND expires_at > ?3";
    file.prepare_cached(sql)?.exists(params![delivery.webhook.as_str(), delivery.id.as_str(), now])
}

/// How many of a webhook are still counted although their time is over.
pub(super) fn expired(file: &Connection, webhook: &WebhookId, now: i64) -> rusqlite::Result<u32> {
    let sql = "SELECT count(*) FROM waiting WHERE expires_at <= ?1 AND webhook = ?2";
    file.prepare_cached(sql)?.query_row(params![now, webhook.as_str()], |row| row.get(0))
}
