//! What is stored for a change, as far as its source tells.

use std::collections::BTreeSet;

use crate::batch::Change;
use crate::event::Reference;

/// Config and layers of the image, or of the platforms of the index as far as their pushes were reported, in bytes.
pub(super) fn of_blobs(change: &Change) -> u64 {
    let blobs = change.blobs.iter().chain(change.children.iter().flat_map(|child| &child.blobs));
    sum(blobs)
}

/// All that is known to be stored for the change: manifests, configs and layers, in bytes.
pub(super) fn of_all(change: &Change) -> u64 {
    let manifests = change.children.iter().filter_map(|child| child.size).chain(change.size);
    manifests.fold(of_blobs(change), u64::saturating_add)
}

/// The sum of the known sizes of distinct blobs.
fn sum<'a>(blobs: impl Iterator<Item = &'a Reference>) -> u64 {
    let mut seen = BTreeSet::new();
    let distinct = blobs.filter(|blob| seen.insert(&blob.digest));
    distinct.filter_map(|blob| blob.size).fold(0, u64::saturating_add)
}
