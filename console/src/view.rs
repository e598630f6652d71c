//! What the API shows. Secrets are masked here, and nowhere later.

mod access;
mod callbacks;
mod choice;
pub(crate) mod letters;
mod policy;
mod proofs;
mod standing;
mod tls;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use dockbell_backends::store::{AttemptEntry, DeliveryRecord, Health};
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::batch::Change;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::placeholder::PLACEHOLDERS;
use dockbell_proto::target::TargetUrl;
use dockbell_proto::webhook::Webhook;

use crate::sample;

pub use access::{AuditedView, CreatedToken, TokenView};
pub use callbacks::CallbackView;
pub use choice::{AfterView, FilterView};
pub use policy::PolicyView;
pub use proofs::{AuthorizationView, ProofsView, PublicKeys};
pub use standing::{Discarded, Replayed, Resealed, StandingChangeView, StandingView};
pub use tls::TlsView;

/// What stands for a secret.
pub(crate) const MASK: &str = "***";

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Page)]
pub struct PageView<T> {
    /// The entries.
    pub items: Vec<T>,
    /// What to give as `after` for the next page; null on the last one.
    pub next: Option<String>,
}

/// A webhook, its secrets masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookView {
    /// Its id, for life.
    #[schema(example = "wh_0123456789abcdef01234567")]
    pub id: String,
    /// What its owner calls it.
    #[schema(example = "deploy to staging")]
    pub name: String,
    /// The repositories it is set on: one (`team/app`), a namespace with everything below it (`team/*`), or all (`*`).
    #[schema(example = "team/*")]
    pub repository: String,
    /// The one registry it is about; null is any.
    #[schema(example = "registry.example.com:5000")]
    pub registry: Option<String>,
    /// Which pushes it is told of.
    pub filter: FilterView,
    /// Whom it waits for; null is nobody.
    pub after: Option<AfterView>,
    /// Where its deliveries go. Values of the query and long parts of the path are masked.
    #[schema(example = "https://ci.example.com/hooks?token=***")]
    pub url: String,
    /// The body that its receiver gets.
    #[schema(schema_with = crate::openapi::format_schema)]
    pub format: String,
    /// What its owner chose of what the format leaves open.
    #[schema(schema_with = crate::openapi::options_schema)]
    pub options: Map<String, Value>,
    /// The headers that its deliveries carry; the values are masked.
    #[schema(example = json!({ "authorization": "***" }))]
    pub headers: BTreeMap<String, String>,
    /// How its deliveries prove where they come from.
    #[serde(flatten)]
    pub proofs: ProofsView,
    /// What is otherwise of the TLS of its receiver.
    pub tls: TlsView,
    /// Whether it rings.
    pub enabled: bool,
    /// Why it does not ring, if it was not its owner who disabled it.
    pub disabled_reason: Option<String>,
    /// How it stands.
    #[schema(schema_with = crate::openapi::standing_schema)]
    pub standing: String,
    /// Until when nothing is attempted; null unless it is suspended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub suspended_until: Option<Timestamp>,
    /// What of the delivery policy is otherwise than for all webhooks.
    pub policy: PolicyView,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// Its counters.
    pub health: HealthView,
}

/// The counters of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthView {
    /// Failed attempts since the last success.
    pub consecutive_failures: u32,
    /// When the first of them was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
    /// When an attempt last succeeded.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub succeeded_at: Option<Timestamp>,
    /// Deliveries that wait for an attempt.
    pub waiting: u32,
    /// Deliveries that were skipped while it was disabled, since they were last replayed or discarded.
    pub skipped: u32,
}

/// A webhook with the secret that its deliveries are signed with from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: WebhookView,
    /// The signing secret. It is shown this once and never again.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: String,
}

/// A test delivery is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestAsked {
    /// The id of the delivery. It can be looked up once it was attempted.
    #[schema(example = "msg_0123456789abcdef0123456789abcdef")]
    pub delivery: String,
}

/// A redelivery is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RedeliveryAsked {
    /// The id of the delivery.
    #[schema(example = "msg_0123456789abcdef0123456789abcdef")]
    pub id: String,
    /// The number of this redelivery; its attempts carry it.
    pub request: u32,
}

/// A delivery: one body owed to one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// Its id: the `webhook-id` header on each of its attempts.
    #[schema(example = "msg_0123456789abcdef0123456789abcdef")]
    pub id: String,
    /// The webhook that it is owed to.
    #[schema(example = "wh_0123456789abcdef01234567")]
    pub webhook: String,
    /// Where it stands.
    #[schema(schema_with = crate::openapi::state_schema)]
    pub state: String,
    /// The registry that was pushed to.
    pub registry: String,
    /// The repository that was pushed to.
    pub repository: String,
    /// The tags that changed.
    pub changes: Vec<ChangeView>,
    /// When its first attempt began.
    #[schema(value_type = String, format = DateTime)]
    pub first_at: Timestamp,
    /// When its last attempt began.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
    /// When its next attempt is due; null unless it is retrying or parked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
    /// Why it waits although no attempt failed; null unless it is parked.
    pub parked_because: Option<String>,
    /// Its attempts, oldest first; left out in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptView>,
    /// True if it is a test that a person asked for; left out otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_test: bool,
    /// What its receiver reported of it, by request; left out in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callbacks: Vec<CallbackView>,
}

/// A tag that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeView {
    /// The tag.
    pub tag: String,
    /// Its newest digest, where the source told.
    pub digest: Option<String>,
    /// Who pushed it, where the source told.
    pub pusher: Option<String>,
    /// When it was pushed.
    #[schema(value_type = String, format = DateTime)]
    pub pushed_at: Timestamp,
}

