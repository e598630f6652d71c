//! What a caller wants a token to be.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use dockbell_proto::ids::TokenId;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::token::{PATTERNS_LIMIT, Permission, Scope, Token, TokenHash};

use super::members::Members;
use super::reading;
use crate::problem::Problem;

/// A token that may be made.
#[derive(Debug)]
pub(crate) struct TokenDraft {
    name: String,
    scope: Scope,
    expires_at: Option<Timestamp>,
}

impl TokenDraft {
    /// Reads the members of a token that is made at `now`. The problem names every member that is wrong.
    pub(crate) fn read(given: Map<String, Value>, now: Timestamp) -> Result<Self, Problem> {
        let mut members = Members::new(given);
        let name = members.required("name", reading::name);
        let expires_at = members.optional("expires_at", |value| end(value, now)).flatten();
        let scope = if members.optional("operator", operator).unwrap_or(false) {
            members.refuse_the_rest("is not a member of an operator's token, which reaches everything");
            Some(Scope::Operator)
        } else {
            let patterns = members.required("repositories", patterns);
            let permissions = members.required("permissions", permissions);
            let scope = patterns.zip(permissions);
            scope.map(|(patterns, permissions)| Scope::Repositories { patterns, permissions })
        };
        members.refuse_the_rest("is not a member of a token");
        match (name, scope) {
            (Some(name), Some(scope)) => members.finish(Self { name, scope, expires_at }),
            _ => Err(members.into_problem()),
        }
    }

    /// The token, made at `now`.
    pub(crate) fn into_token(self, id: TokenId, hash: TokenHash, now: Timestamp) -> Token {
        Token { id, name: self.name, hash, scope: self.scope, created_at: now, expires_at: self.expires_at }
    }
}

fn operator(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "operator must be true or false".to_owned())
}

/// `null` is never.
fn end(value: &Value, now: Timestamp) -> Result<Option<Timestamp>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let end = reading::time("expires_at", value)?;
    if end > now { Ok(Some(end)) } else { Err("expires_at must be in the future".to_owned()) }
}

fn patterns(value: &Value) -> Result<BTreeSet<Pattern>, String> {
    let patterns = texts("repositories", value)?;
    if patterns.len() > PATTERNS_LIMIT {
        return Err(format!("repositories: at most {PATTERNS_LIMIT} are allowed"));
    }
    let read = |text: &str| {
        Pattern::parse(text)
            .map_err(|_| "repositories must be names (`team/app`), namespaces (`team/*`) or `*`".to_owned())
    };
    patterns.into_iter().map(read).collect()
}

fn permissions(value: &Value) -> Result<BTreeSet<Permission>, String> {
    let known = || format!("permissions must be some of {}", Permission::ALL.map(Permission::as_str).join(", "));
    let read = |text: &str| Permission::parse(text).ok_or_else(known);
    texts("permissions", value)?.into_iter().map(read).collect()
}

/// A list of texts that is not empty.
fn texts<'a>(member: &str, value: &'a Value) -> Result<Vec<&'a str>, String> {
    let texts = value.as_array().and_then(|entries| entries.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let texts = texts.ok_or_else(|| format!("{member} must be a list of strings"))?;
    if texts.is_empty() { Err(format!("{member} must not be empty")) } else { Ok(texts) }
}
