//! What a caller says about the TLS of a webhook's receiver.

use serde_json::Value;

use dockbell_chassis::crypto::{Identity, Roots};
use dockbell_proto::secret::Secret;
use dockbell_proto::tls::{AUTHORITIES_LIMIT, CERTIFICATES_LIMIT, ClientCertificate, KEY_LIMIT, TargetTls};
use dockbell_proto::webhook::Webhook;

use crate::Console;
use crate::problem::{MemberProblem, Problem};
use crate::view::MASK;

/// The member of a webhook that holds it.
const MEMBER: &str = "tls";

/// What becomes of a member.
#[derive(Debug, Default)]
enum Becomes<T> {
    /// What it was.
    #[default]
    Unchanged,
    /// Nothing.
    Nothing,
    /// This.
    New(T),
}

impl<T> Becomes<T> {
    fn of(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Unchanged => before,
            Self::Nothing => None,
            Self::New(value) => Some(value),
        }
    }
}

/// What is to change of it.
#[derive(Debug, Default)]
pub(crate) struct TlsChange {
    /// Whether all that was before goes.
    clear: bool,
    ca_certificates: Becomes<String>,
    client_certificate: Becomes<String>,
    client_key: Becomes<Secret>,
    skip_verify: Option<bool>,
}

/// Reads a change. The refusal names every member that is wrong, and shows nothing of it.
pub(super) fn change(value: &Value) -> Result<TlsChange, String> {
    let given = match value {
        Value::Null => return Ok(TlsChange { clear: true, ..TlsChange::default() }),
        Value::Object(given) => given,
        _ => return Err(format!("{MEMBER} must be an object")),
    };
    let (mut change, mut problems) = (TlsChange::default(), Vec::new());
    for (name, value) in given {
        let read = match name.as_str() {
            "ca_certificates" => pem(name, value, CERTIFICATES_LIMIT).map(|pem| change.ca_certificates = pem),
            "client_certificate" => pem(name, value, CERTIFICATES_LIMIT).map(|pem| change.client_certificate = pem),
            "client_key" => pem(name, value, KEY_LIMIT).map(|pem| change.client_key = pem),
            "skip_verify" => flag(name, value).map(|flag| change.skip_verify = Some(flag)),
            _ => Err(format!("there is no member {:?}", name.chars().take(64).collect::<String>())),
        };
        problems.extend(read.err());
    }
    if problems.is_empty() { Ok(change) } else { Err(joined(problems)) }
}

/// Reads what is said of a new webhook.
pub(super) fn new(value: &Value) -> Result<TargetTls, String> {
    change(value)?.applied(&TargetTls::default())
}

impl TlsChange {
    /// What is said after the change.
    pub(crate) fn apply(self, current: &TargetTls) -> Result<TargetTls, Problem> {
        self.applied(current).map_err(invalid)
    }

    fn applied(self, current: &TargetTls) -> Result<TargetTls, String> {
        let before = if self.clear { TargetTls::default() } else { current.clone() };
        let (chain, key) = before.client.map(|client| (client.chain, client.key)).unzip();
        let client = match (self.client_certificate.of(chain), self.client_key.of(key)) {
            (None, None) => None,
            (Some(chain), Some(key)) => Some(ClientCertificate { chain, key }),
            (Some(_), None) => return Err(joined(vec!["client_key must be given with client_certificate".to_owned()])),
            (None, Some(_)) => return Err(joined(vec!["client_certificate must be given with client_key".to_owned()])),
        };
        let tls = TargetTls {
            ca_certificates: self.ca_certificates.of(before.ca_certificates),
            client,
            skip_verify: self.skip_verify.unwrap_or(before.skip_verify),
        };
        let problems: Vec<String> = [require_authorities(&tls), require_identity(&tls)].into_iter().flatten().collect();
        if problems.is_empty() { Ok(tls) } else { Err(joined(problems)) }
    }
}

fn require_authorities(tls: &TargetTls) -> Option<String> {
    match Roots::read(tls.ca_certificates.as_ref()?.as_bytes()) {
        Ok(roots) if roots.count() > AUTHORITIES_LIMIT => {
            Some(format!("ca_certificates must be at most {AUTHORITIES_LIMIT}"))
        }
        Ok(_) => None,
        Err(error) => Some(format!("ca_certificates {error}")),
    }
}

fn require_identity(tls: &TargetTls) -> Option<String> {
    let ClientCertificate { chain, key } = tls.client.clone()?;
    let error = Identity::from_pem(chain.into_bytes(), key.expose().to_owned().into_bytes()).err()?;
    Some(format!("client_certificate and client_key {error}"))
}

/// Refuses what says nothing, and what the operator does not allow.
pub(crate) fn require_use(console: &Console, webhook: &Webhook) -> Result<(), Problem> {
    let tls = &webhook.tls;
    if tls.skip_verify && !console.allows_skip_verify {
        return Err(invalid(format!(
            "{MEMBER}: skip_verify is not allowed; an operator can allow it with targets.allow_skip_verify, and ca_certificates makes it needless"
        )));
    }
    let is_https = webhook.url.expose().get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
    if !tls.is_default() && !is_https {
        return Err(invalid(format!(
            "{MEMBER} says nothing about a url that does not begin with https://; leave it out"
        )));
    }
    Ok(())
}

/// `null` takes it away.
fn pem<T: From<String>>(name: &str, value: &Value, limit: usize) -> Result<Becomes<T>, String> {
    match value {
        Value::Null => Ok(Becomes::Nothing),
        Value::String(text) if text == MASK => Err(format!("{name} is a mask; leave it out to keep it")),
        Value::String(text) if text.len() <= limit => Ok(Becomes::New(text.clone().into())),
        _ => Err(format!("{name} must be a string in PEM of at most {limit} bytes")),
    }
}

fn flag(name: &str, value: &Value) -> Result<bool, String> {
    match value {
        Value::Null => Ok(false),
        value => value.as_bool().ok_or_else(|| format!("{name} must be true or false")),
    }
}

fn joined(problems: Vec<String>) -> String {
    problems.into_iter().map(|problem| format!("{MEMBER}: {problem}")).collect::<Vec<_>>().join("; ")
}

fn invalid(problem: String) -> Problem {
    Problem::invalid(vec![MemberProblem { member: MEMBER.to_owned(), problem }])
}
