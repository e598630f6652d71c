//! What a caller wants a webhook to be, read from JSON and judged as a whole.

pub(crate) mod chain;
pub(crate) mod letters;
mod members;
pub(crate) mod options;
mod policy;
pub(crate) mod proofs;
pub(crate) mod reading;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
pub(crate) mod token;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use dockbell_backends::store::{HistoryQuery, PageRequest};
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::chain::After;
use dockbell_proto::filter::Filter;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::names::Registry;
use dockbell_proto::options::Options;
use dockbell_proto::outcome::DeliveryState;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::policy::{Policy, PolicyPatch};
use dockbell_proto::proof::{Proofs, ProofsPatch};
use dockbell_proto::secret::Secret;
use dockbell_proto::signature::SigningSecret;
use dockbell_proto::signature::ed25519::SigningKey;
use dockbell_proto::tls::TargetTls;
use dockbell_proto::webhook::{Format, HEADERS_LIMIT, Webhook, WebhookPatch};

use crate::problem::{MemberProblem, Problem};
use crate::replay::Span;
use chain::AfterChange;
use members::Members;
use options::OptionsChange;
pub(crate) use policy::PolicyChange;
pub(crate) use proofs::ProofsDraft;
use tls::TlsChange;

/// Which addresses a webhook may name, and the delivery policy that its own is a part of.
pub(crate) type Rules<'a> = (&'a AddressPolicy, &'a Policy);

/// A webhook that may be made.
#[derive(Debug)]
pub(crate) struct WebhookDraft {
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) registry: Option<Registry>,
    pub(crate) filter: Filter,
    pub(crate) after: Option<After>,
    pub(crate) url: Secret,
    pub(crate) format: Format,
    pub(crate) options: Options,
    pub(crate) headers: BTreeMap<String, Secret>,
    pub(crate) proofs: ProofsDraft,
    pub(crate) tls: TargetTls,
    pub(crate) enabled: bool,
    pub(crate) policy: PolicyPatch,
}

impl WebhookDraft {
    /// Reads the members of a new webhook. The problem names every member that is wrong.
    pub(crate) fn read(given: Map<String, Value>, (targets, policy): Rules<'_>) -> Result<Self, Problem> {
        let mut members = Members::new(given);
        let name = members.required("name", reading::name);
        let pattern = members.required("repository", reading::pattern);
        let url = members.required("url", |value| reading::url(value, targets));
        let format = members.required("format", reading::format);
        let options = members.optional("options", |value| options::new(value, format)).unwrap_or_default();
        let registry = members.optional("registry", reading::registry).flatten();
        let filter = members.optional("filter", |value| reading::filter(value, &Filter::default())).unwrap_or_default();
        let after = members.optional("after", chain::new).flatten();
        let headers = members.optional("headers", reading::headers).unwrap_or_default();
        let proofs = ProofsDraft::read(&mut members);
        let tls = members.optional("tls", tls::new).unwrap_or_default();
        let enabled = members.optional("enabled", reading::enabled).unwrap_or(true);
        let own = members.optional("policy", |value| policy::new(value, policy)).unwrap_or_default();
        members.refuse_the_rest("is not a member of a webhook");
        match (name, pattern, url, format) {
            (Some(name), Some(pattern), Some(url), Some(format)) => {
                let policy = own;
                let told = Self {
                    name,
                    pattern,
                    registry,
                    filter,
                    after,
                    url,
                    format,
                    options,
                    headers,
                    proofs,
                    tls,
                    enabled,
                    policy,
                };
                members.finish(told)
            }
            _ => Err(members.into_problem()),
        }
    }

    /// The webhook, made at `now`, with a secret and a key that nobody has yet.
    pub(crate) fn into_webhook(self, id: WebhookId, fresh: (SigningSecret, SigningKey), now: Timestamp) -> Webhook {
        let proofs = Proofs::v1(fresh.0).patched(self.proofs.into_patch(fresh.1), now);
        Webhook {
            id,
            name: self.name,
            pattern: self.pattern,
            registry: self.registry,
            filter: self.filter,
            after: self.after,
            url: self.url,
            format: self.format,
            options: self.options,
            headers: self.headers,
            proofs,
            tls: self.tls,
            enabled: self.enabled,
            disabled_reason: None,
            policy: self.policy,
            created_at: now,
            updated_at: now,
        }
    }
}

