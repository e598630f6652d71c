//! A webhook: where, in which format and signed with what the pushes of some repositories are sent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::chain::After;
use crate::filter::Filter;
use crate::ids::WebhookId;
use crate::names::{Registry, Repository};
use crate::options::Options;
use crate::pattern::Pattern;
use crate::policy::PolicyPatch;
use crate::proof::{Proofs, ProofsPatch};
use crate::secret::Secret;
use crate::tls::TargetTls;

/// The most headers of its own that a webhook may have.
pub const HEADERS_LIMIT: usize = 20;
/// The longest value of such a header, in bytes.
pub const HEADER_VALUE_LIMIT: usize = 1024;
/// The most `CloudEvents` of one POST. The names of each may take 2 KiB, and receivers refuse bodies beyond 1 MiB.
const BATCHED_EVENTS: usize = 250;
/// The longest name of a webhook, in bytes.
pub const NAME_LIMIT: usize = 128;

/// The body that a receiver understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Docker Hub's payload, one POST per tag.
    Dockerhub,
    /// Image, layers and sizes, with the tag in a header, one POST per tag.
    Alin,
    /// Dockbell's own: every change of the batch in one POST.
    Batch,
    /// Harbor's payload of a pushed artifact, one POST per tag.
    Harbor,
    /// Quay's payload: the names of all tags that changed in one POST.
    Quay,
    /// Keel's native payload, one POST per tag.
    Keel,
    /// A `CloudEvent` in structured mode, one POST per tag.
    CloudEvents,
    /// The envelope of CNCF Distribution with one event, one POST per tag.
    Distribution,
    /// The event of Azure Container Registry, one POST per tag.
    Acr,
    /// A message for Slack: all tags that changed in one POST.
    Slack,
    /// A message for Discord: all tags that changed in one POST.
    Discord,
    /// A card for Microsoft Teams: all tags that changed in one POST.
    Teams,
    /// What the owner's own template writes, one POST per tag.
    Template,
    /// No body at all, one POST per tag; the URL says what there is to say.
    Empty,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 14] = [
        Self::Dockerhub,
        Self::Alin,
        Self::Batch,
        Self::Harbor,
        Self::Quay,
        Self::Keel,
        Self::CloudEvents,
        Self::Distribution,
        Self::Acr,
        Self::Slack,
        Self::Discord,
        Self::Teams,
        Self::Template,
        Self::Empty,
    ];

    /// The name that the API and the command line use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dockerhub => "dockerhub",
            Self::Alin => "alin",
            Self::Batch => "batch",
            Self::Harbor => "harbor",
            Self::Quay => "quay",
            Self::Keel => "keel",
            Self::CloudEvents => "cloudevents",
            Self::Distribution => "distribution",
            Self::Acr => "acr",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Teams => "teams",
            Self::Template => "template",
            Self::Empty => "empty",
        }
    }

    /// The format of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// Whether its payload tells when the repository was created.
    pub fn tells_creation(self) -> bool {
        matches!(self, Self::Dockerhub | Self::Harbor)
    }

    /// Whether its payload tells receivers where to report what came of it.
    pub fn takes_callbacks(self) -> bool {
        self == Self::Dockerhub
    }

    /// How many tags of a batch one POST carries at most, if its webhook waits for nobody.
    pub fn tags_at_once(self, options: &Options) -> usize {
        match self {
            Self::Batch | Self::Quay | Self::Slack | Self::Discord | Self::Teams => usize::MAX,
            Self::CloudEvents if options.batched == Some(true) => BATCHED_EVENTS,
            Self::Dockerhub
            | Self::Alin
            | Self::Harbor
            | Self::Keel
            | Self::CloudEvents
            | Self::Distribution
            | Self::Acr
            | Self::Template
            | Self::Empty => 1,
        }
    }
}

