//! What receivers that want changes alone were last told of a tag. Orders compare as their texts do.

use dockbell_proto::batch::{Batch, Change};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::names::Digest;
use dockbell_proto::order::Order;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::{News, TOLD_KEPT, UNSURE};

use super::{rows, webhooks};

/// What is known of one tag.
#[derive(Debug, Clone)]
struct Kept {
    order: Order,
    digest: Option<Digest>,
    sure_from: i64,
    as_of: i64,
}

/// Where and when something is looked up and kept.
#[derive(Debug, Clone, Copy)]
struct Telling<'a> {
    file: &'a Connection,
    delivery: &'a Delivery,
    as_of: i64,
    now: i64,
}

/// Says what a delivery is at `now`, and takes note of it.
pub(super) fn claim(file: &Connection, delivery: &Delivery, as_of: Timestamp, now: i64) -> rusqlite::Result<News> {
    let telling = Telling { file, delivery, as_of: rows::at(as_of), now };
    let changes = &delivery.content.changes;
    let found = changes.iter().map(|change| telling.find(change)).collect::<rusqlite::Result<Vec<_>>>()?;
    let news = if delivery.request > 0 { News::New } else { telling.judge(&found) };
    for (change, kept) in changes.iter().zip(&found) {
        let current = kept.as_ref().filter(|kept| kept.as_of == telling.as_of);
        let later = current.map(|kept| &kept.order).filter(|order| **order > change.order);
        let sure_from = current.map_or(0, |kept| kept.sure_from);
        match (&news, later) {
            (News::New, later) => {
                let order = later.unwrap_or(&change.order);
                telling.keep(change, order, None, sure_from.max(telling.sure_after(kept.as_ref(), change)))?;
            }
            (News::Known, None) => telling.keep(change, &change.order, change.digest.as_ref(), sure_from)?,
            (News::Known, Some(_)) | (News::Old { .. }, _) => {}
        }
    }
    Ok(news)
}

/// Keeps what a receiver was told at `now`.
pub(super) fn keep_told(file: &Connection, delivery: &Delivery, as_of: Timestamp, now: i64) -> rusqlite::Result<()> {
    let telling = Telling { file, delivery, as_of: rows::at(as_of), now };
    for change in &delivery.content.changes {
        match telling.find(change)?.filter(|kept| kept.as_of == telling.as_of) {
            Some(kept) if kept.order > change.order => telling.keep(change, &kept.order, None, kept.sure_from)?,
            Some(kept) => telling.keep(change, &change.order, change.digest.as_ref(), kept.sure_from)?,
            // Nobody knows what was claimed meanwhile.
            None => telling.keep(change, &change.order, change.digest.as_ref(), telling.unsure())?,
        }
    }
    Ok(())
}

impl Telling<'_> {
    fn judge(&self, found: &[Option<Kept>]) -> News {
        let mut latest = None;
        let mut is_known = false;
        for (change, kept) in self.delivery.content.changes.iter().zip(found) {
            let Some(kept) = kept.as_ref().filter(|kept| kept.as_of == self.as_of) else { return News::New };
            if kept.order.supersedes(&change.order) {
                latest = latest.max(Some(&kept.order));
            } else if kept.digest.is_some() && kept.digest == change.digest && kept.sure_from <= self.now {
                is_known = true;
            } else {
                return News::New;
            }
        }
        match latest {
            Some(by) if !is_known => News::Old { by: by.clone() },
            _ => News::Known,
        }
    }

    /// From when the digest of this change will be sure, once it is told: at once, unless another one may be under way.
    fn sure_after(&self, kept: Option<&Kept>, change: &Change) -> i64 {
        let is_other_event = |kept: &Kept| kept.order.event() != change.order.event();
        let is_another = |kept: &Kept| kept.as_of != self.as_of || kept.digest.is_none() && is_other_event(kept);
        if kept.is_some_and(is_another) { self.unsure() } else { 0 }
    }

    fn unsure(&self) -> i64 {
        self.now.saturating_add(rows::micros(UNSURE))
    }

    fn find(&self, change: &Change) -> rusqlite::Result<Option<Kept>> {
        let sql = "SELECT latest, digest, sure_from, as_of FROM told
                   WHERE webhook = ?1 AND registry = ?2 AND repository = ?3 AND tag = ?4 AND expires_at > ?5";
        let Batch { registry, repository, .. } = &*self.delivery.content;
        let webhook = self.delivery.webhook.as_str();
        let values = params![webhook, registry.as_str(), repository.as_str(), change.tag.as_str(), self.now];
        let kept = |row: &rusqlite::Row<'_>| {
            let digest: Option<String> = row.get(1)?;
            Ok(Kept {
                order: rows::parsed(row, 0, |text| Order::try_from(text.to_owned()))?,
                digest: digest.map(|_| rows::parsed(row, 1, Digest::parse)).transpose()?,
                sure_from: row.get(2)?,
                as_of: row.get(3)?,
            })
        };
        self.file.prepare_cached(sql)?.query_row(values, kept).optional()
    }

    fn keep(&self, change: &Change, order: &Order, digest: Option<&Digest>, sure_from: i64) -> rusqlite::Result<()> {
        if !webhooks::exists(self.file, &self.delivery.webhook)? {
            return Ok(());
        }
        let sql = "INSERT INTO told (webhook, registry, repository, tag, latest, digest, sure_from, as_of, expires_at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                   ON CONFLICT (webhook, registry, repository, tag) DO UPDATE SET
                   latest = ?5, digest = ?6, sure_from = ?7, as_of = ?8, expires_at = ?9";
        let Batch { registry, repository, .. } = &*self.delivery.content;
        let (webhook, tag) = (self.delivery.webhook.as_str(), change.tag.as_str());
        let (order, digest) = (order.to_string(), digest.map(Digest::as_str));
        let expires_at = self.now.saturating_add(rows::micros(TOLD_KEPT));
        let names = params![
            webhook,
            registry.as_str(),
            repository.as_str(),
            tag,
            order,
            digest,
            sure_from,
            self.as_of,
            expires_at
        ];
        self.file.prepare_cached(sql)?.execute(names)?;
        Ok(())
    }
}
