//! CNCF Distribution notifications, version 1 and 2, which GitLab's registry and ACR share.
//!
//! Source: `notifications/event.go` of distribution/distribution and its page *Work with notifications*.

use serde_json::Value;

use super::Entry;
use super::field::{count, list, short, short_text, text, time};
use super::report::{Action, Kind, Report};
use crate::event::Reference;
use crate::ids::EventId;
use crate::names::{Digest, Registry, Repository, Tag};

/// Media types that only manifests have.
const MANIFEST_TYPES: [&str; 6] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];

/// The entries of an envelope or of one bare event. None when the body is neither.
pub(super) fn decode(body: &Value) -> Option<Vec<Entry>> {
    let object = body.as_object()?;
    match object.get("events") {
        // `Envelope.Events` is omitted when empty, so `{}` is an envelope.
        None if object.is_empty() => Some(Vec::new()),
        Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(events)) if events.is_empty() || events.iter().any(is_event) => {
            Some(events.iter().map(report).collect())
        }
        Some(_) => None,
        None => is_event(body).then(|| vec![report(body)]),
    }
}

/// Other dialects have an `events` list too; only this one's elements have an action and a target.
pub(super) fn is_event(value: &Value) -> bool {
    value.get("action").is_some_and(Value::is_string) && value.get("target").is_some_and(Value::is_object)
}

/// Reads one event, in an envelope or without one.
pub(super) fn report(event: &Value) -> Entry {
    if !is_event(event) {
        return Err("an event has no `action` or no `target`");
    }
    let target = event.get("target").unwrap_or(&Value::Null);
    let url = text(target, &["url"]);
    let action = action(text(event, &["action"]).unwrap_or_default());
    // A push by digest is no push of a tag, even where a digest stands in its place.
    let tag = text(target, &["tag"]).filter(|text| Digest::parse(text).is_err()).map(Tag::parse).transpose();
    if action == Action::Push && tag.is_err() {
        return Err("`target.tag` is not a tag");
    }
    let kind = kind(target, url, action == Action::Push && matches!(tag, Ok(Some(_))));
    Ok(Report {
        id: text(event, &["id"]).and_then(|id| EventId::parse(id).ok()),
        time: time(event, &["timestamp"]),
        registry: text(event, &["request", "host"])
            .or_else(|| url.and_then(host))
            .and_then(|host| Registry::parse(host).ok()),
        repository: text(target, &["repository"]).and_then(|name| Repository::parse(name).ok()),
        tag: tag.ok().flatten(),
        digest: text(target, &["digest"]).and_then(|digest| Digest::parse(digest).ok()),
        media_type: short_text(target, &["mediaType"]),
        size: count(target, &["size"]).or_else(|| count(target, &["length"])),
        pusher: short_text(event, &["actor", "name"]),
        references: references(list(target, &["references"]), "mediaType"),
        ..Report::new(action, kind)
    })
}

fn action(name: &str) -> Action {
    match name {
        "push" => Action::Push,
        "pull" => Action::Pull,
        "mount" => Action::Mount,
        "delete" => Action::Delete,
        other => Action::Other(short(other)),
    }
}

/// Registries of Docker 1.7's time gave manifests the media type of blobs; only their URL tells. And only
/// manifests have tags, whatever media type an artifact may bring.
fn kind(target: &Value, url: Option<&str>, is_tagged_push: bool) -> Kind {
    let media_type = text(target, &["mediaType"]);
    let is_manifest_type = |name: &str| MANIFEST_TYPES.contains(&name.split(';').next().unwrap_or_default().trim());
    if is_tagged_push || media_type.is_some_and(is_manifest_type) || url.is_some_and(|url| url.contains("/manifests/"))
    {
        Kind::Manifest
    } else if media_type.is_some() || url.is_some() {
        Kind::Blob
    } else if text(target, &["tag"]).is_some() {
        Kind::Tag
    } else {
        Kind::Unknown
    }
}

/// The host of an absolute URL, as it was written.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

/// Reads descriptors; one without a valid digest is passed over.
pub(super) fn references(descriptors: &[Value], media_type: &str) -> Vec<Reference> {
    descriptors.iter().filter_map(|descriptor| reference(descriptor, media_type)).collect()
}

fn reference(descriptor: &Value, media_type: &str) -> Option<Reference> {
    Some(Reference {
        digest: Digest::parse(text(descriptor, &["digest"])?).ok()?,
        media_type: short_text(descriptor, &[media_type]),
        size: count(descriptor, &["size"]),
        platform: short_text(descriptor, &["platform"]).or_else(|| platform(descriptor)),
    })
}

/// `os/architecture[/variant]`, as image tools write a platform.
fn platform(descriptor: &Value) -> Option<String> {
    let part = |key| text(descriptor, &["platform", key]);
    let mut platform = format!("{}/{}", part("os")?, part("architecture")?);
    if let Some(variant) = part("variant") {
        platform.push('/');
        platform.push_str(variant);
    }
    Some(short(&platform)).filter(|platform| !platform.is_empty())
}