/// What is to change of a webhook, as a JSON merge patch (RFC 7396).
#[derive(Debug)]
pub(crate) struct PatchDraft {
    /// Everything but what follows.
    pub(crate) patch: WebhookPatch,
    /// What is to change of the filter; nothing, if none.
    pub(crate) filter: Option<Value>,
    /// What is to change of whom it waits for; nothing, if none.
    pub(crate) after: Option<AfterChange>,
    /// What is to change of the options; nothing, if none.
    pub(crate) options: Option<OptionsChange>,
    /// What is to change of the headers; nothing, if none.
    pub(crate) headers: Option<HeadersPatch>,
    /// What is to change of the proofs.
    pub(crate) proofs: ProofsDraft,
    /// What is to change of what is said about TLS; nothing, if none.
    pub(crate) tls: Option<TlsChange>,
    /// What is to change of the policy; nothing, if none.
    pub(crate) policy: Option<PolicyChange>,
}

/// What is to change of the headers of a webhook. Their values are never shown, so they change one by one.
#[derive(Debug)]
pub(crate) enum HeadersPatch {
    /// All of them go.
    Clear,
    /// These are set, or go where there is no value.
    Merge(BTreeMap<String, Option<Secret>>),
}

impl PatchDraft {
    /// Reads a patch. The problem names every member that is wrong.
    pub(crate) fn read(given: Map<String, Value>, targets: &AddressPolicy) -> Result<Self, Problem> {
        let mut members = Members::new(given);
        let patch = WebhookPatch {
            name: members.optional("name", reading::name),
            pattern: members.optional("repository", reading::pattern),
            registry: members.optional("registry", reading::registry),
            filter: None,
            after: None,
            url: members.optional("url", |value| reading::url(value, targets)),
            format: members.optional("format", reading::format),
            options: None,
            headers: None,
            proofs: ProofsPatch::default(),
            tls: None,
            enabled: members.optional("enabled", reading::enabled),
            disabled_reason: None,
            policy: None,
        };
        let filter =
            members.optional("filter", |value| reading::filter(value, &Filter::default()).map(|_| value.clone()));
        let after = members.optional("after", chain::change);
        let options = members.optional("options", options::change);
        let headers = members.optional("headers", reading::headers_patch);
        let proofs = ProofsDraft::read(&mut members);
        let tls = members.optional("tls", tls::change);
        let policy = members.optional("policy", policy::change);
        members.refuse_the_rest("is not a member of a webhook that can be changed");
        members.finish(Self { patch, filter, after, options, headers, proofs, tls, policy })
    }
}

impl HeadersPatch {
    /// The headers after the change.
    pub(crate) fn apply(self, current: &BTreeMap<String, Secret>) -> Result<BTreeMap<String, Secret>, Problem> {
        let Self::Merge(changes) = self else { return Ok(BTreeMap::new()) };
        let mut headers = current.clone();
        for (name, value) in changes {
            match value {
                Some(value) => headers.insert(name, value),
                None => headers.remove(&name),
            };
        }
        if headers.len() > HEADERS_LIMIT {
            let problem = format!("headers: at most {HEADERS_LIMIT} are allowed");
            return Err(Problem::invalid(vec![MemberProblem { member: "headers".to_owned(), problem }]));
        }
        Ok(headers)
    }
}

/// Which webhooks to list.
#[derive(Debug)]
pub(crate) struct WebhookQuery {
    /// Those on exactly this pattern; all, if none.
    pub(crate) pattern: Option<Pattern>,
    /// Which page.
    pub(crate) page: PageRequest,
}

impl WebhookQuery {
    pub(crate) fn read(given: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut members = Members::of_query(given);
        let pattern = members.optional("repository", reading::pattern);
        let page = read_page(&mut members);
        members.refuse_the_rest("is not a parameter of this list");
        members.finish(Self { pattern, page })
    }
}

/// Reads which deliveries to list.
pub(crate) fn read_history_query(given: Vec<(String, String)>) -> Result<HistoryQuery, Problem> {
    let mut members = Members::of_query(given);
    let webhook = members.optional("webhook", reading::webhook);
    let state: Option<DeliveryState> = members.optional("state", reading::state);
    let page = read_page(&mut members);
    members.refuse_the_rest("is not a parameter of this list");
    members.finish(HistoryQuery { webhook, state, page })
}

/// Reads from when to when.
pub(crate) fn read_period(given: Map<String, Value>) -> Result<Span, Problem> {
    let mut members = Members::new(given);
    let since = members.optional("since", |value| reading::time("since", value));
    let until = members.optional("until", |value| reading::time("until", value));
    members.refuse_the_rest("is not a member of a period");
    members.finish(Span { since, until })
}

/// Reads which page, where nothing else can be said.
pub(crate) fn read_only_page(given: Vec<(String, String)>) -> Result<PageRequest, Problem> {
    let mut members = Members::of_query(given);
    let page = read_page(&mut members);
    members.refuse_the_rest("is not a parameter of this list");
    members.finish(page)
}

fn read_page(members: &mut Members) -> PageRequest {
    let after = members.optional("after", reading::after);
    let limit = members.optional("limit", reading::limit).unwrap_or(reading::LIMIT_BY_DEFAULT);
    PageRequest { after, limit }
}
