//! Amazon ECR: events of `EventBridge`, as they are or turned into `CloudEvents`.
//!
//! Source: *Amazon ECR events and `EventBridge`* of Amazon's documentation.

use serde_json::Value;

use super::Entry;
use super::cloudevents::{self, CloudEvent};
use super::field::{is_object, short, text, time};
use super::image::tag;
use super::report::{Action, Report};
use crate::ids::EventId;
use crate::names::{Digest, Registry, Repository};

/// The events about pushes and deletions; others are about scans, replication and caches.
const IMAGE_ACTION: &str = "ECR Image Action";

/// The entries of a body. None when it is of another dialect.
pub(super) fn decode(body: &Value) -> Option<Vec<Entry>> {
    let kind = text(body, &["detail-type"])?;
    is_object(body, &["detail"]).then(|| vec![entry(kind, body)])
}

fn entry(kind: &str, body: &Value) -> Entry {
    let detail = |name| text(body, &["detail", name]);
    let action = match detail("action-type") {
        _ if kind != IMAGE_ACTION => return Ok(Report::noise(kind)),
        Some("PUSH") if detail("result").is_none_or(|result| result == "SUCCESS") => Action::Push,
        Some("DELETE") => Action::Delete,
        other => return Ok(Report::noise(other.unwrap_or(kind))),
    };
    let tag = tag(&action, detail("image-tag"))?;
    let digest = detail("image-digest").and_then(|digest| Digest::parse(digest).ok());
    Ok(Report {
        id: text(body, &["id"]).and_then(|id| EventId::parse(id).ok()),
        time: time(body, &["time"]),
        registry: registry(text(body, &["account"]), text(body, &["region"])),
        repository: detail("repository-name").and_then(|name| Repository::parse(name).ok()),
        media_type: detail("manifest-media-type").map(short).filter(|name| !name.is_empty()),
        ..Report::of_manifest(action, tag, digest)
    })
}

/// The host by which an account's registry is reached.
fn registry(account: Option<&str>, region: Option<&str>) -> Option<Registry> {
    let region = region?;
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    Registry::parse(&format!("{}.dkr.ecr.{region}.{domain}", account?)).ok()
}

/// Whether a `CloudEvent` is one that was made of ECR's.
pub(super) fn is_ecrs(event: &CloudEvent<'_>) -> bool {
    event.kind.starts_with("com.amazon.ecr.") && text(&event.data, &["repositoryName"]).is_some()
}

/// The entry of an event of ECR that was turned into a `CloudEvent`, with a source such as
/// `urn:aws:ecr:us-east-1:123456789012:repository/app`.
pub(super) fn of_cloudevent(event: &CloudEvent<'_>) -> Entry {
    let action = cloudevents::action(event.kind);
    let data = |name| text(&event.data, &[name]);
    let tag = tag(&action, data("imageTag"))?;
    let digest = data("imageDigest").and_then(|digest| Digest::parse(digest).ok());
    let region = event.source.and_then(|source| source.split(':').nth(3));
    Ok(Report {
        id: event.id.and_then(|id| EventId::parse(id).ok()),
        time: event.time,
        registry: registry(data("registryId"), region),
        repository: data("repositoryName").and_then(|name| Repository::parse(name).ok()),
        ..Report::of_manifest(action, tag, digest)
    })
}
