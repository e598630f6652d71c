//! What of the skipped deliveries is worth sending again, and sending it.

use std::collections::HashSet;

use jiff::Timestamp;

use dockbell_backends::store::{DeliveryRecord, HistoryQuery, PAGE_LIMIT, PageRequest};
use dockbell_proto::ids::WebhookId;
use dockbell_proto::names::{Registry, Repository, Tag};
use dockbell_proto::order::Order;
use dockbell_proto::outcome::DeliveryState;

use crate::problem::Problem;
use crate::view::Replayed;
use crate::{Console, publish};

/// From when to when something was skipped; without an end, if none.
#[derive(Debug, Default)]
pub(crate) struct Span {
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

impl Span {
    fn holds(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

/// A tag of a repository.
type Place = (Registry, Repository, Tag);

/// Sends again what the webhook missed within `span`, and forgets what else it missed. If it fails halfway, what was
/// sent stays sent, and is sent again by a repetition: the ids tell.
pub(crate) async fn skipped(console: &Console, webhook: &WebhookId, span: &Span) -> Result<Replayed, Problem> {
    let counted = console.store.health(webhook).await?.skipped;
    let found = all_skipped(console, webhook).await?;
    let lost = counted.saturating_sub(count(found.len()));
    let (within, outside): (Vec<_>, Vec<_>) = found.into_iter().partition(|record| span.holds(record.last_at));
    let asked = count(within.len());
    let mut wanted = Vec::new();
    for record in newest_per_tag(within) {
        if !is_overtaken(console, &record).await? {
            wanted.push(record);
        }
    }
    // The receiver ends at the newest, so that the oldest goes first.
    for record in wanted.iter().rev() {
        publish::again(console, &record.delivery).await?;
    }
    console.store.forget_skipped(webhook).await?;
    let replayed = count(wanted.len());
    Ok(Replayed { replayed, overtaken: asked - replayed, left_out: count(outside.len()), lost })
}

/// Everything of the webhook that the history holds as skipped, newest first. There are few.
async fn all_skipped(console: &Console, webhook: &WebhookId) -> Result<Vec<DeliveryRecord>, Problem> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { after, limit: PAGE_LIMIT };
        let query = HistoryQuery { webhook: Some(webhook.clone()), state: Some(DeliveryState::Skipped), page };
        let page = console.store.history(&query).await?;
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Of each tag the delivery of its newest change; newest first.
fn newest_per_tag(mut records: Vec<DeliveryRecord>) -> Vec<DeliveryRecord> {
    records.sort_by(|a, b| newest(b).cmp(&newest(a)));
    let mut seen: HashSet<Place> = HashSet::new();
    records.retain(|record| {
        let content = &record.delivery.content;
        let place = |tag: &Tag| (content.registry.clone(), content.repository.clone(), tag.clone());
        content.changes.iter().filter(|change| seen.insert(place(&change.tag))).count() > 0
    });
    records
}

fn newest(record: &DeliveryRecord) -> Option<&Order> {
    record.delivery.content.newest()
}

/// Whether each of its tags has a later change that was delivered, or waits.
async fn is_overtaken(console: &Console, record: &DeliveryRecord) -> Result<bool, Problem> {
    let (webhook, content) = (&record.delivery.webhook, &record.delivery.content);
    let tags: Vec<Tag> = content.changes.iter().map(|change| change.tag.clone()).collect();
    let latest = console.store.newest(webhook, (&content.registry, &content.repository), &tags).await?;
    let is_old = |(change, latest): (&dockbell_proto::batch::Change, Option<Order>)| {
        latest.is_some_and(|latest| latest > change.order)
    };
    Ok(content.changes.iter().zip(latest).all(is_old))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
