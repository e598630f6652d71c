use proptest::prelude::*;

use super::*;

fn start() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn delivery(number: u8) -> DeliveryId {
    DeliveryId::from_random([number; 16])
}

/// Counts an attempt that began and ended at the same time.
fn count(health: &mut Health, number: u8, second: i64, is_accepted: bool) {
    let attempt = Counted { delivery: &delivery(number), at: at(second), is_accepted };
    health.count(attempt, &Suspension::default(), at(second));
}

fn after(failures: &[(u8, i64)]) -> Health {
    let mut health = Health::default();
    for (number, second) in failures {
        count(&mut health, *number, *second, false);
    }
    health
}

fn suspended() -> Health {
    after(&[(1, 0), (2, 3), (1, 6), (2, 9), (3, 12)])
}

#[test]
fn five_failures_of_two_deliveries_over_ten_seconds_suspend() {
    let health = suspended();
    assert_eq!(health.standing, Standing::Suspended { until: at(72), level: 1 });
    let change = health.change_since(&Health::default(), at(12)).unwrap();
    assert_eq!(change.standing, StandingWord::Suspended);
    assert_eq!(
        change.reason,
        "5 attempts failed one after the other since 2026-01-02T03:04:05Z; the next one is made in 1m"
    );
}

#[test]
fn each_threshold_alone_keeps_a_webhook_healthy() {
    let fifty_at_once: Vec<_> = (0..50).map(|number| (number, 0)).collect();
    let one_delivery: Vec<_> = (0..50).map(|second| (1, second)).collect();
    for failures in [fifty_at_once, one_delivery, vec![(1, 0), (2, 100), (3, 200), (4, 300)]] {
        assert_eq!(after(&failures).standing, Standing::Healthy, "{failures:?}");
    }
}

#[test]
fn one_success_between_failures_keeps_a_webhook_healthy_for_ever() {
    let mut health = Health::default();
    for second in 0..1_000 {
        count(&mut health, u8::try_from(second % 7).unwrap(), second * 10, second % 5 == 4);
    }
    assert_eq!((health.standing, health.failed_deliveries.len()), (Standing::Healthy, 0));
}

#[test]
fn a_failed_canary_doubles_the_cooldown_and_what_was_under_way_does_not() {
    let mut health = suspended();
    count(&mut health, 9, 13, false);
    assert_eq!(health.standing, Standing::Suspended { until: at(72), level: 1 });
    count(&mut health, 9, 80, false);
    assert_eq!(health.standing, Standing::Suspended { until: at(200), level: 2 });
}

#[test]
fn a_canary_that_succeeds_leads_over_a_trickle_to_health() {
    let mut health = suspended();
    let mut words = Vec::new();
    for second in 80..84 {
        let before = health.clone();
        count(&mut health, 1, second, true);
        words.push(health.change_since(&before, at(second)).map(|change| change.standing.as_str()));
    }
    assert_eq!(words, [Some("recovering"), None, None, Some("healthy")]);
    assert_eq!(health, Health { succeeded_at: Some(at(83)), ..Health::default() });
}

#[test]
fn one_failure_while_recovering_suspends_for_longer() {
    let mut health = suspended();
    count(&mut health, 1, 80, true);
    count(&mut health, 2, 79, false);
    assert_eq!(health.standing.as_str(), "recovering", "it began before the canary succeeded");
    count(&mut health, 2, 81, false);
    assert_eq!(health.standing, Standing::Suspended { until: at(201), level: 2 });
}

#[test]
fn a_success_from_before_the_first_failure_clears_nothing() {
    let mut health = after(&[(1, 10), (2, 20)]);
    count(&mut health, 3, 5, true);
    assert_eq!((health.consecutive_failures, health.succeeded_at), (2, Some(at(5))));
}

#[test]
fn a_webhook_is_to_be_disabled_after_five_days_and_twenty_failures() {
    let days = |days: i64| days * 86_400;
    let failures: Vec<_> = (0..20).map(|number| (1, days(number) / 4)).collect();
    let health = after(&failures);
    let disabling = Disabling::default();
    assert!(!health.is_to_be_disabled(&disabling, at(days(5) - 1)));
    assert!(health.is_to_be_disabled(&disabling, at(days(5))));
    assert!(!after(&failures[1..]).is_to_be_disabled(&disabling, at(days(6))));
    assert!(!Health::default().is_to_be_disabled(&disabling, at(days(6))));
}

proptest! {
    #[test]
    fn whatever_is_counted_in_whatever_order_the_counters_agree_with_each_other(
        attempts in prop::collection::vec((0u8..20, 0i64..1000, any::<bool>(), 0i64..30), 0..200)
    ) {
        let mut health = Health::default();
        for (number, second, is_accepted, late) in attempts {
            let before = health.clone();
            let attempt = Counted { delivery: &delivery(number), at: at(second), is_accepted };
            health.count(attempt, &Suspension::default(), at(second + late));
            prop_assert_eq!(health.consecutive_failures == 0, health.failing_since.is_none());
            prop_assert_eq!(health.failing_since.is_none(), health.failed_at.is_none());
            prop_assert!(health.failing_since <= health.failed_at);
            prop_assert!(health.failed_deliveries.len() <= 16);
            prop_assert!(health.failed_deliveries.len() <= usize::try_from(health.consecutive_failures).unwrap());
            let is_changed = health.change_since(&before, at(second + late)).is_some();
            let words = (before.standing.as_str(), health.standing.as_str());
            prop_assert!(!is_changed || words.0 != words.1 || words.0 == "suspended");
            prop_assert!(!is_accepted || health.standing.as_str() != "suspended" || words.0 == "suspended");
        }
    }
}
