//! The gate before an attempt: whether a delivery is attempted now, waits, or is not attempted at all. Pure.

use std::time::Duration;

use dockbell_backends::store::Health;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::{Standing, later};
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::policy::{Custody, JITTER};
use dockbell_proto::webhook::Webhook;
use jiff::{SignedDuration, Timestamp};

use crate::lane::Kind;

/// How many of the deliveries that wait for one webhook come back per second at most: what waits for a dead
/// endpoint must not keep the broker busy.
const COME_BACK_PER_SECOND: f64 = 100.0;
/// How long a delivery waits at least that finds no place in its lane.
pub const BUSY: Duration = Duration::from_secs(1);
/// And how long at most, however slow the receiver is: by then it may be another.
pub const LONGEST_BUSY: Duration = Duration::from_mins(1);

/// What a delivery may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It is attempted.
    Attempt,
    /// It is attempted if it is one of the few that may try the webhook.
    Try,
    /// It is fresh, and leaves the places of the fresh to others: it waits in the broker until it may be its turn among
    /// those that come again.
    Yield,
    /// It waits in the broker.
    Park {
        /// Until when, before it is spread out.
        until: Timestamp,
        /// Why, in words.
        reason: String,
    },
    /// It waits in the broker for something that happens at its own pace, and is looked at at this time.
    Await {
        /// When.
        until: Timestamp,
        /// For what, in words.
        reason: String,
    },
    /// It is not attempted any more.
    End(Outcome, Verdict),
}

/// What the gate looks at.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The webhook as it is now.
    pub webhook: &'a Webhook,
    /// How it fares.
    pub health: &'a Health,
    /// What of its deliveries is kept.
    pub custody: Custody,
    /// The delivery.
    pub delivery: &'a Delivery,
    /// Where it comes from.
    pub kind: Kind,
}

/// Says what a delivery may do at `now`.
pub fn admit(caller: Caller<'_>, now: Timestamp) -> Admission {
    let Caller { webhook, health, custody, delivery, kind } = caller;
    if !webhook.enabled {
        return skipped(webhook);
    }
    if Duration::try_from(now.duration_since(delivery.in_custody_since())).is_ok_and(|age| age >= custody.age) {
        let age = SignedDuration::try_from(custody.age).unwrap_or_default();
        return expired(format!("it was owed for {age:#}, which is as long as deliveries are kept"));
    }
    // A person who asks wants to see what happens now.
    if delivery.request > 0 && delivery.ordinal == 1 {
        return Admission::Attempt;
    }
    match health.standing {
        Standing::Suspended { until, .. } if until > now => {
            Admission::Park { until, reason: format!("the webhook is suspended until {until}") }
        }
        Standing::Suspended { .. } | Standing::Recovering { .. } => Admission::Try,
        Standing::Healthy if kind == Kind::Fresh && health.consecutive_failures > 0 => Admission::Yield,
        Standing::Healthy => Admission::Attempt,
    }
}

fn skipped(webhook: &Webhook) -> Admission {
    let reason = match &webhook.disabled_reason {
        Some(reason) => format!("the webhook was disabled: {reason}"),
        None => "the webhook was disabled by its owner".to_owned(),
    };
    Admission::End(Outcome::Withheld { reason: reason.clone() }, Verdict::Skipped { reason })
}

/// The end of a delivery that a bound of custody does not let wait.
pub fn expired(reason: String) -> Admission {
    Admission::End(Outcome::Withheld { reason: reason.clone() }, Verdict::Expired { reason })
}

