//! How the attempts of a webhook prove where they come from: signatures, and what stands in `Authorization`.

mod authorization;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::secret::Secret;
use crate::signature::ed25519::{PublicKey, SigningKey};
use crate::signature::{ID_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER};

pub use authorization::{AUTHORIZATION_HEADER, Authorization};

/// So long after a rotation what was current before it signs too.
pub const OVERLAP: Duration = Duration::from_hours(24);
/// How many secrets of before may sign beside the current one: every signature makes the header longer.
pub const OLDER_LIMIT: usize = 3;

/// What is made of the secret that a webhook shares with its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Standard Webhooks v1: covers the id, the time and the body.
    V1,
    /// `X-Hub-Signature-256` over the body, as GitHub signs.
    HubSignature,
    /// `X-Signature` over the body, as Flux's generic-hmac and others verify.
    Signature,
}

/// A way to sign an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// With the secret.
    Code(Code),
    /// Standard Webhooks v1a: with a key of which the receiver has the public half.
    V1a,
}

impl Scheme {
    /// Every way.
    pub const ALL: [Self; 4] =
        [Self::Code(Code::V1), Self::V1a, Self::Code(Code::HubSignature), Self::Code(Code::Signature)];

    /// The name that the API and the command line use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code(Code::V1) => "v1",
            Self::V1a => "v1a",
            Self::Code(Code::HubSignature) => "x-hub-signature-256",
            Self::Code(Code::Signature) => "x-signature",
        }
    }

    /// The way of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == name)
    }
}

/// What signs now, and what did so before and still does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotating<K> {
    /// What signs until it is rotated.
    pub current: K,
    /// What signs beside it for a while, newest first.
    pub older: Vec<Retired<K>>,
}

/// What signs no more from a time on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired<K> {
    /// What it is.
    pub key: K,
    /// From when on it does not sign.
    pub until: Timestamp,
}

impl<K: Clone + PartialEq> Rotating<K> {
    /// One with nothing before it.
    pub fn new(current: K) -> Self {
        Self { current, older: Vec::new() }
    }

    /// What signs at `now`, the current one first.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = &K> {
        let older = self.older.iter().filter(move |retired| retired.until > now);
        std::iter::once(&self.current).chain(older.map(|retired| &retired.key))
    }

    /// Until when something of before signs; none, if nothing does.
    pub fn overlaps_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.older.iter().map(|retired| retired.until).filter(|until| *until > now).max()
    }

    /// When the next of before ends; none, if none signs.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.older.iter().map(|retired| retired.until).filter(|until| *until > now).min()
    }

    /// How many of before sign at `now`.
    pub fn overlapping(&self, now: Timestamp) -> usize {
        self.signing(now).count() - 1
    }

    /// After a rotation to `fresh` at `now`. A rotation that is repeated changes nothing.
    fn rotated(&self, fresh: K, now: Timestamp) -> Self {
        if self.current == fresh {
            return self.clone();
        }
        let retired = Retired { key: self.current.clone(), until: now + OVERLAP };
        let older = self.older.iter().filter(|retired| retired.until > now).cloned();
        Self { current: fresh, older: std::iter::once(retired).chain(older).take(OLDER_LIMIT).collect() }
    }
}

/// How the attempts of a webhook prove where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proofs {
    /// The secret that the receiver has too. It is there even while nothing is made of it.
    pub secret: Rotating<SigningSecret>,
    /// What is made of the secret.
    pub codes: BTreeSet<Code>,
    /// The key of [`Scheme::V1a`]; none, if that is not wanted.
    pub key: Option<Rotating<SigningKey>>,
    /// What `Authorization` carries, if anything.
    pub authorization: Option<Authorization>,
}

/// What to change of how attempts prove where they come from; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProofsPatch {
    /// New ways to sign, in place of all.
    pub signatures: Option<Signatures>,
    /// A new `Authorization`; `Some(None)` leaves it out.
    pub authorization: Option<Option<Authorization>>,
    /// A new secret and a new key.
    pub rotation: Option<Rotation>,
}

