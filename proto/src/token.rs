//! Tokens: what they let their bearers do, and how one is known again of which nobody keeps the text.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::credential::unhex;
use crate::ids::{TokenId, hex};
use crate::names::Repository;
use crate::pattern::Pattern;
use crate::secret::Secret;

/// What the text of a token begins with, so that scanners for leaked secrets know it.
pub const PREFIX: &str = "dbt_";
/// The longest name of a token, in bytes.
pub const NAME_LIMIT: usize = 128;
/// The most patterns of one token.
pub const PATTERNS_LIMIT: usize = 20;

/// What the written form of a hash begins with.
const HASH_PREFIX: &str = "sha256:";

/// SHA-256 of the text of a token. A token has 256 random bits, so that nothing slower is needed: there is nothing to
/// guess from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenHash([u8; 32]);

/// The text is not the hash of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hash of a token is `sha256:` and 64 hexadecimal digits")]
pub struct TokenHashError;

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Reads `sha256:` and 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, TokenHashError> {
        let bytes = text.strip_prefix(HASH_PREFIX).and_then(unhex).ok_or(TokenHashError)?;
        bytes.try_into().map(Self).map_err(|_| TokenHashError)
    }

    /// What an operator set: a token, or its hash.
    pub fn of_setting(setting: &Secret) -> Result<Self, TokenHashError> {
        let text = setting.expose();
        if Self::is_written(setting) { Self::parse(text) } else { Ok(Self::of(text)) }
    }

    /// Whether what an operator set is meant to be a hash.
    pub fn is_written(setting: &Secret) -> bool {
        setting.expose().starts_with(HASH_PREFIX)
    }

    /// Whether both are of one token, in time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HASH_PREFIX}{}", hex(&self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl TryFrom<String> for TokenHash {
    type Error = TokenHashError;
    fn try_from(text: String) -> Result<Self, TokenHashError> {
        Self::parse(&text)
    }
}

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> String {
        hash.to_string()
    }
}

/// What a bearer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Look at webhooks and deliveries.
    Read,
    /// Change webhooks and send deliveries again, and whatever [`Permission::Read`] lets one do.
    Write,
    /// Report pushes to the intake.
    Ingest,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Ingest];

    /// The name of the permission.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Ingest => "ingest",
        }
    }

    /// The permission of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == name)
    }
}

/// How far a token reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everything, as the operator.
    Operator,
    /// Some repositories.
    Repositories {
        /// Which.
        patterns: BTreeSet<Pattern>,
        /// What may be done there.
        permissions: BTreeSet<Permission>,
    },
}

impl Scope {
    /// Whether it may be done at all, somewhere.
    pub fn permits(&self, permission: Permission) -> bool {
        match self {
            Self::Operator => true,
            Self::Repositories { permissions, .. } => {
                let implied = permission == Permission::Read && permissions.contains(&Permission::Write);
                implied || permissions.contains(&permission)
            }
        }
    }

    /// Whether every repository of `pattern` is one of these. What reaches further is not theirs: who may see a webhook on
    /// all repositories sees where all of them are reported to.
    pub fn covers(&self, pattern: &Pattern) -> bool {
        match self {
            Self::Operator => true,
            Self::Repositories { patterns, .. } => patterns.iter().any(|own| own.covers(pattern)),
        }
    }

    /// Whether the repository is one of these.
    pub fn covers_repository(&self, repository: &Repository) -> bool {
        self.covers(&Pattern::Exact(repository.clone()))
    }
}

/// A token, as it is kept: whoever reads this cannot present it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its id, which stands in its text too.
    pub id: TokenId,
    /// Whom it is for, in the words of who made it.
    pub name: String,
    /// By which it is known again.
    pub hash: TokenHash,
    /// How far it reaches.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it counts; without an end, if none.
    pub expires_at: Option<Timestamp>,
}

impl Token {
    /// Whether who presents what has this hash at `now` is its bearer.
    pub fn admits(&self, presented: &TokenHash, now: Timestamp) -> bool {
        self.hash.matches(presented) && !self.is_expired(now)
    }

    /// Whether its time is over at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|until| until <= now)
    }
}

