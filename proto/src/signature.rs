//! Signatures after Standard Webhooks, version 1 (HMAC-SHA256), and those over the body alone.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

pub mod ed25519;

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

/// The header that carries the delivery id.
pub const ID_HEADER: &str = "webhook-id";
/// The header that carries the time of the attempt, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header that carries the signatures, separated by blanks.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How far a receiver should let the time of an attempt differ from its own, in seconds.
pub const TOLERANCE_S: i64 = 300;

const PREFIX: &str = "whsec_";
const VERSION: &str = "v1,";
/// What claims of ours begin with, so that they are nothing else.
const VOUCHED: &[u8] = b"dockbell.callback/1\n";

/// The key that a webhook's attempts are signed with: 24 to 64 bytes. It is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

/// The text is not a [`SigningSecret`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct SigningSecretError;

impl SigningSecret {
    /// A secret from 32 random bytes.
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(random.to_vec())
    }

    /// Reads the text that [`SigningSecret::expose`] writes.
    pub fn parse(text: &str) -> Result<Self, SigningSecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SigningSecretError)?;
        let key = STANDARD.decode(encoded).map_err(|_| SigningSecretError)?;
        if (24..=64).contains(&key.len()) { Ok(Self(key)) } else { Err(SigningSecretError) }
    }

    /// The secret as receivers' libraries take it.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The value of [`SIGNATURE_HEADER`] for an attempt: it covers the id, the time and the exact bytes
    /// of the body.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let code = self.code(id, at.as_second(), body).finalize().into_bytes();
        format!("{VERSION}{}", STANDARD.encode(code))
    }

    /// `sha256=` and the hexadecimal code of the body alone, for receivers of GitHub's and Flux's kind. They take the
    /// secret as it is typed, so the key is the whole text of it, `whsec_` included.
    pub fn sign_body(&self, body: &[u8]) -> String {
        format!("sha256={}", hexadecimal(hmac(self.expose().as_bytes(), [body])))
    }

    /// The hexadecimal code of a claim of ours. It is none that a signature of a delivery could be: no signed content
    /// begins as what is hashed here does.
    pub(crate) fn vouch(&self, claim: &str) -> String {
        hexadecimal(hmac(&self.0, [VOUCHED, claim.as_bytes()]))
    }

    /// Verifies what a receiver got, as of `now`.
    pub fn verify(&self, received: &Signed<'_>, now: Timestamp) -> Result<(), SignatureError> {
        let at = signed_at(received, now)?;
        let good = |code: Vec<u8>| self.code(received.id, at, received.body).verify_slice(&code).is_ok();
        if encoded(received, VERSION).any(good) { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    fn code(&self, id: &str, at: i64, body: &[u8]) -> Hmac<Sha256> {
        let [head, body] = signed_content(id, at, body);
        hmac(&self.0, [&*head, &*body])
    }
}

fn hexadecimal(code: Hmac<Sha256>) -> String {
    let code = code.finalize().into_bytes();
    let digits = code.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn hmac<'a>(key: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC accepts keys of every length")]
    let mut code = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is accepted");
    parts.into_iter().for_each(|part| code.update(part));
    code
}

/// What every version signs: the id, the time and the body, with full stops between them.
fn signed_content<'a>(id: &str, at: i64, body: &'a [u8]) -> [Cow<'a, [u8]>; 2] {
    [format!("{id}.{at}.").into_bytes().into(), body.into()]
}

/// When it was signed, if that is near enough to `now`.
fn signed_at(received: &Signed<'_>, now: Timestamp) -> Result<i64, SignatureError> {
    let at: i64 = received.timestamp.parse().map_err(|_| SignatureError::Timestamp)?;
    let is_near = now.as_second().abs_diff(at) <= TOLERANCE_S.unsigned_abs();
    if is_near { Ok(at) } else { Err(SignatureError::Timestamp) }
}

/// The signatures of a version that a receiver got.
fn encoded<'a>(received: &Signed<'a>, version: &'static str) -> impl Iterator<Item = Vec<u8>> + 'a {
    let of_version = received.signature.split(' ').filter_map(move |signature| signature.strip_prefix(version));
    of_version.filter_map(|text| STANDARD.decode(text).ok())
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_***")
    }
}

/// What a receiver got: the three headers and the body.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The value of [`ID_HEADER`].
    pub id: &'a str,
    /// The value of [`TIMESTAMP_HEADER`].
    pub timestamp: &'a str,
    /// The value of [`SIGNATURE_HEADER`].
    pub signature: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// What a receiver got is not what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The time is no number or too far from now.
    #[error("the timestamp is missing or too far from now")]
    Timestamp,
    /// No signature fits.
    #[error("no signature fits")]
    Mismatch,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn the_reference_example_has_its_published_signature() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// Computed with `openssl dgst -sha256 -hmac`.
    #[test]
    fn the_body_alone_is_signed_with_the_secret_as_it_is_typed() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            secret.sign_body(b"Hello, World!"),
            "sha256=7ad4fd21c74c164320d9ac01f24d0797c8be594bf356ab332fdd61a03b78cec0"
        );
    }

    #[test]
    fn any_change_breaks_the_signature() {
        let secret = SigningSecret::from_random([3; 32]);
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let signature = format!("v1,AAAA {}", secret.sign("msg_1", now, b"body"));
        let good = Signed { id: "msg_1", timestamp: "1700000000", signature: &signature, body: b"body" };
        assert_eq!(secret.verify(&good, now), Ok(()));
        assert_eq!(secret.verify(&Signed { body: b"bodY", ..good }, now), Err(SignatureError::Mismatch));
        assert_eq!(secret.verify(&Signed { id: "msg_2", ..good }, now), Err(SignatureError::Mismatch));
        assert_eq!(secret.verify(&Signed { timestamp: "1700000001", ..good }, now), Err(SignatureError::Mismatch));
        assert_eq!(
            secret.verify(&good, Timestamp::from_second(1_700_000_301).unwrap()),
            Err(SignatureError::Timestamp)
        );
        assert_eq!(SigningSecret::parse(&secret.expose()), Ok(secret));
    }
}
