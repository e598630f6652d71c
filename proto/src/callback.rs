//! Callbacks: what a receiver reports of a delivery after it took it, as receivers of Docker Hub's webhooks may.

pub mod public_url;
pub mod ticket;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{DeliveryId, WebhookId};

/// Below this, on the API, tickets are presented.
pub const PATH: &str = "/api/v1/callbacks/";
/// The longest description, in characters (Docker Hub's limit).
pub const DESCRIPTION_LIMIT: usize = 255;
/// The longest context, in characters (Docker Hub's limit).
pub const CONTEXT_LIMIT: usize = 100;
/// The longest target URL, in bytes: as long as the URL of a webhook may be.
pub const TARGET_URL_LIMIT: usize = 2048;

/// What a callback is about: a delivery, as often as a person asked for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallbackId {
    /// The delivery.
    pub delivery: DeliveryId,
    /// 0 for the push itself; a redelivery that a person asked for has a number, and a callback, of its own.
    pub request: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallbackState {
    /// It went well.
    Success,
    /// It did not.
    Failure,
    /// It could not be found out.
    Error,
}

impl CallbackState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Error];

    /// The name of the state, as receivers send it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// What the receiver says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What came of it.
    pub state: CallbackState,
    /// In words; at most [`DESCRIPTION_LIMIT`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it was done for; at most [`CONTEXT_LIMIT`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Where more can be read; at most [`TARGET_URL_LIMIT`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_url: Option<String>,
}

/// A report as it is kept: the first one of its id stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// What it is about.
    #[serde(flatten)]
    pub id: CallbackId,
    /// The webhook whose receiver it came from.
    pub webhook: WebhookId,
    /// What was said.
    pub report: Report,
    /// When.
    pub at: Timestamp,
    /// Until when it is kept.
    pub until: Timestamp,
}
