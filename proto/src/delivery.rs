//! The delivery: one body owed to one webhook.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::ids::{AttemptId, DeliveryId, WebhookId};

/// One body owed to one webhook, as it stands before its next attempt.
///
/// It carries what changed, never the URL or a secret: those are looked up when it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The `webhook-id` header of every attempt.
    pub id: DeliveryId,
    /// Whom it is owed to.
    pub webhook: WebhookId,
    /// 0 for the push itself; a redelivery that a person asked for has a number of its own.
    #[serde(default)]
    pub request: u32,
    /// The number of the next attempt, from 1.
    pub ordinal: u32,
    /// The earliest time of the next attempt, which the bus keeps to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Whether `not_before` is only when to look again whether it can be attempted, and no pause after a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_parked: bool,
    /// When it came into custody; none if that was when its batch was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_at: Option<Timestamp>,
    /// Since when it waits for the report of another webhook's receiver; none if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits_since: Option<Timestamp>,
    /// What it is about: the whole batch, or the part of it that one change makes.
    pub content: Arc<Batch>,
}

impl Delivery {
    /// The attempt that comes next.
    pub fn attempt_id(&self) -> AttemptId {
        AttemptId { delivery: self.id.clone(), request: self.request, ordinal: self.ordinal }
    }

    /// Since when it is in custody.
    pub fn in_custody_since(&self) -> Timestamp {
        self.first_at.unwrap_or(self.content.closed_at)
    }

    /// The same delivery, put off without an attempt until it is looked at again.
    #[must_use]
    pub fn parked(&self, until: Timestamp) -> Self {
        Self { not_before: Some(until), is_parked: true, ..self.clone() }
    }

    /// The same delivery before its attempt after this one, not to start before `not_before`.
    #[must_use]
    pub fn retried(&self, not_before: Timestamp) -> Self {
        Self { ordinal: self.ordinal + 1, not_before: Some(not_before), is_parked: false, ..self.clone() }
    }
}
