//! What the scripts are told that enter a delivery into history, newest and those that wait.

use std::time::Duration;

use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::{DeliveryId, WebhookId};
use dockbell_proto::outcome::DeliveryState;
use dockbell_proto::policy::LONGEST_AGE;
use jiff::Timestamp;
use redis::ScriptInvocation;
use serde::Serialize;

use crate::store::{HISTORY_KEPT, HISTORY_PER_WEBHOOK, HISTORY_SLACK};

use super::counters::{self, Counted};
use super::{page, values};

/// How long the newest order of a tag is kept after it was last raised: as long as a delivery may wait.
const NEWEST_KEPT: Duration = LONGEST_AGE;
/// How long a delivery counts among those that wait after it was last noted, in case its end is never recorded: a day
/// longer than any waits.
const WAITING_KEPT: Duration = LONGEST_AGE.saturating_add(Duration::from_hours(24));

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

/// The arguments that all such scripts share. Times and large counts are texts, which Lua does not round.
#[derive(Serialize)]
pub(super) struct Arguments<'a> {
    base: &'a str,
    webhook: &'a WebhookId,
    delivery: &'a DeliveryId,
    now: String,
    at: String,
    place: String,
    state: &'static str,
    request: String,
    ordinal: String,
    /// Empty, as the three that follow, if there is none.
    next: String,
    not_before: String,
    custody: String,
    parked: &'a str,
    /// Whether the beginning of what is in the history stays, because no attempt is entered.
    keeps_first: bool,
    newest: Vec<(String, String)>,
    newest_until: String,
    newest_bound: String,
    waits_until: String,
    waits_bound: String,
    history_until: String,
    history_bound: String,
    history_limit: u32,
    history_slack: u32,
}

impl Counted<'_> {
    /// The keys of such scripts.
    pub(super) fn keys_to_enter(&self, call: &mut ScriptInvocation<'_>, delivery: &Delivery) {
        call.key(self.settled_key(&delivery.attempt_id()));
        for kind in ["gone", "health", "waiting", "trials", "standings", "newest", "newest-until", "history"] {
            call.key(self.side.key(format_args!("{kind}:{}", delivery.webhook)));
        }
        for kind in ["delivery", "attempts"] {
            call.key(self.side.key(format_args!("{kind}:{}", delivery.id)));
        }
        for index in ["history", "history-until"].into_iter().chain(DeliveryState::NAMES) {
            call.key(self.side.key(index));
        }
    }

    pub(super) fn arguments_to_enter<'a>(&'a self, entering: Entering<'a>) -> Arguments<'a> {
        let Entering { delivery, at, state, next, parked_because } = entering;
        let text = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.as_microsecond().to_string());
        Arguments {
            base: &self.side.base,
            webhook: &delivery.webhook,
            delivery: &delivery.id,
            now: text(Some(self.now)),
            at: text(Some(at)),
            place: page::place(at, delivery.id.as_str()),
            state: state.as_str(),
            request: delivery.request.to_string(),
            ordinal: delivery.ordinal.to_string(),
            next: text(next),
            not_before: text(delivery.not_before),
            custody: text(delivery.first_at),
            parked: parked_because.unwrap_or_default(),
            keeps_first: state == DeliveryState::Parked,
            newest: counters::orders(&delivery.content),
            newest_until: self.after(NEWEST_KEPT),
            newest_bound: values::bound_ms(NEWEST_KEPT).to_string(),
            waits_until: self.after(WAITING_KEPT),
            waits_bound: values::bound_ms(WAITING_KEPT).to_string(),
            history_until: self.history_until().to_string(),
            history_bound: values::bound_ms(HISTORY_KEPT).to_string(),
            history_limit: HISTORY_PER_WEBHOOK,
            history_slack: HISTORY_SLACK,
        }
    }

    /// The time after `span`.
    pub(super) fn after(&self, span: Duration) -> String {
        self.now.as_microsecond().saturating_add(values::micros(span)).to_string()
    }
}
