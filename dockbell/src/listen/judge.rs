//! Whether what came proves where it comes from. Pure.

use std::fmt;

use dockbell_proto::signature::{ID_HEADER, SIGNATURE_HEADER, SignatureError, Signed, TIMESTAMP_HEADER};
use http::HeaderMap;
use jiff::Timestamp;

use super::Known;

/// What is found of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// It is right.
    Verified,
    /// It is not.
    Wrong(String),
    /// Nothing was given to judge it by.
    Unjudged(&'static str),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified => f.write_str("verified"),
            Self::Wrong(why) => write!(f, "WRONG: {why}"),
            Self::Unjudged(why) => write!(f, "not judged: {why}"),
        }
    }
}

const NO_SECRET: Finding = Finding::Unjudged("give --secret");
const NO_KEY: Finding = Finding::Unjudged("give --public-key");

/// What is found of each proof, by its name, as of `now`.
pub(super) fn judge(known: &Known, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Vec<(&'static str, Finding)> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let signature = header(SIGNATURE_HEADER).unwrap_or_default();
    let (id, timestamp) = (header(ID_HEADER).unwrap_or_default(), header(TIMESTAMP_HEADER).unwrap_or_default());
    let signed = Signed { id, timestamp, signature, body };
    let has = |version: &str| signature.split(' ').any(|one| one.starts_with(version));
    let mut findings = Vec::new();
    if has("v1,") {
        let verified = known.secrets.iter().map(|secret| secret.verify(&signed, now));
        findings.push(("webhook-signature v1", best(verified).unwrap_or(NO_SECRET)));
    }
    if has("v1a,") {
        let verified = known.public_keys.iter().map(|key| key.verify(&signed, now));
        findings.push(("webhook-signature v1a", best(verified).unwrap_or(NO_KEY)));
    }
    for name in ["x-hub-signature-256", "x-signature"] {
        if let Some(value) = header(name) {
            let fits = |secret: &dockbell_proto::signature::SigningSecret| {
                if secret.sign_body(body) == value { Ok(()) } else { Err(SignatureError::Mismatch) }
            };
            findings.push((name, best(known.secrets.iter().map(fits)).unwrap_or(NO_SECRET)));
        }
    }
    if headers.contains_key(http::header::AUTHORIZATION) {
        findings.push(("authorization", Finding::Unjudged("compare it with what you expect")));
    }
    if findings.is_empty() {
        findings.push(("proof", Finding::Wrong("there is none".to_owned())));
    }
    findings
}

/// The best of several verifications; none, if there are none.
fn best(verified: impl Iterator<Item = Result<(), SignatureError>>) -> Option<Finding> {
    verified.fold(None, |best, verified| match (best, verified) {
        (Some(Finding::Verified), _) | (_, Ok(())) => Some(Finding::Verified),
        (_, Err(error)) => Some(Finding::Wrong(error.to_string())),
    })
}
