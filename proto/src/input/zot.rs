//! zot: `CloudEvents`, usually binary, whose data are an image.
//!
//! Source: `pkg/extensions/events` of project-zot/zot.

use serde_json::Value;

use super::Entry;
use super::cloudevents::CloudEvent;
use super::field::{short_text, text};
use super::headers::Headers;
use super::image::{named_by, tag};
use super::report::{Action, Report};
use crate::event::Reference;
use crate::ids::EventId;
use crate::names::{Digest, Repository};

/// The entries of a body. None when it is no `CloudEvent`.
pub(super) fn decode(headers: &Headers, body: &Value) -> Option<Vec<Entry>> {
    CloudEvent::of(headers, body).map(|event| vec![entry(&event)])
}

/// Whether a `CloudEvent` is one of zot's. What its type begins with can be configured there; what it ends with
/// cannot, and the data have a `name`.
pub(super) fn is_zots(event: &CloudEvent<'_>) -> bool {
    let ends = [".image.updated", ".image.deleted", ".image.lint_failed", ".image.scanned", ".repository.created"];
    ends.iter().any(|end| event.kind.ends_with(end)) && text(&event.data, &["name"]).is_some()
}

/// The entry of one of zot's events. A repository that was created is no image yet.
pub(super) fn entry(event: &CloudEvent<'_>) -> Entry {
    let action = match event.kind {
        kind if kind.ends_with(".image.updated") => Action::Push,
        kind if kind.ends_with(".image.deleted") => Action::Delete,
        kind => return Ok(Report::noise(kind)),
    };
    let data = &*event.data;
    let tag = tag(&action, text(data, &["reference"]))?;
    let digest = text(data, &["digest"]).and_then(|digest| Digest::parse(digest).ok());
    Ok(Report {
        id: event.id.and_then(|id| EventId::parse(id).ok()),
        time: event.time,
        repository: text(data, &["name"]).and_then(|name| Repository::parse(name).ok()),
        media_type: short_text(data, &["mediaType"]),
        pusher: short_text(data, &["actor", "name"]),
        references: references(data),
        ..Report::of_manifest(action, tag, digest)
    })
}

/// What the manifest names, which comes as a text.
fn references(data: &Value) -> Vec<Reference> {
    let manifest = text(data, &["manifest"]).and_then(|json| serde_json::from_str::<Value>(json).ok());
    manifest.map(|manifest| named_by(&manifest, "mediaType")).unwrap_or_default()
}
