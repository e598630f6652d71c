//! What events and tags are remembered by.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};

use dockbell_proto::event::Event;
use dockbell_proto::names::{Digest, Tag};

/// An event, or a tag, among those remembered: a hash of its names, for a table of 200,000 names takes as long to grow as
/// a delivery may take. Two that differ have the same one with a chance of 2⁻¹²⁸, which nobody outside can raise, because
/// the keys of the hash are drawn when the process starts and never leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity(u64, u64);

/// What an event is remembered by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identities {
    pub(super) event: Identity,
    /// Its tag, if it has one.
    pub(super) tag: Option<Identity>,
}

/// Makes identities, which mean something to nobody but itself.
#[derive(Debug, Default)]
pub(super) struct Identifier(RandomState, RandomState);

impl Identifier {
    pub(super) fn identify(&self, event: &Event) -> Identities {
        let (registry, repository) = (event.registry.as_str(), event.repository.as_str());
        let (digest, tag) = (event.digest.as_ref().map(Digest::as_str), event.tag.as_ref().map(Tag::as_str));
        // No name is empty.
        let names = [registry, repository, event.id.as_str(), digest.unwrap_or_default(), tag.unwrap_or_default()];
        Identities { event: self.of(&names), tag: tag.map(|tag| self.of(&[registry, repository, tag])) }
    }

    fn of(&self, names: &[&str]) -> Identity {
        let hash = |keys: &RandomState| {
            let mut hasher = keys.build_hasher();
            for name in names {
                name.hash(&mut hasher);
            }
            hasher.finish()
        };
        Identity(hash(&self.0), hash(&self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_run_together_to_the_same_text_stay_apart() {
        let identifier = Identifier::default();
        assert_ne!(identifier.of(&["ab", "c"]), identifier.of(&["a", "bc"]));
        assert_ne!(identifier.of(&["a", ""]), identifier.of(&["a"]));
        assert_eq!(identifier.of(&["a", "b"]), identifier.of(&["a", "b"]));
        assert_ne!(identifier.of(&["a", "b"]), Identifier::default().of(&["a", "b"]));
    }
}
