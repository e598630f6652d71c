//! Which shard a key belongs to, for ever: a change would let news of one repository overtake each other.

use std::num::NonZeroU16;

use sha2::{Digest as _, Sha256};

/// The shard of `key` among `shards`: the first eight bytes of its SHA-256, as a big-endian number, modulo
/// the number of shards.
pub(super) fn shard_of(key: &str, shards: NonZeroU16) -> u16 {
    let digest = Sha256::digest(key.as_bytes());
    let number = digest.iter().take(8).fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    u16::try_from(number % u64::from(shards.get())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_shard_for_ever() {
        let shards = NonZeroU16::new(16).unwrap();
        // printf %s KEY | sha256sum: the last digit of the first sixteen.
        let expected = [("hub.test/team/app", 0), ("docker.io/library/alpine", 4), ("", 4)];
        let found = expected.map(|(key, _)| (key, shard_of(key, shards)));
        assert_eq!(found, expected);
        assert_eq!(shard_of("hub.test/team/app", NonZeroU16::MIN), 0);
    }
}
