//! The audit trail: who changed what.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AuditId, TokenId};
use crate::pattern::Pattern;

/// Who made a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// Whoever has the operator's own token.
    Operator,
    /// The bearer of a token that was made.
    Token {
        /// The token.
        id: TokenId,
        /// Its name at that time.
        name: String,
    },
}

/// One change that somebody made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// Its id.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Whence, if that is known.
    pub address: Option<IpAddr>,
    /// What was done, by the name that the description of the API has for it.
    pub action: String,
    /// The id of what it was done to; none if it was done to many.
    pub subject: Option<String>,
    /// The repositories that it concerns, if it concerns a webhook.
    pub pattern: Option<Pattern>,
    /// The members that were given. Their values are not kept: they may be secrets.
    pub members: Vec<String>,
}
