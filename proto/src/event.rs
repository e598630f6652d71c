//! The canonical event: one push of one manifest, whatever the dialect it was reported in.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{EventId, SourceName};
use crate::names::{Digest, Registry, Repository, Tag};
use crate::order::Order;
use crate::trace::TraceContext;

/// The schema of the native event, and of events on the bus.
pub const EVENT_SCHEMA: &str = "dockbell.event/1";

/// The most references of one manifest that are kept; beyond it `truncated` is set. It keeps an event
/// below the size of a batch, unless media types are far longer than any in use.
pub const REFERENCES_LIMIT: usize = 256;

/// One push of one manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Always [`EVENT_SCHEMA`].
    pub schema: Schema,
    /// The source's own id, or a hash of the event's facts where it has none.
    pub id: EventId,
    /// Who reported it.
    pub source: SourceName,
    /// The registry that was pushed to.
    pub registry: Registry,
    /// The repository that was pushed to.
    pub repository: Repository,
    /// The tag that was pushed; none when a manifest was pushed by digest, as the platforms of an index are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// The digest of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The media type of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The size of the manifest itself, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Who pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pusher: Option<String>,
    /// When the source says it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// When an intake of ours took it in; it decides the order of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Timestamp>,
    /// What the manifest names: config and layers of an image, platforms of an index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// Whether references were left out because there were too many.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// What the source knows about the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Arc<Metadata>>,
    /// The trace that the event belongs to.
    #[serde(default, skip_serializing_if = "TraceContext::is_empty")]
    pub trace: TraceContext,
}

impl Event {
    /// What "newer" compares: the intake's stamp, else the source's time.
    pub fn order(&self) -> Order {
        let at = self.received_at.or(self.time).unwrap_or(Timestamp::UNIX_EPOCH);
        Order::new(at, self.id.clone())
    }
}

/// The literal text [`EVENT_SCHEMA`]; nothing else deserialises to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schema {
    /// The schema of this version.
    #[default]
    #[serde(rename = "dockbell.event/1")]
    EventV1,
}

/// A descriptor that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The digest of the blob or manifest.
    pub digest: Digest,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// For a manifest named by an index: `os/architecture[/variant]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// What a source knows about a repository beyond its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// A line about the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The long description, as Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_description: Option<String>,
    /// The text of the Dockerfile that built it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// The page of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The account that owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whether only members may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_private: Option<bool>,
    /// Whether the registry's operator vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_official: Option<bool>,
    /// Whether it is built by the registry from a trusted source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_trusted: Option<bool>,
    /// How many people marked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub star_count: Option<u64>,
    /// How many comments it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment_count: Option<u64>,
    /// When it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

impl Metadata {
    /// The longest text that is kept of one field, in bytes (Docker Hub's own limit for a full description
    /// is 25,000 characters).
    pub const TEXT_LIMIT: usize = 25_000;

    /// Cuts texts that are too long, at a character's border.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let texts =
            [&mut self.description, &mut self.full_description, &mut self.dockerfile, &mut self.url, &mut self.owner];
        for text in texts.into_iter().flatten() {
            cut(text, Self::TEXT_LIMIT);
        }
        self
    }
}

/// Cuts `text` to at most `limit` bytes, at a character's border.
pub fn cut(text: &mut String, limit: usize) {
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "aé".repeat(3);
        cut(&mut text, 5);
        assert_eq!(text, "aéa");
    }
}
