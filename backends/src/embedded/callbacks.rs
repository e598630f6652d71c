//! What receivers reported of deliveries that they took.

use dockbell_proto::callback::{Callback, CallbackId};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::CALLBACKS_PER_WEBHOOK;

use super::rows;

/// Keeps a report as of `now`, unless there is one that has not expired. Returns the one that stands.
pub(super) fn keep(file: &Connection, callback: &Callback, now: i64) -> rusqlite::Result<Callback> {
    let sql = "INSERT INTO callbacks (delivery, request, webhook, callback, expires_at, reported_at)
               SELECT ?1, ?2, ?3, ?4, ?5, ?7 WHERE EXISTS (SELECT 1 FROM webhooks WHERE id = ?3)
               ON CONFLICT (delivery, request) DO UPDATE SET
               webhook = excluded.webhook, callback = excluded.callback, expires_at = excluded.expires_at,
               reported_at = excluded.reported_at
               WHERE callbacks.expires_at <= ?6";
    let Callback { id, webhook, until, at, .. } = callback;
    let text = rows::json_column(callback)?;
    let values =
        params![id.delivery.as_str(), id.request, webhook.as_str(), text, rows::at(*until), now, rows::at(*at)];
    file.prepare_cached(sql)?.execute(values)?;
    let trim = "DELETE FROM callbacks WHERE (delivery, request) IN
        (SELECT delivery, request FROM callbacks WHERE webhook = ?1 ORDER BY reported_at DESC LIMIT -1 OFFSET ?2)";
    file.prepare_cached(trim)?.execute(params![webhook.as_str(), CALLBACKS_PER_WEBHOOK])?;
    let found = find(file, std::slice::from_ref(id), now)?.pop().flatten();
    // There is none if the webhook was removed meanwhile.
    Ok(found.unwrap_or_else(|| callback.clone()))
}

/// What was reported and has not expired at `now`, in the order asked.
pub(super) fn find(file: &Connection, of: &[CallbackId], now: i64) -> rusqlite::Result<Vec<Option<Callback>>> {
    let sql = "SELECT callback FROM callbacks WHERE delivery = ?1 AND request = ?2 AND expires_at > ?3";
    let mut statement = file.prepare_cached(sql)?;
    let find = |id: &CallbackId| {
        let values = params![id.delivery.as_str(), id.request, now];
        statement.query_row(values, |row| rows::json(row, 0)).optional()
    };
    of.iter().map(find).collect()
}