/// Where the pushes of some repositories are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id, for life.
    pub id: WebhookId,
    /// What its owner calls it.
    pub name: String,
    /// The repositories it is set on.
    pub pattern: Pattern,
    /// The one registry it is about; any, if none.
    pub registry: Option<Registry>,
    /// Which of the pushes there it is told of.
    pub filter: Filter,
    /// Whose receiver must report success before it is told; nobody's, if none.
    pub after: Option<After>,
    /// Where to POST. The whole URL is a secret: many tools put a token into it.
    pub url: Secret,
    /// What to POST.
    pub format: Format,
    /// What its owner chose of what the format leaves open.
    pub options: Options,
    /// Headers of its owner, by lower-case name.
    pub headers: BTreeMap<String, Secret>,
    /// How attempts prove where they come from.
    pub proofs: Proofs,
    /// What is otherwise of the TLS of its receiver.
    pub tls: TargetTls,
    /// Whether it rings.
    pub enabled: bool,
    /// Why it does not ring, if it was not simply switched off by its owner.
    pub disabled_reason: Option<String>,
    /// What of the delivery policy is otherwise than for all webhooks.
    pub policy: PolicyPatch,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// Whether it is about pushes to this repository, of those that its pattern covers.
    pub fn applies_to(&self, registry: &Registry, repository: &Repository) -> bool {
        self.registry.as_ref().is_none_or(|own| own == registry) && self.filter.covers(repository)
    }

    /// How many tags of a batch one POST carries at most. What waits for reports waits for that of its own tag.
    pub fn tags_at_once(&self) -> usize {
        if self.after.is_some() { 1 } else { self.format.tags_at_once(&self.options) }
    }

    /// The webhook after `patch`, which was made at `now`.
    #[must_use]
    pub fn patched(&self, patch: &WebhookPatch, now: Timestamp) -> Self {
        let patch = patch.clone();
        Self {
            id: self.id.clone(),
            name: patch.name.unwrap_or_else(|| self.name.clone()),
            pattern: patch.pattern.unwrap_or_else(|| self.pattern.clone()),
            registry: patch.registry.unwrap_or_else(|| self.registry.clone()),
            filter: patch.filter.unwrap_or_else(|| self.filter.clone()),
            after: patch.after.unwrap_or_else(|| self.after.clone()),
            url: patch.url.unwrap_or_else(|| self.url.clone()),
            format: patch.format.unwrap_or(self.format),
            // Another format leaves other things open.
            options: match (patch.options, patch.format) {
                (Some(options), _) => options,
                (None, Some(format)) if format != self.format => Options::default(),
                (None, _) => self.options.clone(),
            },
            headers: patch.headers.unwrap_or_else(|| self.headers.clone()),
            proofs: self.proofs.patched(patch.proofs, now),
            tls: patch.tls.unwrap_or_else(|| self.tls.clone()),
            enabled: patch.enabled.unwrap_or(self.enabled),
            // A reason is about the last time that it was disabled.
            disabled_reason: match patch.enabled {
                Some(_) => patch.disabled_reason,
                None => self.disabled_reason.clone(),
            },
            policy: patch.policy.unwrap_or_else(|| self.policy.clone()),
            created_at: self.created_at,
            updated_at: now,
        }
    }
}

/// What to change of a webhook; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookPatch {
    /// A new name.
    pub name: Option<String>,
    /// New repositories.
    pub pattern: Option<Pattern>,
    /// A new registry; `Some(None)` makes it any.
    pub registry: Option<Option<Registry>>,
    /// A new filter, in place of all of it.
    pub filter: Option<Filter>,
    /// Whom it is to wait for; `Some(None)` is nobody.
    pub after: Option<Option<After>>,
    /// A new URL.
    pub url: Option<Secret>,
    /// A new format; the options go with the one before.
    pub format: Option<Format>,
    /// New options, in place of all.
    pub options: Option<Options>,
    /// New headers, in place of all.
    pub headers: Option<BTreeMap<String, Secret>>,
    /// What to change of how attempts prove where they come from.
    pub proofs: ProofsPatch,
    /// What is to be otherwise of the TLS of its receiver, in place of all of it.
    pub tls: Option<TargetTls>,
    /// Whether it rings.
    pub enabled: Option<bool>,
    /// Why it does not; counts only beside `enabled`.
    pub disabled_reason: Option<String>,
    /// A new delivery policy of its own, in place of all of it.
    pub policy: Option<PolicyPatch>,
}

/// Headers that belong to the connection, to us, or that unlock the metadata services of clouds.
const DENIED_HEADERS: [&str; 20] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "expect",
    "forwarded",
    "x-real-ip",
    "via",
    "cookie",
    "metadata",
    "metadata-flavor",
    "accept-encoding",
    "content-encoding",
    "accept",
    "user-agent",
];
const DENIED_PREFIXES: [&str; 6] =
    ["proxy-", "sec-", "x-forwarded-", "webhook-", "x-alin-", "x-aws-ec2-metadata-token"];

