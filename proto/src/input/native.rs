//! Dockbell's own event, as publishers who write for Dockbell send it, and as the bus carries it.

use serde_json::Value;

use super::Entry;
use super::distribution::references;
use super::field::{count, list, short, short_text, text};
use super::report::{Action, Kind, Report};
use crate::event::{EVENT_SCHEMA, Metadata};
use crate::ids::{EventId, SourceName};
use crate::names::{Digest, Registry, Repository, Tag};
use crate::trace::TraceContext;

/// The entries of a native body: one event. None when the body is not native.
pub(super) fn decode(body: &Value) -> Option<Vec<Entry>> {
    (body.get("schema")?.as_str()? == EVENT_SCHEMA).then(|| vec![report(body)])
}

/// The schema that a body claims to have, if it is one of Dockbell's.
pub(super) fn schema(body: &Value) -> Option<String> {
    text(body, &["schema"]).filter(|schema| schema.starts_with("dockbell.")).map(short)
}

/// Reads one event. What Dockbell's own schema defines is held to it: a wrong type is an error here, where
/// a foreign dialect's would be passed over.
fn report(event: &Value) -> Entry {
    let repository = text(event, &["repository"]).ok_or("`repository` is missing")?;
    let metadata = match event.get("metadata") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            serde_json::from_value::<Box<Metadata>>(value.clone())
                .map_err(|_| "`metadata` has a member of the wrong type")?,
        ),
    };
    Ok(Report {
        action: Action::Push,
        kind: Kind::Manifest,
        id: text(event, &["id"]).and_then(|id| EventId::parse(id).ok()),
        time: member(event, "time", |text| text.parse().ok(), "`time` is not an RFC 3339 time")?,
        registry: member(event, "registry", |text| Registry::parse(text).ok(), "`registry` is not a host")?,
        repository: Some(Repository::parse(repository).map_err(|_| "`repository` is not a repository name")?),
        tag: member(event, "tag", |text| Tag::parse(text).ok(), "`tag` is not a tag")?,
        digest: member(event, "digest", |text| Digest::parse(text).ok(), "`digest` is not a digest")?,
        media_type: short_text(event, &["media_type"]),
        size: count(event, &["size"]),
        pusher: short_text(event, &["pusher"]),
        references: references(list(event, &["references"]), "media_type"),
        truncated: event.get("truncated").and_then(Value::as_bool).unwrap_or_default(),
        metadata,
        received_at: text(event, &["received_at"]).and_then(|text| text.parse().ok()),
        source: text(event, &["source"]).and_then(|name| SourceName::parse(name).ok()),
        trace: TraceContext::from_headers(
            text(event, &["trace", "traceparent"]),
            text(event, &["trace", "tracestate"]),
        ),
    })
}

fn member<T>(
    event: &Value,
    key: &str,
    read: impl Fn(&str) -> Option<T>,
    problem: &'static str,
) -> Result<Option<T>, &'static str> {
    match event.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => optional(Some(text), read, problem),
        Some(_) => Err(problem),
    }
}

/// Reads a text that may be missing or empty.
pub(super) fn optional<T>(
    text: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
    problem: &'static str,
) -> Result<Option<T>, &'static str> {
    text.filter(|text| !text.is_empty()).map(|text| read(text).ok_or(problem)).transpose()
}
