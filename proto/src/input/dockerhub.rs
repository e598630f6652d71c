//! Docker Hub, whose payload others send too.
//!
//! Source: *Webhooks* of Docker's documentation, and what it showed in 2015, 2016 and 2018.

use serde_json::Value;

use super::Entry;
use super::field::{count, flag, is_object, seconds, short, short_text, text};
use super::image::{Image, tag};
use super::report::{Action, Report};
use crate::event::Metadata;
use crate::names::{Registry, Repository};

/// The host of what a name without one stands for.
const HOST: &str = "docker.io";

/// The entries of a body. None when it is of another dialect.
pub(super) fn decode(body: &Value) -> Option<Vec<Entry>> {
    let name = text(body, &["repository", "repo_name"])?;
    is_object(body, &["push_data"]).then(|| vec![entry(body, Image::of(name))])
}

fn entry(body: &Value, image: Image<'_>) -> Entry {
    // Before 2016 there was no tag.
    let tag = tag(&Action::Push, text(body, &["push_data", "tag"]))?;
    Ok(Report {
        time: seconds(body, &["push_data", "pushed_at"]),
        registry: image.registry().or_else(|| Registry::parse(HOST).ok()),
        repository: Repository::parse(image.path).ok(),
        media_type: media_type(body),
        pusher: short_text(body, &["push_data", "pusher"]),
        metadata: Some(Box::new(metadata(body))),
        ..Report::of_manifest(Action::Push, tag, None)
    })
}

/// Docker Hub names the type of the config there, which is not that of the manifest.
fn media_type(body: &Value) -> Option<String> {
    let is_manifest = |name: &&str| name.contains("manifest") || name.contains("image.index");
    text(body, &["push_data", "media_type"]).filter(is_manifest).map(short)
}

fn metadata(body: &Value) -> Metadata {
    let owned = |member| text(body, &["repository", member]).map(ToOwned::to_owned);
    let is = |member| flag(body, &["repository", member]);
    Metadata {
        description: owned("description"),
        full_description: owned("full_description"),
        dockerfile: owned("dockerfile"),
        url: owned("repo_url"),
        owner: owned("owner"),
        is_private: is("is_private"),
        is_official: is("is_official"),
        is_trusted: is("is_trusted"),
        star_count: count(body, &["repository", "star_count"]),
        comment_count: count(body, &["repository", "comment_count"]),
        created_at: seconds(body, &["repository", "date_created"]),
    }
}
