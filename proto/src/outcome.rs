//! What happened to an attempt, and what follows from it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened to an attempt. A failing webhook is data, never an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// The receiver answered 2xx.
    Accepted {
        /// The status of the answer.
        status: u16,
    },
    /// The receiver answered anything else.
    Refused {
        /// The status of the answer.
        status: u16,
        /// What its `Retry-After` asked for, from the time of the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// No complete answer came in time.
    TimedOut {
        /// What was being waited for.
        phase: Phase,
    },
    /// No connection could be made, or it broke.
    Unreachable {
        /// The reason, without the URL.
        reason: String,
    },
    /// The address policy forbids the target.
    Blocked {
        /// The reason, without addresses that a name resolved to.
        reason: String,
    },
}

/// What an attempt was waiting for when its time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A connection.
    Connect,
    /// The head of the answer.
    Headers,
    /// The body of the answer.
    Body,
}

impl Phase {
    /// What was being waited for, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "no connection",
            Self::Headers => "no head of an answer",
            Self::Body => "no end of the answer",
        }
    }
}

impl Outcome {
    /// The word for it in metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Refused { .. } => "refused",
            Self::TimedOut { .. } => "timed_out",
            Self::Unreachable { .. } => "unreachable",
            Self::Blocked { .. } => "blocked",
        }
    }

    /// The status of the answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Accepted { status } | Self::Refused { status, .. } => Some(*status),
            Self::TimedOut { .. } | Self::Unreachable { .. } | Self::Blocked { .. } => None,
        }
    }

    /// Whether the webhook is charged with a failure. A target that our own policy forbids is not.
    pub fn is_charged(&self) -> bool {
        match self {
            Self::Accepted { .. } | Self::Blocked { .. } => false,
            Self::Refused { .. } | Self::TimedOut { .. } | Self::Unreachable { .. } => true,
        }
    }
}

/// What follows from an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// The delivery has arrived.
    Delivered,
    /// It is attempted again.
    Retry {
        /// Not before this time.
        at: Timestamp,
    },
    /// It is given up.
    Dead {
        /// Why.
        reason: String,
    },
}

impl Verdict {
    /// The state of the delivery after this verdict.
    pub fn state(&self) -> DeliveryState {
        match self {
            Self::Delivered => DeliveryState::Delivered,
            Self::Retry { .. } => DeliveryState::Retrying,
            Self::Dead { .. } => DeliveryState::Dead,
        }
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Accepted by its receiver.
    Delivered,
    /// Waiting for its next attempt.
    Retrying,
    /// Given up.
    Dead,
}

impl DeliveryState {
    /// Every state, by the name that the API uses.
    pub const NAMES: [&str; 3] = ["delivered", "retrying", "dead"];

    /// The name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::Dead => "dead",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Delivered, Self::Retrying, Self::Dead].into_iter().find(|state| state.as_str() == name)
    }
}
