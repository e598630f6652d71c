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
    /// Something on our own side kept the attempt from reaching the receiver.
    Hindered {
        /// What it was, without the URL.
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
    /// Nothing was sent, because the webhook is disabled, does not want it, waited for another one in vain, or a bound was
    /// reached.
    Withheld {
        /// Which of it.
        reason: String,
    },
}

/// Who is to blame for an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The receiver: its webhook is charged with a failure.
    Receiver,
    /// Our own side: nobody is charged.
    Ours,
    /// Nobody: it was accepted, or was not to be sent.
    Nobody,
}

impl Fault {
    /// The word for it in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Ours => "ours",
            Self::Nobody => "nobody",
        }
    }
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
            Self::Hindered { .. } => "hindered",
            Self::Blocked { .. } => "blocked",
            Self::Superseded { .. } => "superseded",
            Self::Withheld { .. } => "withheld",
        }
    }

    /// The status of the answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Accepted { status } | Self::Refused { status, .. } => Some(*status),
            Self::TimedOut { .. }
            | Self::Unreachable { .. }
            | Self::Hindered { .. }
            | Self::Blocked { .. }
            | Self::Superseded { .. }
            | Self::Withheld { .. } => None,
        }
    }

    /// Whose fault it is. A target that our own policy forbids, and what was not sent, say nothing about the
    /// receiver.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Accepted { .. } | Self::Blocked { .. } | Self::Superseded { .. } | Self::Withheld { .. } => {
                Fault::Nobody
            }
            Self::Hindered { .. } => Fault::Ours,
            Self::Refused { .. } | Self::TimedOut { .. } | Self::Unreachable { .. } => Fault::Receiver,
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
    /// The receiver was last told of the same digest of each of its tags, and wants changes alone.
    Unchanged,
    /// It was owed while the webhook was disabled; it can be replayed.
    Skipped {
        /// Why the webhook is disabled.
        reason: String,
    },
    /// It left custody because a bound was reached.
    Expired {
        /// Which bound.
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
            Self::Superseded { .. } => DeliveryState::Superseded,
            Self::Unchanged => DeliveryState::Unchanged,
            Self::Skipped { .. } => DeliveryState::Skipped,
            Self::Expired { .. } => DeliveryState::Expired,
        }
    }

    /// Why there is no further attempt although none was accepted, in words.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Delivered | Self::Retry { .. } => None,
            Self::Unchanged => Some("the receiver was last told of the same digest".to_owned()),
            Self::Dead { reason } | Self::Skipped { reason } | Self::Expired { reason } => Some(reason.clone()),
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
    /// Waiting for its next attempt, because the last one failed.
    Retrying,
    /// Waiting for its next attempt, because its webhook is suspended or busy, or waits for another one.
    Parked,
    /// Given up.
    Dead,
    /// Not sent any more, because later changes took its place.
    Superseded,
    /// Not sent, because its receiver wants changes alone, and has this digest.
    Unchanged,
    /// Not sent, because its webhook was disabled.
    Skipped,
    /// Not sent any more, because a bound of custody was reached.
    Expired,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Delivered,
        Self::Retrying,
        Self::Parked,
        Self::Dead,
        Self::Superseded,
        Self::Unchanged,
        Self::Skipped,
        Self::Expired,
    ];
    /// Every state, by the name that the API uses.
    pub const NAMES: [&str; 8] =
        ["delivered", "retrying", "parked", "dead", "superseded", "unchanged", "skipped", "expired"];

    /// The name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::Parked => "parked",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Expired => "expired",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether the delivery is in custody: it waits for a further attempt.
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Retrying | Self::Parked)
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
            (Verdict::Unchanged, json!({ "kind": "unchanged" })),
            (Verdict::Skipped { reason: "r".to_owned() }, json!({ "kind": "skipped", "reason": "r" })),
            (Verdict::Expired { reason: "r".to_owned() }, json!({ "kind": "expired", "reason": "r" })),
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
            (Outcome::Hindered { reason: "r".to_owned() }, json!({ "kind": "hindered", "reason": "r" })),
            (Outcome::Superseded { by: by() }, json!({ "kind": "superseded", "by": "00001767323045000000-e-2" })),
            (Outcome::Withheld { reason: "r".to_owned() }, json!({ "kind": "withheld", "reason": "r" })),
        ]);
    }

    #[test]
    fn every_state_has_its_name() {
        for (name, state) in DeliveryState::NAMES.into_iter().zip(DeliveryState::ALL) {
            assert_eq!((DeliveryState::parse(name), state.as_str()), (Some(state), name));
        }
        assert_eq!(DeliveryState::parse("superseded"), Some(Verdict::Superseded { by: by() }.state()));
    }

    #[test]
    fn a_superseded_delivery_tells_what_took_its_place() {
        let reason = Verdict::Superseded { by: by() }.reason();
        assert_eq!(reason.as_deref(), Some("a later change took its place: event e-2 of 2026-01-02T03:04:05Z"));
    }
}
