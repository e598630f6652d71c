//! Harbor's payload of a pushed artifact, with exactly one resource.
//!
//! Source: `src/pkg/notifier/model/event.go` of Harbor. Image Updater, Argo CD and Kargo refuse other types.

use jiff::Timestamp;
use serde::Serialize;

use super::Rendered;
use crate::batch::{Batch, Change};
use crate::names::Digest;

#[derive(Serialize)]
struct Payload<'a> {
    r#type: &'static str,
    occur_at: i64,
    operator: &'a str,
    event_data: EventData<'a>,
}

#[derive(Serialize)]
struct EventData<'a> {
    resources: [Resource<'a>; 1],
    repository: Repository<'a>,
}

#[derive(Serialize)]
struct Resource<'a> {
    digest: &'a str,
    tag: &'a str,
    #[serde(rename = "resource_url")]
    url: String,
}

#[derive(Serialize)]
struct Repository<'a> {
    date_created: i64,
    name: &'a str,
    namespace: &'a str,
    repo_full_name: &'a str,
    repo_type: &'static str,
}

pub(super) fn render(content: &Batch, change: &Change, first_seen: Timestamp) -> Rendered {
    let payload = Payload {
        r#type: "PUSH_ARTIFACT",
        occur_at: change.pushed_at.as_second(),
        operator: change.pusher.as_deref().unwrap_or_default(),
        event_data: EventData {
            resources: [Resource {
                digest: change.digest.as_ref().map_or("", Digest::as_str),
                tag: change.tag.as_str(),
                url: format!("{}/{}:{}", content.registry, content.repository, change.tag),
            }],
            repository: repository(content, first_seen),
        },
    };
    Rendered::json(&payload)
}

fn repository(content: &Batch, first_seen: Timestamp) -> Repository<'_> {
    let known = content.metadata.as_deref();
    let is_private = known.and_then(|known| known.is_private).unwrap_or(false);
    Repository {
        date_created: known.and_then(|known| known.created_at).unwrap_or(first_seen).as_second(),
        name: content.repository.base_name(),
        namespace: content.repository.namespace().unwrap_or_default(),
        repo_full_name: content.repository.as_str(),
        repo_type: if is_private { "private" } else { "public" },
    }
}