/// Checks the headers that an owner wants sent and brings their names into lower case. The error says
/// which one is wrong and why, without its value.
pub fn owner_headers(headers: &BTreeMap<String, String>) -> Result<BTreeMap<String, Secret>, String> {
    if headers.len() > HEADERS_LIMIT {
        return Err(format!("headers: at most {HEADERS_LIMIT} are allowed"));
    }
    headers.iter().map(|(name, value)| owner_header(name, value)).collect()
}

fn owner_header(name: &str, value: &str) -> Result<(String, Secret), String> {
    let lower = header_name(name, &[]).map_err(|problem| format!("headers: {problem}"))?;
    if !is_header_value(value) {
        return Err(format!(
            "headers: the value of {lower} must be visible ASCII, at most {HEADER_VALUE_LIMIT} bytes, without blanks around it"
        ));
    }
    Ok((lower, Secret::new(value)))
}

/// The lower-case name of a header that a webhook may set; of the denied prefixes these are allowed.
pub(crate) fn header_name(name: &str, allowed: &[&str]) -> Result<String, String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(token) {
        return Err(format!("{name:?} is not a header name"));
    }
    let lower = name.to_ascii_lowercase();
    let is_denied = |prefix: &&str| lower.starts_with(*prefix) && !allowed.contains(prefix);
    if DENIED_HEADERS.contains(&lower.as_str()) || DENIED_PREFIXES.iter().any(is_denied) {
        return Err(format!("{lower} cannot be set by a webhook"));
    }
    Ok(lower)
}

/// Whether a header of an attempt can have this value: visible ASCII, bounded, without blanks around it.
pub(crate) fn is_header_value(value: &str) -> bool {
    let visible = |byte: u8| (0x20..0x7f).contains(&byte) || byte == b'\t';
    value.len() <= HEADER_VALUE_LIMIT && value.bytes().all(visible) && value.trim() == value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str, value: &str) -> Result<BTreeMap<String, Secret>, String> {
        owner_headers(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn an_owner_may_set_headers_that_are_theirs() {
        assert!(checked("Authorization", "Bearer canary").unwrap().contains_key("authorization"));
        for (name, value) in [
            ("Host", "a"),
            ("X-Forwarded-For", "a"),
            ("Webhook-Id", "a"),
            ("Metadata-Flavor", "Google"),
            ("a b", "c"),
            ("", "c"),
            ("x-ok", "a\r\nb"),
            ("x-ok", "é"),
            ("x-ok", " a"),
            ("x-ok", &"a".repeat(2000)),
        ] {
            let error = checked(name, value).unwrap_err();
            assert!(error.starts_with("headers: ") && !error.contains("canary"), "{name}: {error}");
        }
    }
    /// What belongs to the connection or to us, or unlocks the metadata services of clouds.
    #[test]
    fn an_owner_cannot_set_headers_that_are_not_theirs() {
        let denied = "host content-length transfer-encoding connection te trailer upgrade keep-alive expect \
            proxy-authorization proxy-connection sec-fetch-site forwarded x-forwarded-for x-forwarded-host x-real-ip \
            via cookie webhook-id webhook-timestamp webhook-signature x-alin-webhook metadata metadata-flavor \
            x-aws-ec2-metadata-token x-aws-ec2-metadata-token-ttl-seconds accept-encoding content-encoding";
        for name in denied.split(' ').chain(["content-type", "accept", "user-agent"]) {
            for name in [name.to_owned(), name.to_uppercase()] {
                let error = checked(&name, "canary").unwrap_err();
                assert_eq!(error, format!("headers: {} cannot be set by a webhook", name.to_lowercase()));
            }
        }
        let most: BTreeMap<String, String> = (0..HEADERS_LIMIT).map(|n| (format!("x-{n}"), "a".to_owned())).collect();
        assert_eq!(owner_headers(&most).unwrap().len(), HEADERS_LIMIT);
        let more = most.into_iter().chain([("y".to_owned(), "a".to_owned())]).collect();
        assert!(owner_headers(&more).unwrap_err().contains("at most 20"));
    }
}
