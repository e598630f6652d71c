//! Dockbell's own payload: every change of the batch.

use jiff::Timestamp;
use serde::Serialize;

use super::Rendered;
use crate::batch::{Batch, Change, Child, Superseded};
use crate::event::{Metadata, Reference};
use crate::ids::{EventId, SourceName};
use crate::names::{Digest, Registry, Repository, Tag};
use crate::order::Order;

/// The schema of the payload.
const SCHEMA: &str = "dockbell.webhook.batch/1";

#[derive(Serialize)]
pub(super) struct Payload<'a> {
    schema: &'static str,
    source: &'a SourceName,
    registry: &'a Registry,
    repository: &'a Repository,
    opened_at: Timestamp,
    closed_at: Timestamp,
    events: u32,
    order: Option<&'a Order>,
    changes: Vec<PayloadChange<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

/// Every member is always there, so that receivers need not tell absent from null.
#[derive(Serialize)]
pub(super) struct PayloadChange<'a> {
    registry: &'a Registry,
    repository: &'a Repository,
    tag: &'a Tag,
    digest: Option<&'a Digest>,
    media_type: Option<&'a str>,
    size: Option<u64>,
    pusher: Option<&'a str>,
    pushed_at: Timestamp,
    order: &'a Order,
    superseded: &'a [Superseded],
    children: &'a [Child],
    blobs: &'a [Reference],
    truncated: bool,
    event_ids: &'a [EventId],
}

pub(super) fn render(content: &Batch) -> Rendered {
    Rendered::json(&payload(content))
}

/// Everything that is known of a batch.
pub(super) fn payload(content: &Batch) -> Payload<'_> {
    Payload {
        schema: SCHEMA,
        source: &content.source,
        registry: &content.registry,
        repository: &content.repository,
        opened_at: content.opened_at,
        closed_at: content.closed_at,
        events: content.events,
        order: content.newest(),
        changes: content.changes.iter().map(|change| payload_change(content, change)).collect(),
        metadata: content.metadata.as_deref(),
    }
}

/// Everything that is known of one of its changes.
pub(super) fn payload_change<'a>(content: &'a Batch, change: &'a Change) -> PayloadChange<'a> {
    PayloadChange {
        registry: &content.registry,
        repository: &content.repository,
        tag: &change.tag,
        digest: change.digest.as_ref(),
        media_type: change.media_type.as_deref(),
        size: change.size,
        pusher: change.pusher.as_deref(),
        pushed_at: change.pushed_at,
        order: &change.order,
        superseded: &change.superseded,
        children: &change.children,
        blobs: &change.blobs,
        truncated: change.truncated,
        event_ids: &change.event_ids,
    }
}
