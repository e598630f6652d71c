//! What the record of attempts left behind: settled, health and newest.

use dockbell_proto::ids::{AttemptId, WebhookId};
use dockbell_proto::names::{Registry, Repository, Tag};
use dockbell_proto::order::Order;
use dockbell_proto::outcome::Verdict;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::Health;

use super::rows;

/// The verdicts of the attempts that are settled at `now`, in the order asked.
pub(super) fn settled(file: &Connection, attempts: &[AttemptId], now: i64) -> rusqlite::Result<Vec<Option<Verdict>>> {
    let sql = "SELECT verdict FROM settled WHERE delivery = ?1 AND request = ?2 AND ordinal = ?3 AND expires_at > ?4";
    let mut statement = file.prepare_cached(sql)?;
    let verdict = |attempt: &AttemptId| {
        let values = params![attempt.delivery.as_str(), attempt.request, attempt.ordinal, now];
        statement.query_row(values, |row| rows::json(row, 0)).optional()
    };
    attempts.iter().map(verdict).collect()
}

/// The counters of a webhook.
pub(super) fn health(file: &Connection, webhook: &WebhookId) -> rusqlite::Result<Health> {
    let sql = "SELECT consecutive_failures, failing_since, succeeded_at FROM health WHERE webhook = ?1";
    let health = file.prepare_cached(sql)?.query_row([webhook.as_str()], |row| {
        Ok(Health {
            consecutive_failures: row.get(0)?,
            failing_since: rows::optional_time(row, 1)?,
            succeeded_at: rows::optional_time(row, 2)?,
            ..Health::default()
        })
    });
    Ok(health.optional()?.unwrap_or_default())
}

/// The newest orders of the tags of a repository that are kept at `now`, in the order asked.
pub(super) fn newest(
    file: &Connection,
    webhook: &WebhookId,
    (registry, repository): (&Registry, &Repository),
    tags: &[Tag],
    now: i64,
) -> rusqlite::Result<Vec<Option<Order>>> {
    let sql = "SELECT latest FROM newest
               WHERE webhook = ?1 AND registry = ?2 AND repository = ?3 AND tag = ?4 AND expires_at > ?5
               ORDER BY latest DESC LIMIT 1";
    let mut statement = file.prepare_cached(sql)?;
    let order = |tag: &Tag| {
        let values = params![webhook.as_str(), registry.as_str(), repository.as_str(), tag.as_str(), now];
        let order = |row: &rusqlite::Row<'_>| rows::parsed(row, 0, |text| Order::try_from(text.to_owned()));
        statement.query_row(values, order).optional()
    };
    tags.iter().map(order).collect()
}
