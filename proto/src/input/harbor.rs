//! Harbor: its default format, its `CloudEvents`, and what its versions before 2.0 sent.
//!
//! Source: `src/pkg/notifier/formats` and `src/controller/event/topic.go` of goharbor/harbor.

use serde_json::Value;

use super::Entry;
use super::cloudevents::CloudEvent;
use super::field::{at, first_text, is_object, list, seconds, short, short_text, text};
use super::image::{Image, tag};
use super::report::{Action, Report};
use crate::event::Metadata;
use crate::ids::EventId;
use crate::names::{Digest, Repository};

/// What the types of Harbor's `CloudEvents` begin with.
const PREFIX: &str = "harbor.";

/// The entries of a body in the default format. None when it is of another dialect.
pub(super) fn decode(body: &Value) -> Option<Vec<Entry>> {
    if let Some(entries) = decode_legacy(body) {
        return Some(entries);
    }
    let kind = text(body, &["type"])?;
    let data = at(body, &["event_data"]).filter(|data| data.is_object())?;
    let base = Report {
        time: seconds(body, &["occur_at"]),
        pusher: short_text(body, &["operator"]),
        ..Report::new(action(kind), super::Kind::Unknown)
    };
    Some(entries(data, &base))
}

/// Whether a `CloudEvent` is one of Harbor's.
pub(super) fn is_harbors(event: &CloudEvent<'_>) -> bool {
    event.kind.starts_with(PREFIX) || list(&event.data, &["resources"]).iter().any(Value::is_object)
}

/// The entries of a `CloudEvent`, whose data are those of the default format.
pub(super) fn decode_cloudevent(event: &CloudEvent<'_>) -> Vec<Entry> {
    let base = Report {
        id: event.id.and_then(|id| EventId::parse(id).ok()),
        time: event.time,
        pusher: event.extension("operator").map(|name| short(&name)).filter(|name| !name.is_empty()),
        ..Report::new(action(event.kind), super::Kind::Unknown)
    };
    entries(&event.data, &base)
}

fn action(kind: &str) -> Action {
    match kind {
        "PUSH_ARTIFACT" | "pushImage" | "harbor.artifact.pushed" => Action::Push,
        "PULL_ARTIFACT" | "pullImage" | "harbor.artifact.pulled" => Action::Pull,
        "DELETE_ARTIFACT" | "deleteImage" | "harbor.artifact.deleted" => Action::Delete,
        other => Action::Other(short(other)),
    }
}

/// One entry for each resource. What is no push of an artifact may have none, and is told all the same.
fn entries(data: &Value, base: &Report) -> Vec<Entry> {
    if let Action::Other(name) = &base.action {
        return vec![Ok(Report::noise(name))];
    }
    list(data, &["resources"]).iter().map(|resource| entry(data, resource, base)).collect()
}

fn entry(data: &Value, resource: &Value, base: &Report) -> Entry {
    // Which registry it is stands in the reference alone. What is no reference is no reason to drop the push.
    let image = text(resource, &["resource_url"]).map(Image::of);
    let tag = tag(&base.action, text(resource, &["tag"]))?;
    let digest = text(resource, &["digest"]).and_then(|digest| Digest::parse(digest).ok());
    Ok(Report {
        id: base.id.clone(),
        time: base.time,
        pusher: base.pusher.clone(),
        registry: image.and_then(|image| image.registry()),
        repository: repository(data),
        metadata: metadata(data),
        ..Report::of_manifest(base.action.clone(), tag, digest)
    })
}

/// The name of a nested repository has slashes, and not every version says everything.
fn repository(data: &Value) -> Option<Repository> {
    let part = |name| text(data, &["repository", name]);
    let name = match (part("repo_full_name"), part("namespace"), part("name")) {
        (Some(full), ..) => full.to_owned(),
        (None, Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        (None, _, name) => name?.to_owned(),
    };
    Repository::parse(&name).ok()
}

fn metadata(data: &Value) -> Option<Box<Metadata>> {
    let metadata = Metadata {
        is_private: text(data, &["repository", "repo_type"]).map(|kind| kind.eq_ignore_ascii_case("private")),
        created_at: seconds(data, &["repository", "date_created"]),
        ..Metadata::default()
    };
    (metadata != Metadata::default()).then(|| Box::new(metadata))
}

/// Harbor 1.9 and before: a list of events that has the name of a distribution envelope's.
fn decode_legacy(body: &Value) -> Option<Vec<Entry>> {
    let kind = text(body, &["event_type"])?;
    let events = list(body, &["events"]);
    let is_one = |event: &Value| text(event, &["full_name"]).is_some() || is_object(event, &["repository"]);
    events.iter().any(is_one).then(|| events.iter().map(|event| legacy(kind, event)).collect())
}

fn legacy(kind: &str, event: &Value) -> Entry {
    let action = action(kind);
    let tag = tag(&action, text(event, &["tag"]))?;
    let name = first_text(event, &[&["full_name"], &["repo_name"]]);
    let repository = name.and_then(|name| Repository::parse(name).ok());
    Ok(Report { repository, ..Report::of_manifest(action, tag, None) })
}
