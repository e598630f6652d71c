//! The names a registry uses: its own host, repositories, tags and digests.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::read_text;

/// The longest repository name that is accepted, in bytes (the limit of the distribution registry).
pub const REPOSITORY_LIMIT: usize = 255;
/// The longest tag that is accepted, in bytes (OCI distribution specification).
pub const TAG_LIMIT: usize = 128;
/// The longest registry host that is accepted, in bytes: a DNS name, a colon and a port.
pub const REGISTRY_LIMIT: usize = 260;

/// Why a text is not the name it was given as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct NameError {
    what: &'static str,
    problem: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
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
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
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

name! {
    /// The host of a registry, with its port where one was typed; always in lower case.
    Registry
}
name! {
    /// The path of a repository inside its registry, such as `team/app`.
    Repository
}
name! {
    /// A tag of a repository.
    Tag
}
name! {
    /// The digest of a manifest or blob, such as `sha256:…`.
    Digest
}

impl Registry {
    /// Reads a host, as it stands in an image reference before the first slash.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check("registry", text, REGISTRY_LIMIT)?;
        if text.contains(['/', '@', '?', '#', '\\']) {
            return Err(NameError { what: "registry", problem: "must be a host, optionally with a port" });
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl Repository {
    /// Reads a repository name. Lenient where registries are: only what no registry allows is refused.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check("repository", text, REPOSITORY_LIMIT)?;
        if text.contains(['*', '?', '#', '\\', ':', '@']) || text.split('/').any(|part| matches!(part, "" | "." | ".."))
        {
            return Err(NameError { what: "repository", problem: "must be names separated by single slashes" });
        }
        Ok(Self(text.into()))
    }

    /// What stands before the last slash; none for a repository at the top.
    pub fn namespace(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(namespace, _)| namespace)
    }

    /// What stands after the last slash.
    pub fn base_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(_, name)| name)
    }
}

impl Tag {
    /// Reads a tag. A digest is not a tag, even where a registry puts one in that place.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check("tag", text, TAG_LIMIT)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if !text.chars().all(allowed) || text.starts_with(['.', '-']) {
            return Err(NameError { what: "tag", problem: "must consist of letters, digits, `_`, `.` and `-`" });
        }
        Ok(Self(text.into()))
    }
}

impl Digest {
    /// Reads a digest: `sha256` and `sha512` of their exact length, other algorithms of at least 32
    /// hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        const NOT_A_DIGEST: NameError =
            NameError { what: "digest", problem: "must be an algorithm, a colon and hexadecimal digits" };
        check("digest", text, 256)?;
        let (algorithm, encoded) = text.split_once(':').ok_or(NOT_A_DIGEST)?;
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '.' | '_' | '-');
        let long_enough = match algorithm {
            "sha256" => encoded.len() == 64,
            "sha512" => encoded.len() == 128,
            _ => encoded.len() >= 32,
        };
        if algorithm.is_empty()
            || !algorithm.chars().all(allowed)
            || !long_enough
            || !encoded.bytes().all(|b| b.is_ascii_hexdigit())
        {
            return Err(NOT_A_DIGEST);
        }
        Ok(Self(text.into()))
    }
}

fn check(what: &'static str, text: &str, limit: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError { what, problem: "must not be empty" });
    }
    if text.len() > limit {
        return Err(NameError { what, problem: "is too long" });
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(NameError { what, problem: "must not contain blanks or control characters" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_registry_allows_are_refused() {
        for text in ["", "a//b", "/a", "a/", "a b", "a/*", "../a", "a\u{7}", "a@b", "a:b"] {
            assert!(Repository::parse(text).is_err(), "{text:?}");
        }
        for text in ["", "-a", ".a", "a/b", "sha256:aa", "é"] {
            assert!(Tag::parse(text).is_err(), "{text:?}");
        }
        for text in ["", "a/b", "user@host", "a b"] {
            assert!(Registry::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_digest_has_the_length_of_its_algorithm() {
        assert!(Digest::parse(&format!("sha256:{}", "a".repeat(64))).is_ok());
        assert!(Digest::parse(&format!("sha256:{}", "a".repeat(65))).is_err());
        assert!(Digest::parse("sha256:0123456789abcdef0").is_err());
        assert!(Digest::parse(&format!("blake3:{}", "0".repeat(32))).is_ok());
    }

    #[test]
    fn a_registry_is_compared_in_lower_case() {
        assert_eq!(Registry::parse("Hub.Example.com:5000").unwrap().as_str(), "hub.example.com:5000");
    }

    #[test]
    fn a_repository_splits_at_its_last_slash() {
        let nested = Repository::parse("a/b/c").unwrap();
        assert_eq!((nested.namespace(), nested.base_name()), (Some("a/b"), "c"));
        let top = Repository::parse("ubuntu").unwrap();
        assert_eq!((top.namespace(), top.base_name()), (None, "ubuntu"));
    }
}
