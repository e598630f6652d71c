//! What the scripts are told that enter deliveries into history, newest and those that wait.

use std::time::Duration;

use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::{AttemptId, DeliveryId, WebhookId};
use dockbell_proto::outcome::DeliveryState;
use dockbell_proto::policy::LONGEST_AGE;
use jiff::Timestamp;
use redis::{Script, ScriptInvocation};
use serde::Serialize;

use crate::store::{
    ATTEMPTS_SHOWN, CHANGES_PER_WEBHOOK, HISTORY_KEPT, HISTORY_PER_WEBHOOK, HISTORY_SLACK, SETTLED_KEPT, StoreError,
};

use super::counters::{self, Counted};
use super::standing::HEALTH_KEPT;
use super::values::Text;
use super::{page, values};

/// How long the newest order of a tag is kept after it was last raised: as long as a delivery may wait.
const NEWEST_KEPT: Duration = LONGEST_AGE;
/// How long a delivery counts among those that wait after it was last noted, in case its end is never recorded: a day
/// longer than any waits.
const WAITING_KEPT: Duration = LONGEST_AGE.saturating_add(Duration::from_hours(24));

/// How long the server keeps more than that, because it is told once in an hour for how long (`RENEWED_EVERY` in
/// `record.lua`).
const RENEWED_WITHIN: Duration = Duration::from_hours(1);

/// Where a delivery stands from now on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entering<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) at: Timestamp,
    pub(super) state: DeliveryState,
    /// When its next attempt is due.
    pub(super) next: Option<Timestamp>,
    /// Why it waits without an attempt.
    pub(super) parked_because: Option<&'a str>,
}

/// What all that is entered by one call has in common. Times and large counts are texts, which Lua does not round.
#[derive(Serialize)]
struct Common {
    now: Text<i64>,
    settled_until: Text<i64>,
    settled_bound: Text<u64>,
    newest_until: Text<i64>,
    newest_bound: Text<u64>,
    waits_until: Text<i64>,
    waits_bound: Text<u64>,
    history_until: Text<i64>,
    history_bound: Text<u64>,
    history_limit: u32,
    history_slack: u32,
    health_bound: Text<u64>,
    changes_limit: u32,
    attempts_limit: u32,
}

/// What is told of each delivery, besides its content.
#[derive(Serialize)]
pub(super) struct Arguments<'a> {
    webhook: &'a WebhookId,
    delivery: &'a DeliveryId,
    attempt: Text<AttemptId>,
    at: Text<i64>,
    place: String,
    state: &'static str,
    request: Text<u32>,
    ordinal: Text<u32>,
    /// Empty, as the three that follow, if there is none.
    next: String,
    not_before: String,
    custody: String,
    parked: &'a str,
    /// Whether the beginning of what is in the history stays, because no attempt is entered.
    keeps_first: bool,
    newest: Vec<(String, String)>,
}

impl<'a> Arguments<'a> {
    pub(super) fn of(entering: Entering<'a>) -> Self {
        let Entering { delivery, at, state, next, parked_because } = entering;
        let text = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.as_microsecond().to_string());
        Self {
            webhook: &delivery.webhook,
            delivery: &delivery.id,
            attempt: Text(delivery.attempt_id()),
            at: Text(at.as_microsecond()),
            place: page::place(at, delivery.id.as_str()),
            state: state.as_str(),
            request: Text(delivery.request),
            ordinal: Text(delivery.ordinal),
            next: text(next),
            not_before: text(delivery.not_before),
            custody: text(delivery.first_at),
            parked: parked_because.unwrap_or_default(),
            keeps_first: state == DeliveryState::Parked,
            newest: counters::orders(&delivery.content),
        }
    }
}

impl Counted<'_> {
    /// A call of a script that enters deliveries; what is told of each follows.
    pub(super) fn prepare_to_enter<'a>(&self, script: &'a Script) -> Result<ScriptInvocation<'a>, StoreError> {
        let mut call = self.side.prepare(script)?;
        call.arg(&*self.side.base).arg(values::to_json(&self.common())?);
        Ok(call)
    }

    fn common(&self) -> Common {
        let after = |span| Text(self.after(span));
        let bound = |kept| Text(values::bound_ms(kept));
        Common {
            now: Text(self.now.as_microsecond()),
            settled_until: after(SETTLED_KEPT),
            settled_bound: bound(SETTLED_KEPT),
            newest_until: after(NEWEST_KEPT),
            newest_bound: bound(NEWEST_KEPT + RENEWED_WITHIN),
            waits_until: after(WAITING_KEPT),
            waits_bound: bound(WAITING_KEPT),
            history_until: Text(self.history_until()),
            history_bound: bound(HISTORY_KEPT + RENEWED_WITHIN),
            history_limit: HISTORY_PER_WEBHOOK,
            history_slack: HISTORY_SLACK,
            health_bound: bound(HEALTH_KEPT),
            changes_limit: CHANGES_PER_WEBHOOK,
            attempts_limit: ATTEMPTS_SHOWN,
        }
    }
    /// The time after `span`, in microseconds.
    pub(super) fn after(&self, span: Duration) -> i64 {
        self.now.as_microsecond().saturating_add(values::micros(span))
    }
}