/// An attempt: one POST, or that none was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// The request that asked for it; 0 is the push itself.
    pub request: u32,
    /// Its number within the request, from 1.
    pub ordinal: u32,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What happened.
    #[schema(schema_with = crate::openapi::outcome_schema)]
    pub outcome: String,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why, if there was no answer.
    pub reason: Option<String>,
    /// What followed.
    #[schema(schema_with = crate::openapi::verdict_schema)]
    pub verdict: String,
    /// Why it was given up, skipped or expired, or what took its place, if one of them followed.
    pub verdict_reason: Option<String>,
    /// When the attempt after it is due, if there is one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retry_at: Option<Timestamp>,
    /// The beginning of the answer's body.
    pub excerpt: Option<String>,
}

impl WebhookView {
    pub(crate) fn new(webhook: &Webhook, health: &Health, now: Timestamp) -> Self {
        Self {
            id: webhook.id.to_string(),
            name: webhook.name.clone(),
            repository: webhook.pattern.to_string(),
            registry: webhook.registry.as_ref().map(ToString::to_string),
            filter: (&webhook.filter).into(),
            after: webhook.after.as_ref().map(Into::into),
            url: masked_url(webhook.url.expose()),
            format: webhook.format.as_str().to_owned(),
            options: webhook.options.members(),
            headers: webhook.headers.keys().map(|name| (name.clone(), MASK.to_owned())).collect(),
            proofs: ProofsView::new(&webhook.proofs, now),
            tls: (&webhook.tls).into(),
            enabled: webhook.enabled,
            disabled_reason: webhook.disabled_reason.clone(),
            standing: standing::word(webhook, health).as_str().to_owned(),
            suspended_until: standing::suspended_until(webhook, health),
            policy: PolicyView::from(&webhook.policy),
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            health: HealthView {
                consecutive_failures: health.consecutive_failures,
                failing_since: health.failing_since,
                succeeded_at: health.succeeded_at,
                waiting: health.waiting,
                skipped: health.skipped,
            },
        }
    }
}

/// The URL as it may be shown. It is read under a policy that allows every address: the operator may have
/// tightened theirs since the webhook was made.
fn masked_url(url: &str) -> String {
    let Ok(url) = TargetUrl::parse(url, &AddressPolicy::permitting_all()) else { return MASK.to_owned() };
    // A URL has no braces in its path; its owner typed them.
    let encoded = |placeholder: &str| placeholder.replace('{', "%7B").replace('}', "%7D");
    let shown = |url: String, placeholder: &str| url.replace(&encoded(placeholder), placeholder);
    PLACEHOLDERS.into_iter().fold(url.to_string(), shown)
}

impl From<DeliveryRecord> for DeliveryView {
    fn from(record: DeliveryRecord) -> Self {
        let content = &record.delivery.content;
        Self {
            id: record.delivery.id.to_string(),
            webhook: record.delivery.webhook.to_string(),
            state: record.state.as_str().to_owned(),
            registry: content.registry.to_string(),
            repository: content.repository.to_string(),
            changes: content.changes.iter().map(ChangeView::from).collect(),
            first_at: record.first_at,
            last_at: record.last_at,
            next_at: record.next_at,
            parked_because: record.parked_because,
            attempts: record.attempts.into_iter().map(AttemptView::from).collect(),
            is_test: sample::is_test(&record.delivery),
            callbacks: Vec::new(),
        }
    }
}

impl From<&Change> for ChangeView {
    fn from(change: &Change) -> Self {
        Self {
            tag: change.tag.to_string(),
            digest: change.digest.as_ref().map(ToString::to_string),
            pusher: change.pusher.clone(),
            pushed_at: change.pushed_at,
        }
    }
}

impl From<AttemptEntry> for AttemptView {
    fn from(entry: AttemptEntry) -> Self {
        let (verdict, retry_at) = match entry.verdict {
            Verdict::Delivered => ("delivered", None),
            Verdict::Retry { at } => ("retry", Some(at)),
            Verdict::Dead { .. } => ("dead", None),
            Verdict::Superseded { .. } => ("superseded", None),
            Verdict::Skipped { .. } => ("skipped", None),
            Verdict::Unchanged => ("unchanged", None),
            Verdict::Expired { .. } => ("expired", None),
        };
        Self {
            request: entry.request,
            ordinal: entry.ordinal,
            at: entry.at,
            took_ms: u64::try_from(entry.took.as_millis()).unwrap_or(u64::MAX),
            outcome: entry.outcome.as_str().to_owned(),
            status: entry.outcome.status(),
            reason: reason(&entry.outcome),
            verdict: verdict.to_owned(),
            verdict_reason: entry.verdict.reason(),
            retry_at,
            excerpt: entry.excerpt,
        }
    }
}

fn reason(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Accepted { .. } | Outcome::Refused { .. } => None,
        Outcome::TimedOut { phase } => Some(format!("{} in time", phase.as_str())),
        Outcome::Unreachable { reason }
        | Outcome::Hindered { reason }
        | Outcome::Blocked { reason }
        | Outcome::Withheld { reason } => Some(reason.clone()),
        Outcome::Superseded { .. } => Some("nothing was sent".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_masked_even_if_the_policy_has_become_stricter() {
        for (url, shown) in [
            ("https://10.0.0.1/a?token=canary", "https://10.0.0.1/a?token=***"),
            ("http://[::1]:9000/canarycanarycanarycanary", "http://[::1]:9000/***"),
            ("https://a.test/{repository}/{tag}?tag={tag}", "https://a.test/{repository}/{tag}?tag=***"),
            ("not a url with a canary", "***"),
        ] {
            assert_eq!(masked_url(url), shown);
        }
    }
}
