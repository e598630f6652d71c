//! What a caller wants the attempts of a webhook to prove where they come from with.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use dockbell_proto::proof::{Authorization, ProofsPatch, Scheme, Signatures};
use dockbell_proto::signature::ed25519::SigningKey;
use dockbell_proto::webhook::Webhook;

use super::members::Members;
use crate::problem::{MemberProblem, Problem};
use crate::view::MASK;

/// What is to become of how attempts prove where they come from; what is none stays.
#[derive(Debug)]
pub(crate) struct ProofsDraft {
    signatures: Option<BTreeSet<Scheme>>,
    /// Everything but the signatures, which may need a key.
    rest: ProofsPatch,
}

impl ProofsDraft {
    pub(super) fn read(members: &mut Members) -> Self {
        let signatures = members.optional("signatures", signatures);
        let authorization = members.optional("authorization", authorization);
        Self { signatures, rest: ProofsPatch { authorization, ..ProofsPatch::default() } }
    }

    /// The same for the store; `key` is for a webhook that is to have one and has none.
    pub(crate) fn into_patch(self, key: SigningKey) -> ProofsPatch {
        let signatures = self.signatures.map(|schemes| Signatures::new(&schemes, key));
        ProofsPatch { signatures, ..self.rest }
    }
}

/// The ways to sign, of which there must be one: a receiver can always ignore it.
fn signatures(value: &Value) -> Result<BTreeSet<Scheme>, String> {
    let known = || format!("signatures must be a list of some of {}", Scheme::ALL.map(Scheme::as_str).join(", "));
    let names = value.as_array().filter(|names| !names.is_empty()).ok_or_else(known)?;
    names.iter().map(|name| name.as_str().and_then(Scheme::parse).ok_or_else(known)).collect()
}

/// `null` is none.
fn authorization(value: &Value) -> Result<Option<Authorization>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Object(given) => read(given).map(Some).map_err(|problem| format!("authorization: {problem}")),
        _ => Err("authorization must be an object".to_owned()),
    }
}

fn read(given: &Map<String, Value>) -> Result<Authorization, String> {
    let allow = |names: &[&str]| match given.keys().find(|name| !["kind"].iter().chain(names).any(|own| name == own)) {
        Some(_) => Err(format!("besides kind it has only {}", names.join(" and "))),
        None => Ok(()),
    };
    match given.get("kind").and_then(Value::as_str) {
        Some("verbatim") => allow(&["value"]).and_then(|()| Authorization::verbatim(text(given, "value")?)),
        Some("bearer") => allow(&["token"]).and_then(|()| Authorization::bearer(text(given, "token")?)),
        Some("basic") => {
            allow(&["user", "password"])?;
            Authorization::basic(text(given, "user")?, text(given, "password")?)
        }
        _ => Err("kind must be one of verbatim, basic, bearer".to_owned()),
    }
}

fn text<'a>(given: &'a Map<String, Value>, member: &str) -> Result<&'a str, String> {
    match given.get(member).and_then(Value::as_str) {
        Some(MASK) => Err(format!("{member} is a mask; leave authorization out to keep it")),
        Some(text) => Ok(text),
        None => Err(format!("{member} must be a string")),
    }
}

/// Refuses a header of the owner that a proof would overwrite.
pub(crate) fn require_agreement(webhook: &Webhook) -> Result<(), Problem> {
    let Some(name) = webhook.proofs.conflict(&webhook.headers) else { return Ok(()) };
    let problem = format!("headers: {name} is set by what `authorization` and `signatures` say; take one of them away");
    Err(Problem::invalid(vec![MemberProblem { member: "headers".to_owned(), problem }]))
}
