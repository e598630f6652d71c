//! The ids that identify events, webhooks, deliveries and attempts.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::text::read_text;

/// The longest id of an event that is kept as it came, in bytes; longer ones are replaced by their hash.
const EVENT_ID_LIMIT: usize = 128;

/// The text cannot be an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdError(&'static str);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read_text(deserializer, Self::parse)
            }
        }
    };
}

id! {
    /// The id that a source gave to an event.
    EventId
}
id! {
    /// The id of a webhook: `wh_` and 24 characters.
    WebhookId
}
id! {
    /// The id of a delivery, the `webhook-id` header on each of its attempts: `msg_` and 32 characters.
    DeliveryId
}
id! {
    /// The id of a token: `tk_` and 24 characters.
    TokenId
}
id! {
    /// The id of a change in the audit trail: `ch_` and 24 characters.
    AuditId
}
id! {
    /// The name of a source, as it stands in the path of its intake.
    SourceName
}

impl EventId {
    /// Takes the id that a source gave. One that is too long or holds control characters is replaced by
    /// its hash, so that equal ids stay equal.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError("an event id must not be empty"));
        }
        if text.len() <= EVENT_ID_LIMIT && !text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Ok(Self(text.into()));
        }
        Ok(Self::derived(&[text]))
    }

    /// An id for an event that came without one: equal `parts` yield equal ids.
    pub fn derived(parts: &[&str]) -> Self {
        Self(hash_hex(parts).into())
    }
}

impl WebhookId {
    /// A new id from 16 random bytes.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(drawn("wh_", random))
    }

    /// Reads an id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        prefixed(text, "wh_").map(Self).ok_or(IdError("a webhook id starts with wh_"))
    }
}

impl TokenId {
    /// A new id from 16 random bytes.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(drawn("tk_", random))
    }

    /// Reads an id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        prefixed(text, "tk_").map(Self).ok_or(IdError("a token id starts with tk_"))
    }
}

impl AuditId {
    /// A new id from 16 random bytes.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(drawn("ch_", random))
    }

    /// Reads an id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        prefixed(text, "ch_").map(Self).ok_or(IdError("the id of a change starts with ch_"))
    }
}

impl DeliveryId {
    /// The id of what is owed to `webhook` about `subject` (a tag, or `*` for a whole batch) of a repository,
    /// `newest` being the newest event of each of its changes. The same facts yield the same id in every
    /// process and after every crash; a batch that says more has another id, or a receiver that knows the id
    /// would miss what was added.
    pub fn derive<'a>(
        webhook: &'a WebhookId,
        repository: (&'a str, &'a str),
        subject: &'a str,
        newest: impl IntoIterator<Item = &'a EventId>,
    ) -> Self {
        let newest = newest.into_iter().map(EventId::as_str);
        let parts: Vec<&str> =
            [webhook.as_str(), repository.0, repository.1, subject].into_iter().chain(newest).collect();
        Self(format!("msg_{}", hash_hex(&parts)).into())
    }

    /// A new id for a delivery that no event caused (a test that a person asked for), from random bytes.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(format!("msg_{}", hex(&random)).into())
    }

    /// Reads an id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        prefixed(text, "msg_").map(Self).ok_or(IdError("a delivery id starts with msg_"))
    }
}

impl SourceName {
    /// Reads a name: letters, digits, `-` and `_`, at most 64.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(IdError("a source is named by up to 64 letters, digits, `-` and `_`"));
        }
        Ok(Self(text.into()))
    }
}

/// One attempt: a delivery, the request that asked for it, and its place in that request's schedule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId {
    /// The delivery that is attempted.
    pub delivery: DeliveryId,
    /// 0 for the push itself; each redelivery that a person asks for has a number of its own.
    pub request: u32,
    /// The attempt's number within its request, from 1.
    pub ordinal: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.delivery, self.request, self.ordinal)
    }
}

/// `prefix` and 24 digits: 96 of the random bits.
fn drawn(prefix: &str, random: [u8; 16]) -> Arc<str> {
    format!("{prefix}{}", hex(random.get(..12).unwrap_or_default())).into()
}

fn prefixed(text: &str, prefix: &str) -> Option<Arc<str>> {
    let rest = text.strip_prefix(prefix)?;
    let fits = !rest.is_empty() && rest.len() <= 64 && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    fits.then(|| text.into())
}

/// 128 bits of SHA-256 over the parts, each preceded by its length so that no two lists run together.
pub fn fingerprint(parts: &[&str]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut beginning = [0; 16];
    for (to, from) in beginning.iter_mut().zip(hasher.finalize()) {
        *to = from;
    }
    beginning
}

/// A [`fingerprint`] as hexadecimal digits.
pub(crate) fn hash_hex(parts: &[&str]) -> String {
    hex(&fingerprint(parts))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 0xf] {
            text.extend(char::from_digit(digit.into(), 16));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_id_depends_on_every_part() {
        let webhook = WebhookId::from_random([7; 16]);
        let other = WebhookId::from_random([8; 16]);
        let event = |id: &str| EventId::parse(id).unwrap();
        let ids = [
            DeliveryId::derive(&webhook, ("r", "a"), "t", [&event("e")]),
            DeliveryId::derive(&other, ("r", "a"), "t", [&event("e")]),
            DeliveryId::derive(&webhook, ("ra", ""), "t", [&event("e")]),
            DeliveryId::derive(&webhook, ("r", "a"), "*", [&event("e")]),
            DeliveryId::derive(&webhook, ("r", "a"), "t", [&event("f")]),
            DeliveryId::derive(&webhook, ("r", "a"), "*", [&event("d"), &event("e")]),
        ];
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert_eq!(ids[0], DeliveryId::derive(&webhook, ("r", "a"), "t", [&event("e")]));
        assert_eq!(DeliveryId::parse(ids[0].as_str()).unwrap(), ids[0]);
    }

    #[test]
    fn an_event_id_of_any_length_stays_itself_or_its_hash() {
        let long = "x".repeat(4000);
        assert_eq!(EventId::parse(&long).unwrap(), EventId::parse(&long).unwrap());
        assert!(EventId::parse(&long).unwrap().as_str().len() < 64);
        assert_ne!(EventId::parse("a b").unwrap().as_str(), "a b");
        assert!(EventId::parse("").is_err());
    }
}