/// Ways to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signatures {
    /// What is made of the secret.
    pub codes: BTreeSet<Code>,
    /// Whether [`Scheme::V1a`] is wanted, and then a new key for a webhook that has none.
    pub key: Option<SigningKey>,
}

impl Signatures {
    /// These ways; `key` is for [`Scheme::V1a`].
    pub fn new(schemes: &BTreeSet<Scheme>, key: SigningKey) -> Self {
        let code = |scheme: &Scheme| match scheme {
            Scheme::Code(code) => Some(*code),
            Scheme::V1a => None,
        };
        Self { codes: schemes.iter().filter_map(code).collect(), key: schemes.contains(&Scheme::V1a).then_some(key) }
    }
}

/// What is to sign from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The new secret.
    pub secret: SigningSecret,
    /// The new key, for a webhook that has one.
    pub key: SigningKey,
}

impl Proofs {
    /// Standard Webhooks v1 with this secret, and nothing else.
    pub fn v1(secret: SigningSecret) -> Self {
        let codes = BTreeSet::from([Code::V1]);
        Self { secret: Rotating::new(secret), codes, key: None, authorization: None }
    }

    /// The ways that attempts are signed.
    pub fn schemes(&self) -> BTreeSet<Scheme> {
        let codes = self.codes.iter().copied().map(Scheme::Code);
        codes.chain(self.key.as_ref().map(|_| Scheme::V1a)).collect()
    }

    /// The public keys that attempts of `now` can be verified with, the current one first.
    pub fn public_keys(&self, now: Timestamp) -> Vec<PublicKey> {
        self.key.iter().flat_map(|key| key.signing(now)).map(SigningKey::public).collect()
    }

    /// After `patch`, which was made at `now`.
    #[must_use]
    pub fn patched(&self, patch: ProofsPatch, now: Timestamp) -> Self {
        let mut patched = self.clone();
        if let Some(Signatures { codes, key }) = patch.signatures {
            patched.codes = codes;
            patched.key = key.map(|fresh| self.key.clone().unwrap_or_else(|| Rotating::new(fresh)));
        }
        if let Some(authorization) = patch.authorization {
            patched.authorization = authorization;
        }
        if let Some(Rotation { secret, key }) = patch.rotation {
            patched.secret = patched.secret.rotated(secret, now);
            patched.key = patched.key.map(|current| current.rotated(key, now));
        }
        patched
    }

    /// The headers of an attempt at `at`, by lower-case name: the id and the time are always among them. What of before
    /// still signs adds signatures to [`SIGNATURE_HEADER`]; headers that hold a single one have it of the current
    /// secret.
    pub fn headers(&self, id: &str, at: Timestamp, body: &[u8]) -> Vec<(&'static str, Secret)> {
        let mut headers = vec![(ID_HEADER, id.to_owned()), (TIMESTAMP_HEADER, at.as_second().to_string())];
        let keys = self.key.iter().flat_map(|key| key.signing(at)).map(|key| key.sign(id, at, body));
        let mut signatures: Vec<String> = Vec::new();
        for code in &self.codes {
            match code {
                Code::V1 => signatures.extend(self.secret.signing(at).map(|secret| secret.sign(id, at, body))),
                Code::HubSignature => headers.push(("x-hub-signature-256", self.secret.current.sign_body(body))),
                Code::Signature => headers.push(("x-signature", self.secret.current.sign_body(body))),
            }
        }
        signatures.extend(keys);
        if !signatures.is_empty() {
            headers.push((SIGNATURE_HEADER, signatures.join(" ")));
        }
        headers.extend(self.authorization.as_ref().map(|own| (AUTHORIZATION_HEADER, own.value())));
        headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()
    }

    /// Which header of the owner would be overwritten by a proof; none, if they go together.
    pub fn conflict(&self, headers: &BTreeMap<String, Secret>) -> Option<&'static str> {
        let authorization = self.authorization.as_ref().map(|_| AUTHORIZATION_HEADER);
        let names = self.schemes().into_iter().map(Scheme::as_str).chain(authorization);
        names.into_iter().find(|name| headers.contains_key(*name))
    }
}
