//! From a window's events to a batch.

use std::collections::HashMap;

use dockbell_proto::batch::{Batch, Change, Child, Superseded};
use dockbell_proto::event::{Event, Reference};
use dockbell_proto::names::{Digest, Tag};
use dockbell_proto::trace::TraceContext;
use jiff::Timestamp;

/// What the events of a window came to.
#[derive(Debug)]
pub struct Folded {
    /// The batch; none if no tag changed.
    pub batch: Option<Batch>,
    /// How many untagged manifests no index of the window names.
    pub orphans: usize,
    /// What became of the events.
    pub fates: Fates,
}

/// What became of the events of a window: each is counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fates {
    /// The newest of their tags.
    pub changed: usize,
    /// Outdone by a newer one of their tag.
    pub superseded: usize,
    /// Without a tag, named by an index of the window.
    pub children: usize,
    /// Without a tag, named by none.
    pub orphaned: usize,
}

/// Folds the events of one repository, in the order in which they came.
pub fn fold(events: &[Event], opened_at: Timestamp, closed_at: Timestamp) -> Folded {
    let mut by_tag: HashMap<&Tag, Vec<&Event>> = HashMap::new();
    let mut untagged: HashMap<&Digest, &Event> = HashMap::new();
    for event in events {
        match (&event.tag, &event.digest) {
            (Some(tag), _) => by_tag.entry(tag).or_default().push(event),
            (None, Some(digest)) => drop(untagged.insert(digest, event)),
            (None, None) => {}
        }
    }
    let manifests: HashMap<&Digest, &Event> =
        events.iter().filter_map(|event| Some((event.digest.as_ref()?, event))).collect();
    let mut changes: Vec<Change> = by_tag.into_values().filter_map(|pushes| change(pushes, &manifests)).collect();
    changes.sort_by(|a, b| a.order.cmp(&b.order));
    for child in changes.iter().flat_map(|change| &change.children) {
        untagged.remove(&child.digest);
    }
    let fates = fates(events, changes.len(), &untagged);
    Folded { batch: batch(events, changes, (opened_at, closed_at)), orphans: untagged.len(), fates }
}

/// Several events may push one manifest, so events are counted apart from manifests.
fn fates(events: &[Event], changed: usize, orphans: &HashMap<&Digest, &Event>) -> Fates {
    let tagged = events.iter().filter(|event| event.tag.is_some()).count();
    let is_orphan = |event: &&Event| event.digest.as_ref().is_none_or(|digest| orphans.contains_key(digest));
    let orphaned = events.iter().filter(|event| event.tag.is_none()).filter(is_orphan).count();
    Fates { changed, superseded: tagged - changed, children: events.len() - tagged - orphaned, orphaned }
}

fn batch(events: &[Event], changes: Vec<Change>, (opened_at, closed_at): (Timestamp, Timestamp)) -> Option<Batch> {
    if changes.is_empty() {
        return None;
    }
    let newest = events.iter().max_by_key(|event| event.order())?;
    let told = events.iter().filter(|event| event.metadata.is_some()).max_by_key(|event| event.order());
    Some(Batch {
        source: newest.source.clone(),
        registry: newest.registry.clone(),
        repository: newest.repository.clone(),
        opened_at,
        closed_at,
        events: u32::try_from(events.len()).unwrap_or(u32::MAX),
        changes,
        metadata: told.and_then(|event| event.metadata.clone()),
        trace: TraceContext::default(),
    })
}

/// The change of one tag: the latest order wins, and of equal ones the last that came.
fn change(mut pushes: Vec<&Event>, manifests: &HashMap<&Digest, &Event>) -> Option<Change> {
    pushes.sort_by_key(|event| event.order());
    let (newest, earlier) = pushes.split_last()?;
    let is_index = is_index(newest);
    Some(Change {
        tag: newest.tag.clone()?,
        digest: newest.digest.clone(),
        media_type: newest.media_type.clone(),
        size: newest.size,
        pusher: newest.pusher.clone(),
        pushed_at: newest.time.or(newest.received_at).unwrap_or(Timestamp::UNIX_EPOCH),
        order: newest.order(),
        superseded: superseded(newest, earlier),
        children: if is_index {
            newest.references.iter().map(|child_of| child(child_of, manifests)).collect()
        } else {
            Vec::new()
        },
        blobs: if is_index { Vec::new() } else { newest.references.clone() },
        truncated: newest.truncated,
        event_ids: pushes.iter().map(|event| event.id.clone()).collect(),
    })
}

/// The digests that the tag had before, each once; pushing the same again supersedes nothing.
fn superseded(newest: &Event, earlier: &[&Event]) -> Vec<Superseded> {
    let mut superseded: Vec<Superseded> = Vec::new();
    for event in earlier.iter().filter(|event| event.digest != newest.digest) {
        superseded.retain(|known| known.digest != event.digest);
        superseded.push(Superseded { digest: event.digest.clone(), order: event.order() });
    }
    superseded
}

fn child(reference: &Reference, manifests: &HashMap<&Digest, &Event>) -> Child {
    Child {
        digest: reference.digest.clone(),
        media_type: reference.media_type.clone(),
        size: reference.size,
        platform: reference.platform.clone(),
        blobs: manifests.get(&reference.digest).map(|event| event.references.clone()).unwrap_or_default(),
    }
}

/// An index names manifests; its media type says so, or the platforms it names.
fn is_index(event: &Event) -> bool {
    let by_type =
        event.media_type.as_deref().is_some_and(|name| name.contains("image.index") || name.contains("manifest.list"));
    by_type || event.references.iter().any(|reference| reference.platform.is_some())
}

#[cfg(test)]
mod tests;
