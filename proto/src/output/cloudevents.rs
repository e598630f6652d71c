//! A `CloudEvent` for each tag, in structured mode or, all together, in batched mode.
//!
//! Source: `CloudEvents` 1.0.2, its JSON format and HTTP binding. Argo CD Image Updater takes types that contain
//! `container` or `image`, in structured mode, and reads `repository`, `tag`, `digest` and `registryUrl`.

use jiff::Timestamp;
use serde::Serialize;

use super::{Rendered, json};
use crate::batch::{Batch, Change};
use crate::ids::hash_hex;
use crate::names::{Digest, Registry, Repository, Tag};
use crate::options::Options;
use crate::order::Order;

/// What happened.
const TYPE: &str = "io.dockbell.container.image.pushed";

#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: &'static str,
    subject: String,
    time: Timestamp,
    /// Of two events with one subject the one with the greater text is newer (the extension *sequence*).
    sequence: &'a Order,
    datacontenttype: &'static str,
    data: Data<'a>,
}

/// Strings are never null: consumers in Go and Rust read them into types that have no null.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    registry_url: &'a Registry,
    repository: &'a Repository,
    tag: &'a Tag,
    digest: &'a str,
    media_type: &'a str,
    pusher: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    platforms: Vec<&'a str>,
}

pub(super) fn render(options: &Options, content: &Batch, change: &Change) -> Rendered {
    if options.batched == Some(true) {
        let events: Vec<Event<'_>> = content.changes.iter().map(|change| event(content, change)).collect();
        return Rendered::typed("application/cloudevents-batch+json", json(&events));
    }
    Rendered::typed("application/cloudevents+json", json(&event(content, change)))
}

fn event<'a>(content: &'a Batch, change: &'a Change) -> Event<'a> {
    let (registry, repository, tag) = (&content.registry, &content.repository, &change.tag);
    Event {
        specversion: "1.0",
        id: hash_hex(&[registry.as_str(), repository.as_str(), tag.as_str(), &change.order.to_string()]),
        source: format!("https://{registry}"),
        r#type: TYPE,
        subject: format!("{repository}:{tag}"),
        time: change.pushed_at,
        sequence: &change.order,
        datacontenttype: "application/json",
        data: Data {
            registry_url: registry,
            repository,
            tag,
            digest: change.digest.as_ref().map_or("", Digest::as_str),
            media_type: change.media_type.as_deref().unwrap_or_default(),
            pusher: change.pusher.as_deref().unwrap_or_default(),
            size: change.size,
            platforms: change.children.iter().filter_map(|child| child.platform.as_deref()).collect(),
        },
    }
}
