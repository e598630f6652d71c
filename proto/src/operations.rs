//! Operator events: what became of a webhook, or of the fleet, for those who run Dockbell.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::health::{StandingChange, StandingWord};
use crate::ids::{WebhookId, hash_hex};
use crate::webhook::Webhook;

/// The schema of operator events.
pub const OPERATION_SCHEMA: &str = "dockbell.operation/1";

/// The literal text [`OPERATION_SCHEMA`]; nothing else deserialises to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationSchema {
    /// The schema of this version.
    #[default]
    #[serde(rename = "dockbell.operation/1")]
    OperationV1,
}

/// What happened. A reader ignores kinds that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OperationKind {
    /// Nothing is attempted of a webhook for a time.
    #[serde(rename = "webhook.suspended")]
    WebhookSuspended,
    /// Nothing is attempted of a webhook until somebody enables it.
    #[serde(rename = "webhook.disabled")]
    WebhookDisabled,
    /// A webhook that was suspended is healthy again.
    #[serde(rename = "webhook.recovered")]
    WebhookRecovered,
    /// Somebody enabled a webhook.
    #[serde(rename = "webhook.enabled")]
    WebhookEnabled,
    /// Attempts to so many hosts fail at once that the fault is taken for our own.
    #[serde(rename = "fleet.fault")]
    FleetFault,
    /// That is over.
    #[serde(rename = "fleet.recovered")]
    FleetRecovered,
}

impl OperationKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::WebhookSuspended,
        Self::WebhookDisabled,
        Self::WebhookRecovered,
        Self::WebhookEnabled,
        Self::FleetFault,
        Self::FleetRecovered,
    ];

    /// The name of the kind, which is also the routing key that it is announced under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebhookSuspended => "webhook.suspended",
            Self::WebhookDisabled => "webhook.disabled",
            Self::WebhookRecovered => "webhook.recovered",
            Self::WebhookEnabled => "webhook.enabled",
            Self::FleetFault => "fleet.fault",
            Self::FleetRecovered => "fleet.recovered",
        }
    }

    /// What a change of standing is told as; none while a webhook recovers, because nothing is decided yet.
    pub fn of(standing: StandingWord) -> Option<Self> {
        match standing {
            StandingWord::Healthy => Some(Self::WebhookRecovered),
            StandingWord::Suspended => Some(Self::WebhookSuspended),
            StandingWord::Recovering => None,
            StandingWord::Disabled => Some(Self::WebhookDisabled),
            StandingWord::Enabled => Some(Self::WebhookEnabled),
        }
    }
}

/// The webhook that an operator event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its id.
    pub id: WebhookId,
    /// What its owner calls it.
    pub name: String,
    /// The repositories it is set on.
    pub repository: String,
    /// The host of its URL; the rest of the URL may be a secret.
    pub host: String,
}

impl Subject {
    fn of(webhook: &Webhook) -> Self {
        // A URL was read when the webhook was made, so that every webhook has a host.
        let url = Url::parse(webhook.url.expose()).ok();
        Self {
            id: webhook.id.clone(),
            name: webhook.name.clone(),
            repository: webhook.pattern.to_string(),
            host: url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned(),
        }
    }
}

/// Something that an operator may want to know of at once. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorEvent {
    /// Always [`OPERATION_SCHEMA`].
    pub schema: OperationSchema,
    /// Its id; the same event that is told twice has the same id.
    pub id: String,
    /// What happened.
    pub kind: OperationKind,
    /// When.
    pub at: Timestamp,
    /// Why, in words.
    pub reason: String,
    /// The webhook; none if it is about the fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Subject>,
}

impl OperatorEvent {
    /// What a change of a webhook's standing is told as; none if it is not told.
    pub fn of_change(webhook: &Webhook, change: &StandingChange) -> Option<Self> {
        let kind = OperationKind::of(change.standing)?;
        Some(Self::new(kind, change.at, &change.reason, Some(Subject::of(webhook))))
    }

    /// What is told of the fleet.
    pub fn of_fleet(kind: OperationKind, at: Timestamp, reason: &str) -> Self {
        Self::new(kind, at, reason, None)
    }

    fn new(kind: OperationKind, at: Timestamp, reason: &str, webhook: Option<Subject>) -> Self {
        let subject = webhook.as_ref().map_or("", |webhook| webhook.id.as_str());
        let id = format!("op_{}", hash_hex(&[kind.as_str(), subject, &at.to_string()]));
        Self { schema: OperationSchema::OperationV1, id, kind, at, reason: reason.to_owned(), webhook }
    }

    /// Writes the body.
    ///
    /// # Panics
    /// Never: every part of it has a JSON form.
    pub fn encode(&self) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "there is no map and no failing serializer in it")]
        serde_json::to_vec(self).expect("an operator event has a JSON form")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::filter::Filter;
    use crate::options::Options;
    use crate::pattern::Pattern;
    use crate::policy::PolicyPatch;
    use crate::proof::Proofs;
    use crate::secret::Secret;
    use crate::signature::SigningSecret;
    use crate::tls::TargetTls;
    use crate::webhook::Format;

    fn webhook() -> Webhook {
        Webhook {
            id: WebhookId::from_random([7; 16]),
            name: "deploy".to_owned(),
            pattern: Pattern::parse("team/*").unwrap(),
            registry: None,
            filter: Filter::default(),
            after: None,
            url: Secret::new("https://ci.example.com:8443/canary-path?token=canary"),
            format: Format::Batch,
            options: Options::default(),
            headers: BTreeMap::from([("authorization".to_owned(), Secret::new("canary"))]),
            proofs: Proofs::v1(SigningSecret::from_random([7; 32])),
            tls: TargetTls::default(),
            enabled: true,
            disabled_reason: None,
            policy: PolicyPatch::default(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn change(standing: StandingWord, second: i64) -> StandingChange {
        StandingChange { at: Timestamp::from_second(second).unwrap(), standing, reason: "why".to_owned() }
    }

    #[test]
    fn an_operator_event_names_the_host_and_nothing_else_of_the_url() {
        let event = OperatorEvent::of_change(&webhook(), &change(StandingWord::Suspended, 1)).unwrap();
        let text = String::from_utf8(event.encode()).unwrap();
        assert!(text.contains(r#""host":"ci.example.com""#) && !text.contains("canary"), "{text}");
        assert_eq!(serde_json::from_str::<OperatorEvent>(&text).unwrap(), event);
    }

    #[test]
    fn the_same_change_has_the_same_id_and_another_has_another() {
        let id = |standing, second| OperatorEvent::of_change(&webhook(), &change(standing, second)).unwrap().id;
        assert_eq!(id(StandingWord::Suspended, 1), id(StandingWord::Suspended, 1));
        assert_ne!(id(StandingWord::Suspended, 1), id(StandingWord::Suspended, 2));
        assert_ne!(id(StandingWord::Suspended, 1), id(StandingWord::Disabled, 1));
    }

    #[test]
    fn every_decided_change_of_standing_is_told() {
        assert_eq!(OperatorEvent::of_change(&webhook(), &change(StandingWord::Recovering, 1)), None);
        let kind = |standing| OperatorEvent::of_change(&webhook(), &change(standing, 1)).unwrap().kind.as_str();
        assert_eq!(kind(StandingWord::Healthy), "webhook.recovered");
        assert_eq!(kind(StandingWord::Disabled), "webhook.disabled");
        assert_eq!(kind(StandingWord::Enabled), "webhook.enabled");
    }

    #[test]
    fn the_name_of_a_kind_is_what_is_written() {
        for kind in OperationKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.as_str()));
        }
    }
}
