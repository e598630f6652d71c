//! What receivers that want changes alone were last told of a tag. Orders compare as their texts do.

use dockbell_proto::batch::{Batch, Change};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::names::Digest;
use dockbell_proto::order::Order;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::{News, TOLD_KEPT};

use super::{rows, webhooks};

/// What is known of one tag.
type Kept = Option<(Order, Option<Digest>)>;

/// Says what a delivery is at `now`, and takes note of it.
pub(super) fn claim(file: &Connection, delivery: &Delivery, now: i64) -> rusqlite::Result<News> {
    let changes = &delivery.content.changes;
    let kept =
        changes.iter().map(|change| find(file, delivery, change, now)).collect::<rusqlite::Result<Vec<Kept>>>()?;
    let news = if delivery.request > 0 { News::New } else { judge(changes, &kept) };
    for (change, kept) in changes.iter().zip(kept) {
        let later = kept.as_ref().map(|(order, _)| order).filter(|order| **order > change.order);
        match (&news, later) {
            (News::New, later) => keep(file, delivery, change, (later.unwrap_or(&change.order), None), now)?,
            (News::Known, None) => keep(file, delivery, change, (&change.order, change.digest.as_ref()), now)?,
            (News::Known, Some(_)) | (News::Old { .. }, _) => {}
        }
    }
    Ok(news)
}

/// Keeps what a receiver was told at `now`.
pub(super) fn keep_told(file: &Connection, delivery: &Delivery, now: i64) -> rusqlite::Result<()> {
    for change in &delivery.content.changes {
        let later = find(file, delivery, change, now)?.map(|(order, _)| order).filter(|order| *order > change.order);
        match later {
            Some(later) => keep(file, delivery, change, (&later, None), now)?,
            None => keep(file, delivery, change, (&change.order, change.digest.as_ref()), now)?,
        }
    }
    Ok(())
}

fn judge(changes: &[Change], kept: &[Kept]) -> News {
    let mut latest = None;
    let mut is_known = false;
    for (change, kept) in changes.iter().zip(kept) {
        match kept {
            Some((order, _)) if *order > change.order => latest = latest.max(Some(order)),
            Some((_, Some(digest))) if change.digest.as_ref() == Some(digest) => is_known = true,
            _ => return News::New,
        }
    }
    match latest {
        Some(by) if !is_known => News::Old { by: by.clone() },
        _ => News::Known,
    }
}

fn find(file: &Connection, delivery: &Delivery, change: &Change, now: i64) -> rusqlite::Result<Kept> {
    let sql = "SELECT latest, digest FROM told
               WHERE webhook = ?1 AND registry = ?2 AND repository = ?3 AND tag = ?4 AND expires_at > ?5";
    let Batch { registry, repository, .. } = &*delivery.content;
    let values = params![delivery.webhook.as_str(), registry.as_str(), repository.as_str(), change.tag.as_str(), now];
    let kept = |row: &rusqlite::Row<'_>| {
        let digest: Option<String> = row.get(1)?;
        let digest = digest.map(|_| rows::parsed(row, 1, Digest::parse)).transpose()?;
        Ok((rows::parsed(row, 0, |text| Order::try_from(text.to_owned()))?, digest))
    };
    file.prepare_cached(sql)?.query_row(values, kept).optional()
}

fn keep(
    file: &Connection,
    delivery: &Delivery,
    change: &Change,
    (order, digest): (&Order, Option<&Digest>),
    now: i64,
) -> rusqlite::Result<()> {
    if !webhooks::exists(file, &delivery.webhook)? {
        return Ok(());
    }
    let sql = "INSERT INTO told (webhook, registry, repository, tag, latest, digest, expires_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
               ON CONFLICT (webhook, registry, repository, tag) DO UPDATE SET latest = ?5, digest = ?6, expires_at = ?7";
    let Batch { registry, repository, .. } = &*delivery.content;
    let expires_at = now.saturating_add(rows::micros(TOLD_KEPT));
    let (order, digest) = (order.to_string(), digest.map(Digest::as_str));
    let names = (delivery.webhook.as_str(), registry.as_str(), repository.as_str(), change.tag.as_str());
    file.prepare_cached(sql)?.execute(params![names.0, names.1, names.2, names.3, order, digest, expires_at])?;
    Ok(())
}
