//! angos, a registry written in Rust.
//!
//! Source: `doc/reference/event-webhooks.md` of project-angos/angos.

use serde_json::Value;

use super::Entry;
use super::field::{short_text, text, time};
use super::headers::Headers;
use super::image::tag;
use super::report::{Action, Report};
use crate::ids::EventId;
use crate::names::{Digest, Repository};

/// The entries of a body. None when it is of another dialect.
pub(super) fn decode(headers: &Headers, body: &Value) -> Option<Vec<Entry>> {
    let kind = text(body, &["kind"]).or_else(|| headers.get("x-registry-event"))?;
    let namespace = text(body, &["namespace"])?;
    kind.contains('.').then(|| vec![entry(kind, namespace, body)])
}

fn entry(kind: &str, namespace: &str, body: &Value) -> Entry {
    let action = match kind {
        "manifest.push" => Action::Push,
        "manifest.delete" => Action::Delete,
        other => return Ok(Report::noise(other)),
    };
    let tag = tag(&action, text(body, &["tag"]))?;
    let digest = text(body, &["digest"]).and_then(|digest| Digest::parse(digest).ok());
    Ok(Report {
        id: text(body, &["id"]).and_then(|id| EventId::parse(id).ok()),
        time: time(body, &["timestamp"]),
        // `repository` is a name of its configuration.
        repository: Repository::parse(namespace).ok(),
        pusher: short_text(body, &["actor", "username"]),
        ..Report::of_manifest(action, tag, digest)
    })
}
