//! `JFrog` Artifactory: webhooks of the domain `docker`.
//!
//! Source: *Webhook event types, domain docker* of `JFrog`'s documentation.

use serde_json::Value;

use super::Entry;
use super::field::{at, count, short, text};
use super::image::tag;
use super::report::{Action, Report};
use crate::names::{Digest, Registry, Repository};

const LIST_TYPE: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The entries of a body, with its envelope or without it. None when it is of another dialect.
pub(super) fn decode(body: &Value) -> Option<Vec<Entry>> {
    let kind = text(body, &["event_type"])?;
    match text(body, &["domain"]) {
        Some("docker") => Some(vec![entry(kind, at(body, &["data"]).unwrap_or(&Value::Null), body)]),
        Some(other) => Some(vec![Ok(Report::noise(other))]),
        None => {
            let is_data = text(body, &["repo_key"]).is_some() && text(body, &["image_name"]).is_some();
            is_data.then(|| vec![entry(kind, body, &Value::Null)])
        }
    }
}

fn entry(kind: &str, data: &Value, envelope: &Value) -> Entry {
    let action = match kind {
        "pushed" => Action::Push,
        "deleted" => Action::Delete,
        other => return Ok(Report::noise(other)),
    };
    let tag = tag(&action, text(data, &["tag"]))?;
    let digest = text(data, &["sha256"]).and_then(|hash| Digest::parse(&format!("sha256:{hash}")).ok());
    let is_push = action == Action::Push;
    Ok(Report {
        registry: text(envelope, &["jpd_origin"]).and_then(registry),
        repository: text(data, &["image_name"]).and_then(|name| Repository::parse(name).ok()),
        // Other manifests have a file of one name, whatever they are.
        media_type: (text(data, &["name"]) == Some("list.manifest.json")).then(|| LIST_TYPE.to_owned()),
        size: is_push.then(|| count(data, &["size"])).flatten(),
        pusher: text(envelope, &["source"]).and_then(pusher),
        ..Report::of_manifest(action, tag, digest)
    })
}

fn registry(origin: &str) -> Option<Registry> {
    let host = origin.split_once("://").map_or(origin, |(_, rest)| rest).split('/').next()?;
    Registry::parse(host).ok()
}

/// `jfrog/user@example.com`
fn pusher(source: &str) -> Option<String> {
    let (_, user) = source.split_once('/')?;
    Some(short(user)).filter(|user| !user.is_empty())
}
