//! Signatures after Standard Webhooks, version 1a (ed25519): who verifies them cannot make them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::{SignatureError, Signed, encoded, signed_at, signed_content};

const SECRET_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";
const VERSION: &str = "v1a,";

/// The private key that a webhook's attempts are signed with. It never leaves the store, and `Debug` never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey([u8; 32]);

/// The text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is no private key.
    #[error("a signing key is whsk_ and the base64 of an ed25519 key")]
    Secret,
    /// It is no public key.
    #[error("a public key is whpk_ and the base64 of 32 bytes")]
    Public,
}

impl SigningKey {
    /// The key of 32 random bytes.
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// Reads what [`SigningKey::expose`] writes, or a seed alone.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = text.strip_prefix(SECRET_PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        let bytes = bytes.ok_or(KeyError::Secret)?;
        let (seed, public) = bytes.split_first_chunk().ok_or(KeyError::Secret)?;
        let key = Self(*seed);
        if public.is_empty() || key.public().0 == public { Ok(key) } else { Err(KeyError::Secret) }
    }

    /// The key as libraries take it: its seed and its public half.
    pub fn expose(&self) -> String {
        let PublicKey(public) = self.public();
        format!("{SECRET_PREFIX}{}", STANDARD.encode([self.0, public].concat()))
    }

    /// The half that receivers verify with.
    pub fn public(&self) -> PublicKey {
        let mut public = [0; 32];
        public.copy_from_slice(self.pair().public_key().as_ref());
        PublicKey(public)
    }

    /// One signature for [`SIGNATURE_HEADER`](super::SIGNATURE_HEADER): it covers the id, the time and the exact bytes
    /// of the body.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let content = signed_content(id, at.as_second(), body).concat();
        format!("{VERSION}{}", STANDARD.encode(self.pair().sign(&content)))
    }

    fn pair(&self) -> Ed25519KeyPair {
        #[expect(clippy::expect_used, reason = "every seed of 32 bytes is a key")]
        Ed25519KeyPair::from_seed_unchecked(&self.0).expect("a seed of 32 bytes is a key")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsk_***")
    }
}

/// The half of a key that everybody may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads the text of a public key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = text.strip_prefix(PUBLIC_PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(KeyError::Public)
    }

    /// Verifies what a receiver got, as of `now`.
    pub fn verify(&self, received: &Signed<'_>, now: Timestamp) -> Result<(), SignatureError> {
        let content = signed_content(received.id, signed_at(received, now)?, received.body).concat();
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        let good = |signature: Vec<u8>| key.verify(&content, &signature).is_ok();
        if encoded(received, VERSION).any(good) { Ok(()) } else { Err(SignatureError::Mismatch) }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", STANDARD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the signature of the tests of Svix, whose scheme the specification took over.
    #[test]
    fn the_reference_example_of_version_1a_has_its_published_signature() {
        let text = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
        let key = SigningKey::parse(text).unwrap();
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        let expected = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
        assert_eq!((signature.as_str(), key.expose().as_str()), (expected, text));
        assert_eq!(key.public().to_string(), "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=");
    }

    #[test]
    fn any_change_breaks_a_signature_of_version_1a() {
        let (key, now) = (SigningKey::from_random([3; 32]), Timestamp::from_second(1_700_000_000).unwrap());
        let public = PublicKey::parse(&key.public().to_string()).unwrap();
        let signature = format!("v1,AAAA {}", key.sign("msg_1", now, b"body"));
        let good = Signed { id: "msg_1", timestamp: "1700000000", signature: &signature, body: b"body" };
        assert_eq!(public.verify(&good, now), Ok(()));
        assert_eq!(public.verify(&Signed { body: b"bodY", ..good }, now), Err(SignatureError::Mismatch));
        assert_eq!(public.verify(&Signed { id: "msg_2", ..good }, now), Err(SignatureError::Mismatch));
        let later = Timestamp::from_second(1_700_000_301).unwrap();
        assert_eq!(public.verify(&good, later), Err(SignatureError::Timestamp));
        let other = SigningKey::from_random([4; 32]);
        assert_eq!(other.public().verify(&good, now), Err(SignatureError::Mismatch));
        assert_eq!(format!("{key:?}"), "whsk_***");
    }

    #[test]
    fn halves_that_do_not_belong_together_are_no_key() {
        let (one, two) = (SigningKey::from_random([1; 32]), SigningKey::from_random([2; 32]));
        let mixed = format!("{SECRET_PREFIX}{}", STANDARD.encode([one.0, two.public().0].concat()));
        assert_eq!(SigningKey::parse(&mixed), Err(KeyError::Secret));
        for text in ["", "whsk_", "whsk_AAAA", "whsec_AAAA", &one.public().to_string()] {
            assert_eq!(SigningKey::parse(text), Err(KeyError::Secret), "{text}");
        }
        assert_eq!(SigningKey::parse(&format!("{SECRET_PREFIX}{}", STANDARD.encode(one.0))), Ok(one));
    }
}
