//! Which repositories a webhook is set on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::Repository;

/// One repository, a namespace with everything below it, or the whole registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// `team/app`: this repository alone.
    Exact(Repository),
    /// `team/*`: every repository below `team`, at every depth, but not `team` itself.
    Namespace(Repository),
    /// `*`: every repository.
    Everything,
}

/// The text is not a [`Pattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("repository must be a name (`team/app`), a namespace (`team/*`) or `*`")]
pub struct PatternError;

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self::Everything);
        }
        let read = |name: &str| Repository::parse(name).map_err(|_| PatternError);
        match text.strip_suffix("/*") {
            Some(namespace) => Ok(Self::Namespace(read(namespace)?)),
            None => Ok(Self::Exact(read(text)?)),
        }
    }

    /// Every pattern that covers `repository`, the narrowest first. A webhook applies to a repository
    /// exactly when its pattern is one of these.
    pub fn covering(repository: &Repository) -> Vec<Self> {
        let mut patterns = vec![Self::Exact(repository.clone())];
        let mut rest = repository.as_str();
        while let Some((namespace, _)) = rest.rsplit_once('/') {
            patterns.extend(Repository::parse(namespace).ok().map(Self::Namespace));
            rest = namespace;
        }
        patterns.push(Self::Everything);
        patterns
    }
}

impl Pattern {
    /// Whether every repository of `other` is one of these.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everything, _) => true,
            (_, Self::Everything) | (Self::Exact(_), Self::Namespace(_)) => false,
            (Self::Exact(own), Self::Exact(other)) => own == other,
            (Self::Namespace(_), Self::Exact(repository)) => Self::covering(repository).contains(self),
            (Self::Namespace(own), Self::Namespace(namespace)) => {
                own == namespace || Self::covering(namespace).contains(self)
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(repository) => repository.fmt(f),
            Self::Namespace(namespace) => write!(f, "{namespace}/*"),
            Self::Everything => f.write_str("*"),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;
    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_covers_every_depth_below_it_but_not_itself() {
        let covering = |name: &str| -> Vec<String> {
            Pattern::covering(&Repository::parse(name).unwrap()).iter().map(ToString::to_string).collect()
        };
        assert_eq!(covering("a/b/c"), ["a/b/c", "a/b/*", "a/*", "*"]);
        assert_eq!(covering("a"), ["a", "*"]);
    }

    #[test]
    fn a_pattern_covers_what_has_no_other_repositories() {
        let covers = |one: &str, other: &str| Pattern::parse(one).unwrap().covers(&Pattern::parse(other).unwrap());
        for (one, other) in [("*", "*"), ("*", "a/*"), ("a/*", "a/b"), ("a/*", "a/b/*"), ("a/*", "a/*"), ("a", "a")] {
            assert!(covers(one, other), "{one} covers {other}");
        }
        for (one, other) in [("a/*", "*"), ("a/*", "a"), ("a/b", "a/*"), ("a/b/*", "a/*"), ("a", "b"), ("a/*", "ab/c")]
        {
            assert!(!covers(one, other), "{one} does not cover {other}");
        }
    }

    #[test]
    fn a_pattern_is_read_as_it_is_written() {
        for text in ["*", "a/*", "a/b/*", "team/app"] {
            assert_eq!(Pattern::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "/*", "**", "a*", "*/a", "a/*/b"] {
            assert!(Pattern::parse(text).is_err(), "{text:?}");
        }
    }
}
