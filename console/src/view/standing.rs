//! How a webhook stands, as the API shows it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use dockbell_backends::store::Health;
use dockbell_proto::health::{Standing, StandingChange, StandingWord};
use dockbell_proto::webhook::Webhook;

/// How a webhook stands, and how it came to that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Standing)]
pub struct StandingView {
    /// How it stands.
    #[schema(schema_with = crate::openapi::standing_schema)]
    pub standing: String,
    /// Until when nothing is attempted; null unless it is suspended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub suspended_until: Option<Timestamp>,
    /// Why it is disabled, if it was not its owner.
    pub disabled_reason: Option<String>,
    /// What changed its standing, newest first; the latest 50.
    pub changes: Vec<StandingChangeView>,
}

/// A change of a webhook's standing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StandingChange)]
pub struct StandingChangeView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What it was from then on.
    #[schema(schema_with = crate::openapi::standing_change_schema)]
    pub standing: String,
    /// Why.
    #[schema(example = "5 attempts failed one after the other since 2026-01-02T03:04:05Z; the next one is made in 1m")]
    pub reason: String,
}

/// What became of the deliveries that were skipped while a webhook was disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replayed {
    /// So many are on their way again.
    pub replayed: u32,
    /// So many need not be: each of their tags has a later change that is on its way, or was delivered.
    pub overtaken: u32,
    /// So many were skipped at other times than those asked for.
    pub left_out: u32,
    /// So many cannot be, because the history does not hold them any more.
    pub lost: u32,
}

/// Secrets were sealed under the current key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resealed {
    /// Of how many webhooks of the page they were not.
    pub resealed: u32,
    /// Where the next page starts; null on the last one.
    pub next: Option<String>,
}

/// Skipped deliveries that nobody wants any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Discarded {
    /// How many there were.
    pub discarded: u32,
}

impl StandingView {
    pub(crate) fn new(webhook: &Webhook, health: &Health, changes: Vec<StandingChange>) -> Self {
        Self {
            standing: word(webhook, health).as_str().to_owned(),
            suspended_until: suspended_until(webhook, health),
            disabled_reason: webhook.disabled_reason.clone(),
            changes: changes.into_iter().map(StandingChangeView::from).collect(),
        }
    }
}

impl From<StandingChange> for StandingChangeView {
    fn from(change: StandingChange) -> Self {
        Self { at: change.at, standing: change.standing.as_str().to_owned(), reason: change.reason }
    }
}

/// How the webhook stands: what its counters say counts only while it is enabled.
pub(crate) fn word(webhook: &Webhook, health: &Health) -> StandingWord {
    if webhook.enabled { StandingWord::of(&health.standing) } else { StandingWord::Disabled }
}

pub(crate) fn suspended_until(webhook: &Webhook, health: &Health) -> Option<Timestamp> {
    match health.standing {
        Standing::Suspended { until, .. } if webhook.enabled => Some(until),
        _ => None,
    }
}
