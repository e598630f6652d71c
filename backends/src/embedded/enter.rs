//! Entering deliveries into the history, which forgets what goes beyond its bounds.

use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::outcome::DeliveryState;
use rusqlite::{Connection, params};

use crate::store::HISTORY_PER_WEBHOOK;

use super::rows;

/// Where a delivery stands, with its columns.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) delivery: &'a Delivery,
    /// Its content as a column.
    pub(super) content: &'a str,
    pub(super) state: DeliveryState,
    pub(super) at: i64,
    pub(super) next_at: Option<i64>,
    pub(super) parked_because: Option<&'a str>,
}

/// What both statements set.
const INSERT: &str =
    "INSERT INTO deliveries (id, webhook, requests, state, first_at, last_at, next_at, request, ordinal,
    not_before, content, custody_since, parked_because)
    VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?3, ?7, ?8, ?9, ?10, ?11)
    ON CONFLICT (id) DO UPDATE SET requests = max(requests, ?3)";
const ALL: &str = "webhook = ?2, state = ?4, last_at = max(last_at, ?5), next_at = ?6, request = ?3, ordinal = ?7,
    not_before = ?8, content = ?9, custody_since = ?10, parked_because = ?11";

/// Enters where a delivery stands after an attempt, unless a later one is known. One that is parked was parked before
/// its attempt, whatever the clocks of two processes say.
pub(super) fn attempted(file: &Connection, entry: &Entry<'_>) -> rusqlite::Result<()> {
    let update = format!(
        "UPDATE deliveries SET requests = max(requests, ?3), {ALL} WHERE id = ?1
         AND (last_at <= ?5 OR state = 'parked' AND request = ?3 AND ordinal <= ?7)"
    );
    if !execute(file, &update, entry)? {
        // It is new, or an attempt of it is recorded late.
        execute(file, &format!("{INSERT}, first_at = min(first_at, ?5)"), entry)?;
    }
    Ok(())
}

/// Enters that a delivery waits without having been attempted.
pub(super) fn parked(file: &Connection, entry: &Entry<'_>) -> rusqlite::Result<()> {
    execute(file, &format!("{INSERT}, {ALL}"), entry).map(drop)
}

/// Whether a delivery is in the history.
pub(super) fn is_in(file: &Connection, delivery: &Delivery) -> rusqlite::Result<bool> {
    file.prepare_cached("SELECT 1 FROM deliveries WHERE id = ?1")?.exists([delivery.id.as_str()])
}

fn execute(file: &Connection, sql: &str, entry: &Entry<'_>) -> rusqlite::Result<bool> {
    let Entry { delivery, content, state, at, next_at, parked_because } = entry;
    let changed = file.prepare_cached(sql)?.execute(params![
        delivery.id.as_str(),
        delivery.webhook.as_str(),
        delivery.request,
        state.as_str(),
        at,
        next_at,
        delivery.ordinal,
        delivery.not_before.map(rows::at),
        content,
        delivery.first_at.map(rows::at),
        parked_because,
    ])?;
    Ok(changed > 0)
}

/// Forgets the oldest deliveries of a webhook beyond what is kept.
pub(super) fn trim(file: &Connection, webhook: &WebhookId) -> rusqlite::Result<()> {
    let sql = "DELETE FROM deliveries WHERE id IN
        (SELECT id FROM deliveries WHERE webhook = ?1 ORDER BY first_at DESC, id DESC LIMIT -1 OFFSET ?2)";
    file.prepare_cached(sql)?.execute(params![webhook.as_str(), HISTORY_PER_WEBHOOK]).map(drop)
}
