//! The batch: what changed in one repository while its window was open.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Metadata, Reference};
use crate::ids::{EventId, SourceName, hash_hex};
use crate::names::{Digest, Registry, Repository, Tag};
use crate::order::Order;
use crate::trace::TraceContext;

/// The size that a batch on the bus never exceeds, in bytes.
pub const BATCH_LIMIT: usize = 256 * 1024;

/// A closed window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The source of its newest event.
    pub source: SourceName,
    /// The registry.
    pub registry: Registry,
    /// The repository.
    pub repository: Repository,
    /// When the window opened.
    pub opened_at: Timestamp,
    /// When it closed: the time at which its deliveries were made.
    pub closed_at: Timestamp,
    /// How many events went into it.
    pub events: u32,
    /// The tags that changed; never empty, each tag once.
    pub changes: Vec<Change>,
    /// The newest that a source said of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Arc<Metadata>>,
    /// The trace of the batch; its span links to the traces of its events.
    #[serde(default, skip_serializing_if = "TraceContext::is_empty")]
    pub trace: TraceContext,
}

impl Batch {
    /// The newest order of its changes.
    pub fn newest(&self) -> Option<&Order> {
        self.changes.iter().map(|change| &change.order).max()
    }

    /// Identifies the batch among messages: the same registry, repository and newest event make the same id. It
    /// is a hash, because together they may be longer than a broker takes.
    pub fn message_id(&self) -> String {
        let newest = self.newest().map(ToString::to_string).unwrap_or_default();
        format!("batch_{}", hash_hex(&[self.registry.as_str(), self.repository.as_str(), &newest]))
    }

    /// The part of the batch that is about one change.
    #[must_use]
    pub fn only(&self, change: &Change) -> Self {
        self.with(vec![change.clone()])
    }

    /// The batch, with these changes in place of its own.
    #[must_use]
    pub fn with(&self, changes: Vec<Change>) -> Self {
        Self {
            source: self.source.clone(),
            registry: self.registry.clone(),
            repository: self.repository.clone(),
            opened_at: self.opened_at,
            closed_at: self.closed_at,
            events: self.events,
            changes,
            metadata: self.metadata.clone(),
            trace: self.trace.clone(),
        }
    }
}

/// One tag of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The tag.
    pub tag: Tag,
    /// Its newest digest, where the source tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The media type of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The size of the manifest itself, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Who pushed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pusher: Option<String>,
    /// When it was pushed: the source's time, else the intake's.
    pub pushed_at: Timestamp,
    /// What "newer" compares.
    pub order: Order,
    /// Digests that the tag had before within the window, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<Superseded>,
    /// The platforms, if the tag is an index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Child>,
    /// Config and layers, if the tag is an image, as far as the source tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<Reference>,
    /// Whether references were left out because there were too many.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The events it is made of, the newest last.
    pub event_ids: Vec<EventId>,
}

/// A digest that a tag had before its newest one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// The digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Its order.
    pub order: Order,
}

/// One platform of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// The digest of its manifest.
    pub digest: Digest,
    /// The media type of its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The size of its manifest, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// `os/architecture[/variant]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Its config and layers, where the source reported its push in the same window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<Reference>,
}

/// Splits what a manifest names into its config and its layers. Registries name the config first.
pub fn config_and_layers(blobs: &[Reference]) -> (Option<&Reference>, &[Reference]) {
    match blobs.split_first() {
        Some((first, rest)) if !is_layer(first) => (Some(first), rest),
        _ => (None, blobs),
    }
}

fn is_layer(reference: &Reference) -> bool {
    reference.media_type.as_deref().is_some_and(|name| name.contains("layer") || name.contains("rootfs"))
}