/// The text of a new token: [`PREFIX`], its id, and 256 random bits.
pub fn mint(id: &TokenId, random: [u8; 32]) -> Secret {
    let digits = id.as_str().strip_prefix("tk_").unwrap_or_default();
    Secret::new(format!("{PREFIX}{digits}_{}", URL_SAFE_NO_PAD.encode(random)))
}

/// The id in what is presented as a token; none if it cannot be one that was minted.
pub fn id_in(presented: &str) -> Option<TokenId> {
    let (digits, _) = presented.strip_prefix(PREFIX)?.split_once('_')?;
    TokenId::parse(&format!("tk_{digits}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    fn scope(patterns: &[&str], permissions: &[Permission]) -> Scope {
        let patterns = patterns.iter().map(|text| pattern(text)).collect();
        Scope::Repositories { patterns, permissions: permissions.iter().copied().collect() }
    }

    fn token(expires_at: Option<Timestamp>) -> (Secret, Token) {
        let id = TokenId::from_random([7; 16]);
        let text = mint(&id, [9; 32]);
        let hash = TokenHash::of(text.expose());
        let created_at = Timestamp::UNIX_EPOCH;
        (text, Token { id, name: "ci".to_owned(), hash, scope: Scope::Operator, created_at, expires_at })
    }

    #[test]
    fn a_token_is_found_by_its_id_and_known_by_its_whole_text() {
        let (text, token) = token(None);
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(id_in(text.expose()), Some(token.id.clone()));
        assert!(token.admits(&TokenHash::of(text.expose()), now));
        let cut = text.expose().get(..text.expose().len() - 1).unwrap();
        assert_eq!(id_in(cut), Some(token.id.clone()));
        assert!(!token.admits(&TokenHash::of(cut), now));
        for other in ["", "dbt_", "dbt_0707", "dbt__x", "dbt_é_x", "dbl_abc_x", "canary"] {
            assert_eq!(id_in(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_counts_until_its_time_is_over() {
        let end: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let (text, token) = token(Some(end));
        let hash = TokenHash::of(text.expose());
        let before = end.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap();
        assert!(token.admits(&hash, before) && !token.admits(&hash, end));
    }

    #[test]
    fn what_is_kept_of_a_token_does_not_say_it() {
        let (text, token) = token(None);
        let kept = format!("{token:?}{}", serde_json::to_string(&token).unwrap());
        let drawn = text.expose().rsplit_once('_').unwrap().1;
        assert!(!kept.contains(drawn), "{kept}");
        assert_eq!(serde_json::from_str::<Token>(&serde_json::to_string(&token).unwrap()).unwrap(), token);
    }

    #[test]
    fn an_operator_sets_a_token_or_its_hash() {
        let hash = TokenHash::of("canary");
        for setting in ["canary".to_owned(), hash.to_string(), hash.to_string().replace('a', "A").replace("shA", "sha")]
        {
            assert!(TokenHash::of_setting(&Secret::new(&setting)).unwrap().matches(&hash), "{setting}");
        }
        for wrong in ["sha256:", "sha256:12", "sha256:zz"] {
            assert_eq!(TokenHash::of_setting(&Secret::new(wrong)), Err(TokenHashError), "{wrong}");
        }
    }

    #[test]
    fn who_may_write_may_read_and_nothing_else_follows() {
        use Permission::{Ingest, Read, Write};
        for (granted, permits) in [
            (&[Read][..], [true, false, false]),
            (&[Write], [true, true, false]),
            (&[Ingest], [false, false, true]),
            (&[], [false, false, false]),
        ] {
            let scope = scope(&["*"], granted);
            assert_eq!(Permission::ALL.map(|permission| scope.permits(permission)), permits, "{granted:?}");
        }
        assert!(Permission::ALL.iter().all(|permission| Scope::Operator.permits(*permission)));
    }

    #[test]
    fn a_scope_ends_where_its_patterns_do() {
        let team = scope(&["team/*", "other/app"], &[Permission::Read]);
        for (text, is_covered) in [
            ("team/app", true),
            ("team/a/b", true),
            ("team/*", true),
            ("other/app", true),
            ("team", false),
            ("other/*", false),
            ("other/web", false),
            ("*", false),
        ] {
            assert_eq!(team.covers(&pattern(text)), is_covered, "{text}");
            assert!(Scope::Operator.covers(&pattern(text)));
        }
    }
}
