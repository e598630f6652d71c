//! Docker Hub's payload, in full.
//!
//! Source: <https://docs.docker.com/docker-hub/repos/manage/webhooks/>, and payloads that Docker Hub sent.
//! Times and counts are integers: Keel and go-playground/webhooks refuse anything else.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::{Rendered, json};
use crate::batch::{Batch, Change};
use crate::event::Metadata;
use crate::names::Digest;
use crate::options::{Options, RepoName};

/// Dokploy knows Docker Hub by the beginning of it.
const USER_AGENT: &str = concat!("Go-http-client/1.1 Dockbell/", env!("CARGO_PKG_VERSION"));

#[derive(Serialize)]
struct Payload<'a> {
    callback_url: &'a str,
    push_data: PushData<'a>,
    repository: Repository<'a>,
}

#[derive(Serialize)]
struct PushData<'a> {
    images: Vec<&'a str>,
    pushed_at: i64,
    pusher: &'a str,
    tag: &'a str,
    media_type: &'a str,
}

#[derive(Serialize)]
struct Repository<'a> {
    comment_count: u64,
    date_created: i64,
    description: &'a str,
    dockerfile: &'a str,
    full_description: &'a str,
    is_official: bool,
    is_private: bool,
    is_trusted: bool,
    name: &'a str,
    namespace: &'a str,
    owner: &'a str,
    repo_name: Cow<'a, str>,
    repo_url: String,
    star_count: u64,
    status: &'static str,
}

pub(super) fn render(
    options: &Options,
    content: &Batch,
    change: &Change,
    (first_seen, callback_url): (Timestamp, &str),
) -> Rendered {
    let payload =
        Payload { callback_url, push_data: push_data(change), repository: repository(options, content, first_seen) };
    Rendered::sent_as(USER_AGENT, "application/json", json(&payload))
}

fn push_data(change: &Change) -> PushData<'_> {
    let children = change.children.iter().map(|child| &child.digest);
    PushData {
        images: change.digest.iter().chain(children).map(Digest::as_str).collect(),
        pushed_at: change.pushed_at.as_second(),
        pusher: change.pusher.as_deref().unwrap_or_default(),
        tag: change.tag.as_str(),
        media_type: change.media_type.as_deref().unwrap_or_default(),
    }
}

fn repository<'a>(options: &Options, content: &'a Batch, first_seen: Timestamp) -> Repository<'a> {
    static UNKNOWN: Metadata = Metadata {
        description: None,
        full_description: None,
        dockerfile: None,
        url: None,
        owner: None,
        is_private: None,
        is_official: None,
        is_trusted: None,
        star_count: None,
        comment_count: None,
        created_at: None,
    };
    let known = content.metadata.as_deref().unwrap_or(&UNKNOWN);
    let namespace = content.repository.namespace().unwrap_or_default();
    let composed_url = || format!("https://{}/{}", content.registry, content.repository);
    Repository {
        comment_count: known.comment_count.unwrap_or(0),
        date_created: known.created_at.unwrap_or(first_seen).as_second(),
        description: known.description.as_deref().unwrap_or_default(),
        dockerfile: known.dockerfile.as_deref().unwrap_or_default(),
        full_description: known.full_description.as_deref().unwrap_or_default(),
        is_official: known.is_official.unwrap_or(false),
        is_private: known.is_private.unwrap_or(false),
        is_trusted: known.is_trusted.unwrap_or(false),
        name: content.repository.base_name(),
        namespace,
        owner: known.owner.as_deref().unwrap_or(namespace),
        repo_name: repo_name(options, content),
        repo_url: known.url.clone().unwrap_or_else(composed_url),
        star_count: known.star_count.unwrap_or(0),
        status: "Active",
    }
}

fn repo_name<'a>(options: &Options, content: &'a Batch) -> Cow<'a, str> {
    match options.repo_name.unwrap_or(RepoName::Short) {
        RepoName::Short => Cow::Borrowed(content.repository.as_str()),
        RepoName::Qualified => Cow::Owned(format!("{}/{}", content.registry, content.repository)),
    }
}
