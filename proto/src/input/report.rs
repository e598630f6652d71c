//! A report: what a source says happened, before it is decided whether it matters.

use std::sync::Arc;

use jiff::Timestamp;

use super::field::short;
use crate::event::{Event, Metadata, REFERENCES_LIMIT, Reference, Schema};
use crate::ids::{EventId, SourceName};
use crate::names::{Digest, Registry, Repository, Tag};
use crate::trace::TraceContext;

/// What was done in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Something was pushed.
    Push,
    /// Something was pulled, or only looked at.
    Pull,
    /// A blob was shared from another repository.
    Mount,
    /// A manifest, tag or blob was deleted.
    Delete,
    /// Anything else, such as GitLab's `rename`.
    Other(String),
}

/// What it was done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A manifest of an image, an index or an artifact.
    Manifest,
    /// A layer or a config.
    Blob,
    /// A tag alone (a deletion).
    Tag,
    /// The source does not say.
    Unknown,
}

/// What a source reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What was done.
    pub action: Action,
    /// To what kind of thing.
    pub kind: Kind,
    /// The source's id of the event.
    pub id: Option<EventId>,
    /// When.
    pub time: Option<Timestamp>,
    /// The registry's host, where the source says it.
    pub registry: Option<Registry>,
    /// The repository; a report without one is of no use.
    pub repository: Option<Repository>,
    /// The tag.
    pub tag: Option<Tag>,
    /// The digest.
    pub digest: Option<Digest>,
    /// The media type.
    pub media_type: Option<String>,
    /// The size in bytes.
    pub size: Option<u64>,
    /// Who did it.
    pub pusher: Option<String>,
    /// What the manifest names.
    pub references: Vec<Reference>,
    /// Whether references were left out before.
    pub truncated: bool,
    /// What the source knows of the repository.
    pub metadata: Option<Box<Metadata>>,
    /// When one of our intakes took it in; only events that came over the bus have it.
    pub received_at: Option<Timestamp>,
    /// Which source an intake of ours took it from; only events that came over the bus have it.
    pub source: Option<SourceName>,
    /// The trace it belongs to; only events that came over the bus have it.
    pub trace: TraceContext,
}

/// Why a report leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// Not a push: pulls, mounts, deletions, renames.
    Action,
    /// A push of a blob, or of something that the source does not name.
    Blob,
}

/// What becomes of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// It is an event.
    Event(Box<Event>),
    /// It is noise, of which registries make most.
    Ignored(Ignored),
    /// It ought to be an event, but lacks what an event needs.
    Rejected(&'static str),
}

impl Report {
    /// A report of which nothing but this is known.
    pub(super) fn new(action: Action, kind: Kind) -> Self {
        Self {
            action,
            kind,
            id: None,
            time: None,
            registry: None,
            repository: None,
            tag: None,
            digest: None,
            media_type: None,
            size: None,
            pusher: None,
            references: Vec::new(),
            truncated: false,
            metadata: None,
            received_at: None,
            source: None,
            trace: TraceContext::default(),
        }
    }

    /// A report of a source that tells of nothing but manifests. Where it names neither a tag nor a digest, it
    /// tells of nothing that could be fetched.
    pub(super) fn of_manifest(action: Action, tag: Option<Tag>, digest: Option<Digest>) -> Self {
        let kind = if tag.is_some() || digest.is_some() { Kind::Manifest } else { Kind::Unknown };
        Self { tag, digest, ..Self::new(action, kind) }
    }

    /// A report of something that is no push of an image, whatever else it may be.
    pub(super) fn noise(name: &str) -> Self {
        Self::new(Action::Other(short(name)), Kind::Unknown)
    }

    /// Whether this is a push of a tagged manifest, the only thing that makes a webhook ring.
    pub fn notifies(&self) -> bool {
        self.action == Action::Push && self.kind == Kind::Manifest && self.tag.is_some()
    }

    /// Decides what becomes of the report of `source`, whose registry is `fallback` where the report
    /// does not name one.
    pub fn into_disposition(self, source: &SourceName, fallback: Option<&Registry>) -> Disposition {
        if self.action != Action::Push {
            return Disposition::Ignored(Ignored::Action);
        }
        if self.kind != Kind::Manifest {
            return Disposition::Ignored(Ignored::Blob);
        }
        let source = self.source.clone().unwrap_or_else(|| source.clone());
        let registry =
            self.registry.clone().or_else(|| fallback.cloned()).or_else(|| Registry::parse(source.as_str()).ok());
        let (Some(registry), Some(repository)) = (registry, self.repository.clone()) else {
            return Disposition::Rejected("a push names no valid repository");
        };
        if self.tag.is_none() && self.digest.is_none() {
            return Disposition::Rejected("a push names neither a tag nor a digest");
        }
        Disposition::Event(Box::new(self.into_event(source, registry, repository)))
    }

    fn into_event(self, source: SourceName, registry: Registry, repository: Repository) -> Event {
        let id = self.id.clone().unwrap_or_else(|| self.derived_id(&registry, &repository));
        let mut references = self.references;
        let truncated = self.truncated || references.len() > REFERENCES_LIMIT;
        references.truncate(REFERENCES_LIMIT);
        Event {
            schema: Schema::EventV1,
            id,
            source,
            registry,
            repository,
            tag: self.tag,
            digest: self.digest,
            media_type: self.media_type,
            size: self.size,
            pusher: self.pusher,
            time: self.time,
            received_at: self.received_at,
            references,
            truncated,
            metadata: self.metadata.map(|metadata| Arc::new(metadata.bounded())),
            trace: self.trace,
        }
    }

    fn derived_id(&self, registry: &Registry, repository: &Repository) -> EventId {
        // Without a time of its own only the stamp tells a push from its repetition: better twice than never.
        let time = self.time.or(self.received_at).map(|time| time.to_string()).unwrap_or_default();
        let tag = self.tag.as_ref().map(Tag::as_str).unwrap_or_default();
        let digest = self.digest.as_ref().map(Digest::as_str).unwrap_or_default();
        EventId::derived(&[registry.as_str(), repository.as_str(), tag, digest, &time])
    }
}
