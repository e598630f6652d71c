//! What the scripts are told that enter deliveries into history, newest and those that wait.

use std::time::Duration;

use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::{AttemptId, DeliveryId, WebhookId};
use dockbell_proto::outcome::DeliveryState;
use dockbell_proto::policy::LONGEST_AGE;
use jiff::Timestamp;
use redis::{RedisWrite, Script, ScriptInvocation, ToRedisArgs};
use serde::Serialize;

use crate::store::{
    ATTEMPTS_SHOWN, CHANGES_PER_WEBHOOK, HISTORY_KEPT, HISTORY_PER_WEBHOOK, HISTORY_SLACK, SETTLED_KEPT, StoreError,
};

use super::counters::{self, Counted};
use super::standing::HEALTH_KEPT;
use super::values::Text;
use super::{kept, page, values};

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
    history_place: String,
    newest_until: Text<i64>,
    /// What ends the names of the generation of newest that is added to, and of the one before.
    newest_generation: String,
    newest_generation_before: String,
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

/// What is told of each delivery.
#[derive(Debug)]
pub(super) struct Told {
    webhook: WebhookId,
    delivery: DeliveryId,
    attempt: AttemptId,
    at: i64,
    place: String,
    state: &'static str,
    attempted: Attempted,
    /// The delivery as it is kept if nothing was known of it.
    kept: String,
    newest: Vec<(String, String)>,
}

/// What is told of an attempt beside its delivery; nothing of what was not attempted.
#[derive(Debug, Default)]
pub(super) struct Attempted {
    /// How it counts.
    pub(super) count: &'static str,
    /// What followed from it.
    pub(super) verdict: String,
    /// When its webhook is suspended.
    pub(super) suspension: String,
    /// What is kept of it with the delivery.
    pub(super) entry: Option<String>,
}

impl Told {
    /// What is told of a delivery and of an attempt.
    pub(super) fn of(entering: Entering<'_>, attempted: Attempted) -> Result<Self, StoreError> {
        let Entering { delivery, at, state, .. } = entering;
        let place = page::place(at, delivery.id.as_str());
        Ok(Self {
            webhook: delivery.webhook.clone(),
            delivery: delivery.id.clone(),
            attempt: delivery.attempt_id(),
            at: at.as_microsecond(),
            state: state.as_str(),
            kept: kept::write(entering, &place, attempted.entry.as_deref())?,
            attempted,
            newest: counters::orders(&delivery.content),
            place,
        })
    }
}

impl ToRedisArgs for Told {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let Self { webhook, delivery, attempt, at, place, state, attempted, kept, newest } = self;
        let Attempted { count, verdict, suspension, .. } = attempted;
        for text in [webhook.as_str(), delivery.as_str()] {
            out.write_arg(text.as_bytes());
        }
        out.write_arg_fmt(attempt);
        at.write_redis_args(out);
        for text in [place, *state] {
            out.write_arg(text.as_bytes());
        }
        attempt.request.write_redis_args(out);
        attempt.ordinal.write_redis_args(out);
        for text in [*count, verdict, suspension, kept] {
            out.write_arg(text.as_bytes());
        }
        newest.len().write_redis_args(out);
        for text in newest.iter().flat_map(|(field, order)| [field, order]) {
            out.write_arg(text.as_bytes());
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
        let generation = self.generation_of_newest();
        Common {
            now: Text(self.now.as_microsecond()),
            settled_until: after(SETTLED_KEPT),
            settled_bound: bound(SETTLED_KEPT),
            // Of what began when this expires, the place is before it.
            history_place: page::place(self.now - HISTORY_KEPT + Duration::from_micros(1), ""),
            newest_until: after(NEWEST_KEPT),
            newest_generation: format!(":{generation}"),
            newest_generation_before: format!(":{}", generation - 1),
            newest_bound: bound(2 * NEWEST_KEPT),
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

    /// The number of the generation of newest that is added to: each is for as long as what is in it is kept.
    pub(super) fn generation_of_newest(&self) -> i64 {
        self.now.as_microsecond().div_euclid(values::micros(NEWEST_KEPT))
    }

    /// The time after `span`, in microseconds.
    pub(super) fn after(&self, span: Duration) -> i64 {
        self.now.as_microsecond().saturating_add(values::micros(span))
    }
}
