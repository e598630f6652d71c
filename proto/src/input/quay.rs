//! Quay: one notification for the tags of a push.
//!
//! Source: `notifications/notificationevent.py` of quay/quay.

use serde_json::Value;

use super::Entry;
use super::field::{at, text};
use super::image::{Image, tag};
use super::report::{Action, Report};
use crate::names::Repository;

/// The entries of a body, one for each tag. None when it is of another dialect.
pub(super) fn decode(body: &Value) -> Option<Vec<Entry>> {
    let repository = text(body, &["repository"])?;
    let report = |name| entry(body, repository, name);
    match at(body, &["updated_tags"]) {
        Some(Value::Array(tags)) => Some(tags.iter().map(|tag| report(tag.as_str())).collect()),
        // Quay of 2013 had the images of the tags there, by ids that are no digests.
        Some(Value::Object(tags)) => Some(tags.keys().map(|tag| report(Some(tag))).collect()),
        // Builds, scans and mirrors; a push of theirs is told by itself.
        _ => text(body, &["docker_url"]).map(|_| vec![Ok(Report::noise("no push"))]),
    }
}

fn entry(body: &Value, repository: &str, name: Option<&str>) -> Entry {
    let tag = tag(&Action::Push, name)?;
    Ok(Report {
        registry: text(body, &["docker_url"]).and_then(|url| Image::of(url).registry()),
        repository: Repository::parse(repository).ok(),
        ..Report::of_manifest(Action::Push, tag, None)
    })
}
