//! What happened to an attempt, and what follows from it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::order::Order;

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
    /// Nothing was sent, because later changes took the place of the delivery.
    Superseded {
        /// The latest of them.
        by: Order,
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
            Self::Superseded { .. } => "superseded",
        }
    }

    /// The status of the answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Accepted { status } | Self::Refused { status, .. } => Some(*status),
            Self::TimedOut { .. } | Self::Unreachable { .. } | Self::Blocked { .. } | Self::Superseded { .. } => None,
        }
    }

    /// Whether the webhook is charged with a failure. It is not for a target that our own policy forbids, and not
    /// for what was not sent.
    pub fn is_charged(&self) -> bool {
        match self {
            Self::Accepted { .. } | Self::Blocked { .. } | Self::Superseded { .. } => false,
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
    /// Later changes took its place: each of its tags has one that was accepted, or waits.
    Superseded {
        /// The latest of them.
        by: Order,
    },
}

impl Verdict {
    /// The state of the delivery after this verdict.
    pub fn state(&self) -> DeliveryState {
        match self {
            Self::Delivered => DeliveryState::Delivered,
            Self::Retry { .. } => DeliveryState::Retrying,
            Self::Dead { .. } => DeliveryState::Dead,
            Self::Superseded { .. } => DeliveryState::Superseded,
        }
    }

    /// Why there is no further attempt although none was accepted, in words.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Delivered | Self::Retry { .. } => None,
            Self::Dead { reason } => Some(reason.clone()),
            Self::Superseded { by } => {
                Some(format!("a later change took its place: event {} of {}", by.event(), by.at()))
            }
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
    /// Not sent any more, because later changes took its place.
    Superseded,
}

impl DeliveryState {
    /// Every state, by the name that the API uses.
    pub const NAMES: [&str; 4] = ["delivered", "retrying", "dead", "superseded"];

    /// The name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Delivered, Self::Retrying, Self::Dead, Self::Superseded].into_iter().find(|state| state.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn by() -> Order {
        Order::try_from("00001767323045000000-e-2".to_owned()).unwrap()
    }

    fn stays_readable<T: Serialize + for<'a> Deserialize<'a> + PartialEq + std::fmt::Debug>(all: Vec<(T, Value)>) {
        for (value, stored) in all {
            assert_eq!(serde_json::to_value(&value).unwrap(), stored);
            assert_eq!(serde_json::from_value::<T>(stored).unwrap(), value);
        }
    }

    /// Stores keep these texts for days, and the next version reads them.
    #[test]
    fn what_a_store_keeps_is_written_as_it_always_was() {
        let at = by().at();
        stays_readable(vec![
            (Verdict::Delivered, json!({ "kind": "delivered" })),
            (Verdict::Retry { at }, json!({ "kind": "retry", "at": "2026-01-02T03:04:05Z" })),
            (Verdict::Dead { reason: "r".to_owned() }, json!({ "kind": "dead", "reason": "r" })),
            (Verdict::Superseded { by: by() }, json!({ "kind": "superseded", "by": "00001767323045000000-e-2" })),
        ]);
        let retry_after = Some(Duration::from_secs(7));
        stays_readable(vec![
            (Outcome::Accepted { status: 204 }, json!({ "kind": "accepted", "status": 204 })),
            (Outcome::Refused { status: 500, retry_after: None }, json!({ "kind": "refused", "status": 500 })),
            (
                Outcome::Refused { status: 503, retry_after },
                json!({ "kind": "refused", "status": 503, "retry_after": { "secs": 7, "nanos": 0 } }),
            ),
            (Outcome::TimedOut { phase: Phase::Headers }, json!({ "kind": "timed_out", "phase": "headers" })),
            (Outcome::Unreachable { reason: "r".to_owned() }, json!({ "kind": "unreachable", "reason": "r" })),
            (Outcome::Blocked { reason: "r".to_owned() }, json!({ "kind": "blocked", "reason": "r" })),
            (Outcome::Superseded { by: by() }, json!({ "kind": "superseded", "by": "00001767323045000000-e-2" })),
        ]);
    }

    #[test]
    fn every_state_has_its_name() {
        for name in DeliveryState::NAMES {
            assert_eq!(DeliveryState::parse(name).map(DeliveryState::as_str), Some(name));
        }
        assert_eq!(DeliveryState::parse("superseded"), Some(Verdict::Superseded { by: by() }.state()));
    }

    #[test]
    fn a_superseded_delivery_tells_what_took_its_place() {
        let reason = Verdict::Superseded { by: by() }.reason();
        assert_eq!(reason.as_deref(), Some("a later change took its place: event e-2 of 2026-01-02T03:04:05Z"));
    }
}
