//! Alibaba's Container Registry: like Docker Hub, with a digest and with times as texts.
//!
//! Source: *Manage webhooks* of Alibaba Cloud's documentation.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::offset;
use serde_json::Value;

use super::Entry;
use super::field::{is_object, known, text};
use super::image::tag;
use super::report::{Action, Report};
use crate::event::Metadata;
use crate::names::{Digest, Registry, Repository};

/// Its times have no zone; they are those of China.
const HOURS_AHEAD: i8 = 8;

/// The entries of a body. None when it is of another dialect.
pub(super) fn decode(body: &Value) -> Option<Vec<Entry>> {
    let name = text(body, &["repository", "repo_full_name"])?;
    is_object(body, &["push_data"]).then(|| vec![entry(body, name)])
}

fn entry(body: &Value, name: &str) -> Entry {
    let tag = tag(&Action::Push, text(body, &["push_data", "tag"]))?;
    let digest = text(body, &["push_data", "digest"]).and_then(|digest| Digest::parse(digest).ok());
    let region = text(body, &["repository", "region"]);
    Ok(Report {
        time: china_time(body, &["push_data", "pushed_at"]),
        // The registry of everybody's personal edition in that region; others are told by the configuration.
        registry: region.and_then(|region| Registry::parse(&format!("registry.{region}.aliyuncs.com")).ok()),
        repository: Repository::parse(name).ok(),
        metadata: Some(Box::new(Metadata {
            is_private: text(body, &["repository", "repo_type"]).map(|kind| kind.eq_ignore_ascii_case("private")),
            created_at: china_time(body, &["repository", "date_created"]),
            ..Metadata::default()
        })),
        ..Report::of_manifest(Action::Push, tag, digest)
    })
}

fn china_time(body: &Value, path: &[&str]) -> Option<Timestamp> {
    let time: DateTime = text(body, path)?.parse().ok()?;
    known(offset(HOURS_AHEAD).to_timestamp(time).ok()?)
}
