//! The history: deliveries, newest first, and their attempts.

use std::time::Duration;

use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::{DeliveryId, WebhookId};
use dockbell_proto::outcome::DeliveryState;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};

use crate::store::{AttemptEntry, DeliveryRecord, HistoryQuery, Page};

use super::page::{self, Place};
use super::rows;

const COLUMNS: &str = "id, webhook, request, ordinal, not_before, content, state, first_at, last_at, next_at,
    custody_since, parked_because";

/// The deliveries that the query asks for and that have not expired, which is after `until`.
///
/// A delivery keeps its place in the list when it is attempted again, so that pages neither skip nor repeat.
pub(super) fn list(file: &Connection, query: &HistoryQuery, until: i64) -> rusqlite::Result<Page<DeliveryRecord>> {
    let size = page::size(&query.page);
    let limit = rows::size(size + 1);
    // The plus keeps SQLite from going by the expiry and sorting everything afterwards.
    let mut sql = format!("SELECT {COLUMNS} FROM deliveries WHERE +last_at > ?");
    let mut values: Vec<&dyn ToSql> = vec![&until];
    let webhook = query.webhook.as_ref().map(WebhookId::as_str);
    if let Some(webhook) = &webhook {
        sql.push_str(" AND webhook = ?");
        values.push(webhook);
    }
    let state = query.state.map(DeliveryState::as_str);
    if let Some(state) = &state {
        sql.push_str(" AND state = ?");
        values.push(state);
    }
    let after = Place::after(&query.page);
    if let Some(Place { at, id }) = &after {
        sql.push_str(" AND (first_at, id) < (?, ?)");
        values.extend([at as &dyn ToSql, id]);
    }
    sql.push_str(" ORDER BY first_at DESC, id DESC LIMIT ?");
    values.push(&limit);
    let items = file.prepare_cached(&sql)?.query_map(values.as_slice(), delivery)?.collect::<rusqlite::Result<_>>()?;
    Ok(page::cut(items, size, |last: &DeliveryRecord| Place {
        at: last.first_at.as_microsecond(),
        id: last.delivery.id.as_str().to_owned(),
    }))
}

/// One delivery with its attempts, unless it has expired.
pub(super) fn find(file: &Connection, id: &DeliveryId, until: i64) -> rusqlite::Result<Option<DeliveryRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM deliveries WHERE id = ?1 AND last_at > ?2");
    let found = file.prepare_cached(&sql)?.query_row((id.as_str(), until), delivery).optional()?;
    let Some(mut found) = found else { return Ok(None) };
    let sql = "SELECT request, ordinal, at, took, outcome, verdict, excerpt FROM attempts WHERE delivery = ?1
               ORDER BY at, request, ordinal";
    found.attempts = file.prepare_cached(sql)?.query_map([id.as_str()], attempt)?.collect::<rusqlite::Result<_>>()?;
    Ok(Some(found))
}

/// The next request number of a delivery that has not expired.
pub(super) fn take_request(file: &Connection, id: &DeliveryId, until: i64) -> rusqlite::Result<Option<u32>> {
    let sql = "UPDATE deliveries SET requests = requests + 1 WHERE id = ?1 AND last_at > ?2 RETURNING requests";
    file.prepare_cached(sql)?.query_row((id.as_str(), until), |row| row.get(0)).optional()
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryRecord> {
    Ok(DeliveryRecord {
        delivery: Delivery {
            id: rows::parsed(row, 0, DeliveryId::parse)?,
            webhook: rows::parsed(row, 1, WebhookId::parse)?,
            request: row.get(2)?,
            ordinal: row.get(3)?,
            not_before: rows::optional_time(row, 4)?,
            is_parked: false,
            first_at: rows::optional_time(row, 10)?,
            awaits_since: None,
            content: rows::json(row, 5)?,
        },
        state: rows::parsed(row, 6, |name| DeliveryState::parse(name).ok_or_else(|| format!("{name} is no state")))?,
        first_at: rows::time(row, 7)?,
        last_at: rows::time(row, 8)?,
        next_at: rows::optional_time(row, 9)?,
        parked_because: row.get(11)?,
        attempts: Vec::new(),
    })
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<AttemptEntry> {
    Ok(AttemptEntry {
        request: row.get(0)?,
        ordinal: row.get(1)?,
        at: rows::time(row, 2)?,
        took: Duration::from_micros(row.get::<_, i64>(3)?.unsigned_abs()),
        outcome: rows::json(row, 4)?,
        verdict: rows::json(row, 5)?,
        excerpt: row.get(6)?,
    })
}
