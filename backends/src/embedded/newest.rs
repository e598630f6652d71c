//! The newest order of each tag: the latest that was accepted, and the latest that waits. Orders compare as their
//! texts do.

use std::time::Duration;

use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::names::{Registry, Repository, Tag};
use dockbell_proto::order::Order;
use dockbell_proto::policy::LONGEST_AGE;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows;

/// How long the newest order of a tag is kept after it was last raised: as long as a delivery may wait.
const NEWEST_KEPT: Duration = LONGEST_AGE;

/// Why an order is the newest of its tag. What was accepted stays so; what waits may still be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    Accepted = 0,
    Waits = 1,
}

/// The newest orders of the tags of a repository that are kept at `now`, in the order asked.
pub(super) fn of(
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

/// The latest of what took the place of the delivery; none unless each of its tags has a later order.
pub(super) fn later(file: &Connection, delivery: &Delivery, now: i64) -> rusqlite::Result<Option<Order>> {
    let content = &delivery.content;
    let tags: Vec<Tag> = content.changes.iter().map(|change| change.tag.clone()).collect();
    let found = of(file, &delivery.webhook, (&content.registry, &content.repository), &tags, now)?;
    let later = |(change, newest): (&dockbell_proto::batch::Change, Option<Order>)| {
        newest.filter(|newest| newest.supersedes(&change.order))
    };
    let later: Option<Vec<Order>> = content.changes.iter().zip(found).map(later).collect();
    Ok(later.and_then(|orders| orders.into_iter().max()))
}

/// Raises the newest order of each tag of the delivery.
pub(super) fn raise(file: &Connection, delivery: &Delivery, because: Because, now: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO newest (webhook, registry, repository, tag, waits, latest, expires_at)
               VALUES (?1, ?2, ?3, ?4, ?8, ?5, ?6)
               ON CONFLICT (webhook, registry, repository, tag, waits) DO UPDATE SET
               latest = CASE WHEN expires_at <= ?7 THEN ?5 ELSE max(latest, ?5) END, expires_at = ?6";
    let mut statement = file.prepare_cached(sql)?;
    let expires_at = now.saturating_add(rows::micros(NEWEST_KEPT));
    let (webhook, content) = (delivery.webhook.as_str(), &delivery.content);
    for change in &content.changes {
        let (registry, repository, tag) = (content.registry.as_str(), content.repository.as_str(), change.tag.as_str());
        let (order, waits) = (change.order.to_string(), because as i64);
        statement.execute(params![webhook, registry, repository, tag, order, expires_at, now, waits])?;
    }
    Ok(())
}

/// What waited is the newest of what waits no more.
pub(super) fn forget_waiting(file: &Connection, delivery: &Delivery) -> rusqlite::Result<()> {
    let sql = "DELETE FROM newest
               WHERE webhook = ?1 AND registry = ?2 AND repository = ?3 AND tag = ?4 AND waits = 1 AND latest = ?5";
    let mut statement = file.prepare_cached(sql)?;
    let (webhook, content) = (delivery.webhook.as_str(), &delivery.content);
    for change in &content.changes {
        let (registry, repository, tag) = (content.registry.as_str(), content.repository.as_str(), change.tag.as_str());
        statement.execute(params![webhook, registry, repository, tag, change.order.to_string()])?;
    }
    Ok(())
}
