//! Tokens and the audit trail, as the API shows them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use dockbell_proto::audit::{Actor, Audited};
use dockbell_proto::token::{Permission, Scope, Token};

/// A token, without what its bearer presents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    /// Its id; the token itself holds it too.
    #[schema(example = "tk_0123456789abcdef01234567")]
    pub id: String,
    /// Whom it is for.
    #[schema(example = "owner of team/app")]
    pub name: String,
    /// Whether it is an operator's, who may do everything.
    pub operator: bool,
    /// The repositories that it reaches: `team/app`, `team/*` or `*`; none of an operator's.
    pub repositories: Vec<String>,
    /// What it permits there.
    #[schema(schema_with = crate::openapi::permissions_schema)]
    pub permissions: Vec<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Until when it counts; null is for ever.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Whether that is over.
    pub expired: bool,
}

impl TokenView {
    /// What is shown of a token at `now`.
    pub(crate) fn new(token: Token, now: Timestamp) -> Self {
        let expired = token.is_expired(now);
        let (operator, patterns, permissions) = match token.scope {
            Scope::Operator => (true, BTreeSet::new(), BTreeSet::new()),
            Scope::Repositories { patterns, permissions } => (false, patterns, permissions),
        };
        Self {
            id: token.id.to_string(),
            name: token.name,
            operator,
            repositories: patterns.iter().map(ToString::to_string).collect(),
            permissions: permissions.into_iter().map(Permission::as_str).map(str::to_owned).collect(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            expired,
        }
    }
}

/// A token that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// The token.
    #[serde(flatten)]
    pub view: TokenView,
    /// What its bearer presents, as `Authorization: Bearer`. It is shown this once.
    #[schema(example = "dbt_0123456789abcdef01234567_…")]
    pub token: String,
}

/// A change that somebody made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditedChange)]
pub struct AuditedView {
    /// Its id.
    #[schema(example = "ch_0123456789abcdef01234567")]
    pub id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// By which token; null is the operator's own.
    pub token: Option<String>,
    /// The name that the token had; null is the operator's own.
    pub token_name: Option<String>,
    /// From which address, if that is known.
    #[schema(example = "192.0.2.7")]
    pub address: Option<String>,
    /// Which operation of this description it was.
    #[schema(example = "change_webhook")]
    pub action: String,
    /// The id of what was changed; null if it was many things.
    pub subject: Option<String>,
    /// The repositories that it concerns, if it concerns a webhook.
    pub repository: Option<String>,
    /// The members that were given.
    #[schema(example = json!(["url", "headers"]))]
    pub members: Vec<String>,
}

impl From<Audited> for AuditedView {
    fn from(change: Audited) -> Self {
        let (token, token_name) = match change.actor {
            Actor::Operator => (None, None),
            Actor::Token { id, name } => (Some(id.to_string()), Some(name)),
        };
        Self {
            id: change.id.to_string(),
            at: change.at,
            token,
            token_name,
            address: change.address.map(|address| address.to_string()),
            action: change.action,
            subject: change.subject,
            repository: change.pattern.map(|pattern| pattern.to_string()),
            members: change.members,
        }
    }
}