/// Spreads out what would come back at once: some time after `until`, the longer the more deliveries wait.
/// `chance` is drawn from 0 to 1.
pub fn spread(until: Timestamp, waiting: u32, (now, chance): (Timestamp, f64)) -> Timestamp {
    let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    let by_number = Duration::try_from_secs_f64(f64::from(waiting) / COME_BACK_PER_SECOND).unwrap_or_default();
    later(until, wait.mul_f64(JITTER).max(by_number).mul_f64(chance.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use dockbell_proto::webhook::Format;
    use dockbell_testkit::sample::{self, moment};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        moment() + SignedDuration::from_secs(seconds)
    }

    fn admitted(change: impl Fn(&mut Webhook, &mut Health, &mut Delivery), kind: Kind) -> Admission {
        let mut webhook = sample::webhook(1, "*", Format::Batch, "http://h/");
        let mut delivery = sample::delivery(&webhook.id, &sample::batch("e", "team/app", &["1"]));
        let mut health = Health::default();
        change(&mut webhook, &mut health, &mut delivery);
        let custody = Custody::default();
        admit(Caller { webhook: &webhook, health: &health, custody, delivery: &delivery, kind }, at(60))
    }

    fn suspended(until: i64) -> Standing {
        Standing::Suspended { until: at(until), level: 1 }
    }

    #[test]
    fn a_healthy_webhook_is_attempted_and_a_failing_one_leaves_the_fresh_to_others() {
        assert_eq!(admitted(|_, _, _| (), Kind::Fresh), Admission::Attempt);
        let failing = |_: &mut Webhook, health: &mut Health, _: &mut Delivery| health.consecutive_failures = 1;
        assert_eq!(admitted(failing, Kind::Fresh), Admission::Yield);
        assert_eq!(admitted(failing, Kind::Waited), Admission::Attempt);
    }

    #[test]
    fn a_suspended_webhook_is_left_alone_until_its_time_and_then_tried() {
        for (until, parks) in [(61, true), (60, false), (0, false)] {
            let admission = admitted(|_, health, _| health.standing = suspended(until), Kind::Waited);
            assert_eq!(matches!(admission, Admission::Park { .. }), parks, "{until}");
            assert_eq!(admission == Admission::Try, !parks, "{until}");
        }
        let recovering = Standing::Recovering { since: at(0), level: 1, successes: 1 };
        assert_eq!(admitted(|_, health, _| health.standing = recovering, Kind::Fresh), Admission::Try);
    }

    #[test]
    fn what_a_person_asked_for_is_attempted_once_whatever_the_standing() {
        for (ordinal, is_attempted) in [(1, true), (2, false)] {
            let asked = |_: &mut Webhook, health: &mut Health, delivery: &mut Delivery| {
                health.standing = suspended(600);
                (delivery.request, delivery.ordinal) = (1, ordinal);
            };
            assert_eq!(admitted(asked, Kind::Waited) == Admission::Attempt, is_attempted);
        }
    }

    #[test]
    fn a_disabled_webhook_is_owed_nothing_any_more_but_it_is_told() {
        let disabled = |webhook: &mut Webhook, _: &mut Health, _: &mut Delivery| {
            webhook.enabled = false;
            webhook.disabled_reason = Some("it answered 410".to_owned());
        };
        let Admission::End(_, Verdict::Skipped { reason }) = admitted(disabled, Kind::Fresh) else { panic!() };
        assert_eq!(reason, "the webhook was disabled: it answered 410");
    }

    #[test]
    fn what_was_owed_for_a_week_expires() {
        let week = SignedDuration::from_hours(7 * 24);
        for (since, expires) in [(at(60) - week, true), (at(61) - week, false)] {
            let admission = admitted(|_, _, delivery| delivery.first_at = Some(since), Kind::Waited);
            assert_eq!(matches!(admission, Admission::End(_, Verdict::Expired { .. })), expires);
        }
    }

    #[test]
    fn what_waits_comes_back_spread_out_and_never_too_early() {
        for (wait, waiting, chance, expected) in
            [(100, 0, 0.0, 100), (100, 0, 1.0, 120), (100, 100_000, 1.0, 1_100), (0, 500, 1.0, 5), (-9, 0, 1.0, -9)]
        {
            assert_eq!(spread(at(wait), waiting, (at(0), chance)), at(expected), "{wait} {waiting} {chance}");
        }
    }
}
