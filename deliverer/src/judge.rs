//! The policy: what follows from an outcome. Pure and total.

use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::policy::{JITTER, RetrySchedule};
use jiff::{SignedDuration, Timestamp};

/// What a 410 says.
const GONE: &str = "the receiver answered 410: it is gone for good";

/// Why this outcome disables the webhook; none if it does not.
pub fn disables(outcome: &Outcome) -> Option<String> {
    matches!(outcome, Outcome::Refused { status: 410, .. }).then(|| GONE.to_owned())
}

/// Judges the attempt of this `ordinal`, which ended at `now`. `chance` is drawn from 0 to 1.
pub fn judge(schedule: &RetrySchedule, outcome: &Outcome, ordinal: u32, (now, chance): (Timestamp, f64)) -> Verdict {
    let asked = match outcome {
        Outcome::Accepted { .. } => return Verdict::Delivered,
        Outcome::Refused { status: 410, .. } => return dead(GONE),
        Outcome::Blocked { reason } => return dead(reason),
        Outcome::Superseded { by } => return Verdict::Superseded { by: by.clone() },
        Outcome::Withheld { reason } => return Verdict::Expired { reason: reason.clone() },
        Outcome::Refused { status: 429 | 503, retry_after } => *retry_after,
        Outcome::Refused { .. } | Outcome::TimedOut { .. } | Outcome::Unreachable { .. } | Outcome::Hindered { .. } => {
            None
        }
    };
    let Some(step) = schedule.pause_after(ordinal) else {
        return dead(&format!("given up after {ordinal} attempts; the last one: {}", describe(outcome)));
    };
    let pause = step.max(asked.unwrap_or_default().min(schedule.longest()));
    let jittered = pause.mul_f64(1.0 + JITTER * chance.clamp(0.0, 1.0));
    let at = SignedDuration::try_from(jittered).ok().and_then(|pause| now.checked_add(pause).ok());
    Verdict::Retry { at: at.unwrap_or(now) }
}

fn dead(reason: &str) -> Verdict {
    Verdict::Dead { reason: reason.to_owned() }
}

/// The outcome in words.
pub fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { status } | Outcome::Refused { status, .. } => format!("the receiver answered {status}"),
        Outcome::TimedOut { phase } => format!("no answer in time ({})", phase.as_str()),
        Outcome::Unreachable { reason }
        | Outcome::Hindered { reason }
        | Outcome::Blocked { reason }
        | Outcome::Withheld { reason } => reason.clone(),
        Outcome::Superseded { .. } => "nothing was sent".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dockbell_proto::ids::EventId;
    use dockbell_proto::order::Order;
    use dockbell_proto::outcome::Phase;
    use dockbell_testkit::sample::moment;
    use proptest::prelude::*;

    use super::*;

    fn judged(outcome: &Outcome, ordinal: u32) -> Verdict {
        judge(&RetrySchedule::default(), outcome, ordinal, (moment(), 0.0))
    }

    fn pause(outcome: &Outcome, ordinal: u32) -> Duration {
        match judged(outcome, ordinal) {
            Verdict::Retry { at } => Duration::try_from(at.duration_since(moment())).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn refused(status: u16, retry_after: Option<u64>) -> Outcome {
        Outcome::Refused { status, retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn every_failure_but_gone_blocked_and_superseded_is_retried_on_the_schedule() {
        for outcome in [
            refused(302, None),
            refused(404, None),
            refused(500, None),
            Outcome::TimedOut { phase: Phase::Body },
            Outcome::Unreachable { reason: "r".into() },
            Outcome::Hindered { reason: "r".into() },
        ] {
            let pauses: Vec<u64> = (1..10).map(|ordinal| pause(&outcome, ordinal).as_secs()).collect();
            assert_eq!(pauses, [5, 30, 300, 1800, 7200, 21_600, 43_200, 86_400, 86_400]);
            assert!(matches!(judged(&outcome, 10), Verdict::Dead { reason } if reason.contains("10 attempts")));
        }
        assert!(matches!(judged(&refused(410, None), 1), Verdict::Dead { .. }));
        assert!(matches!(judged(&Outcome::Blocked { reason: "r".into() }, 1), Verdict::Dead { .. }));
        assert_eq!(judged(&Outcome::Accepted { status: 204 }, 1), Verdict::Delivered);
        assert!(matches!(judged(&superseded(), 2), Verdict::Superseded { .. }));
    }

    #[test]
    fn retry_after_lengthens_a_pause_up_to_the_longest_step() {
        assert_eq!(pause(&refused(429, Some(60)), 1).as_secs(), 60);
        assert_eq!(pause(&refused(503, Some(0)), 1).as_secs(), 5);
        assert_eq!(pause(&refused(503, Some(u64::MAX)), 1).as_secs(), 86_400);
        assert_eq!(pause(&refused(500, Some(60)), 1).as_secs(), 5, "only 429 and 503 may ask");
    }

    fn superseded() -> Outcome {
        Outcome::Superseded { by: Order::new(moment(), EventId::parse("e").unwrap()) }
    }

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            (200u16..300).prop_map(|status| Outcome::Accepted { status }),
            (300u16..1000, proptest::option::of(any::<u32>()))
                .prop_map(|(status, after)| refused(status, after.map(u64::from))),
            Just(Outcome::TimedOut { phase: Phase::Headers }),
            Just(Outcome::Unreachable { reason: "refused".into() }),
            Just(Outcome::Blocked { reason: "loopback".into() }),
            Just(superseded()),
            Just(Outcome::Hindered { reason: "no name server".into() }),
            Just(Outcome::Withheld { reason: "too old".into() }),
        ]
    }

    proptest! {
        #[test]
        fn every_delivery_ends_and_no_pause_leaves_its_bounds(outcome in any_outcome(), ordinal in 0u32.., chance in -1.0f64..2.0) {
            let schedule = RetrySchedule::default();
            match judge(&schedule, &outcome, ordinal, (moment(), chance)) {
                Verdict::Retry { at } => {
                    let pause = Duration::try_from(at.duration_since(moment())).unwrap();
                    prop_assert!(pause >= Duration::from_secs(5) && pause <= Duration::from_hours(24).mul_f64(1.2));
                    prop_assert!((ordinal as usize) <= schedule.pauses().len());
                }
                Verdict::Delivered => prop_assert!(matches!(outcome, Outcome::Accepted { .. }), "{:?}", outcome),
                Verdict::Dead { reason } => prop_assert!(!reason.is_empty()),
                Verdict::Superseded { .. } => prop_assert_eq!(outcome, superseded()),
                Verdict::Expired { .. } | Verdict::Skipped { .. } | Verdict::Unchanged => {
                    prop_assert!(matches!(outcome, Outcome::Withheld { .. }), "{:?}", outcome);
                }
            }
        }
    }
}
