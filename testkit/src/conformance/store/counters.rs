//! Health, and the outcomes that are kept for those who ask whether an attempt was made.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::store::{AttemptRecord, Health, SETTLED_KEPT};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::outcome::{DeliveryState, Outcome, Verdict};
use tokio::task::JoinSet;

use super::{StoreHarness, delivered, delivery, failed, given_up, record, superseded, webhook};

/// A record that is repeated, because its first answer was lost or its message came again, changes nothing.
pub async fn a_record_of_the_same_attempt_counts_once(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owed = delivery(&webhook(&store, 1).await, "a", "1.0");
    let first = record(&store, &failed(&owed, harness.now())).await;
    assert!(first.is_first);
    let differing = delivered(&owed, harness.now() + Duration::from_secs(3));
    for attempt in [&failed(&owed, harness.now()), &differing] {
        let again = record(&other, attempt).await;
        assert!(!again.is_first);
        assert_eq!(again.health, first.health);
    }
    let found = store.delivery(&owed.id).await.expect("an answer").expect("a delivery");
    assert_eq!(found.attempts.len(), 1);
    assert_eq!(found.state, failed(&owed, harness.now()).verdict.state());
}

/// Failures add up, whatever they are about; an acceptance clears them.
pub async fn failures_count_until_an_attempt_is_accepted(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let failing = webhook(&store, 1).await;
    assert_eq!(store.health(&failing.id).await, Ok(Health::default()));
    let began = harness.now();
    let (one, two) = (delivery(&failing, "a", "1.0"), delivery(&failing, "b", "2.0"));
    record(&store, &failed(&one, began)).await;
    let second = began + Duration::from_secs(5);
    let recorded = record(&other, &given_up(&two, second)).await;
    let expected = Health {
        consecutive_failures: 2,
        failing_since: Some(began),
        failed_at: Some(second),
        failed_deliveries: vec![one.id.clone(), two.id.clone()],
        waiting: 1,
        ..Health::default()
    };
    assert_eq!(recorded.health, expected);
    assert_eq!(store.health(&failing.id).await, Ok(expected));

    let third = began + Duration::from_mins(1);
    let recorded = record(&store, &delivered(&Delivery { ordinal: 2, ..one.clone() }, third)).await;
    assert_eq!(recorded.health, Health { succeeded_at: Some(third), ..Health::default() });

    let fourth = began + Duration::from_secs(90);
    let three = delivery(&failing, "c", "1.0");
    let recorded = record(&store, &failed(&three, fourth)).await;
    let expected = Health {
        consecutive_failures: 1,
        failing_since: Some(fourth),
        failed_at: Some(fourth),
        failed_deliveries: vec![three.id.clone()],
        succeeded_at: Some(third),
        waiting: 1,
        ..Health::default()
    };
    assert_eq!(recorded.health, expected);
}

/// What our own policy forbids says nothing about the receiver, but it is settled and in the history.
pub async fn a_blocked_attempt_leaves_the_counters_alone(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let failing = webhook(&store, 1).await;
    let before = record(&store, &failed(&delivery(&failing, "a", "1.0"), harness.now())).await.health;
    let owed = delivery(&failing, "b", "1.0");
    let outcome = Outcome::Blocked { reason: "a private address".to_owned() };
    let blocked = AttemptRecord { outcome, ..given_up(&owed, harness.now() + Duration::from_secs(1)) };
    assert_eq!(record(&store, &blocked).await.health, before);
    assert_eq!(store.settled(&[owed.attempt_id()]).await, Ok(vec![Some(blocked.verdict)]));
    assert!(store.delivery(&owed.id).await.expect("an answer").is_some());
}

/// What was not sent is neither a failure nor a success, and it is settled and in the history once.
pub async fn a_superseded_delivery_leaves_the_counters_alone(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let failing = webhook(&store, 1).await;
    let (older, later) = (delivery(&failing, "a", "1.0"), delivery(&failing, "b", "1.0"));
    record(&store, &failed(&older, harness.now())).await;
    let before = record(&store, &failed(&later, harness.now())).await.health;
    assert_eq!(before.consecutive_failures, 2);
    let by = later.content.newest().expect("an order");
    let attempt = superseded(&older.retried(harness.now()), harness.now() + Duration::from_secs(1), by);
    let recorded = record(&store, &attempt).await;
    assert!(recorded.is_first);
    assert_eq!(recorded.health, Health { waiting: 1, ..before }, "it waits no more");
    let again = record(&other, &attempt).await;
    assert!(!again.is_first);
    assert_eq!(store.health(&failing.id).await, Ok(recorded.health));
    assert_eq!(other.settled(&[attempt.delivery.attempt_id()]).await, Ok(vec![Some(attempt.verdict.clone())]));
    let found = other.delivery(&older.id).await.expect("an answer").expect("a delivery");
    assert_eq!((found.state, found.next_at, found.attempts.len()), (DeliveryState::Superseded, None, 2));
    let entry = found.attempts.last().expect("an attempt");
    assert_eq!((&entry.outcome, &entry.verdict), (&attempt.outcome, &attempt.verdict));
}

/// No increment is lost among many processes.
pub async fn concurrent_records_are_all_counted(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let failing = webhook(&store, 1).await;
    let mut records = JoinSet::new();
    for number in 0..40 {
        let store = Arc::clone(if number % 2 == 0 { &store } else { &other });
        let attempt = failed(&delivery(&failing, &format!("b{number}"), "1.0"), harness.now());
        records.spawn(async move { record(&store, &attempt).await.is_first });
    }
    assert!(records.join_all().await.into_iter().all(|is_first| is_first));
    assert_eq!(store.health(&failing.id).await.expect("health").consecutive_failures, 40);
}

/// Each attempt has an answer in its place: its verdict, or none if it was not recorded.
pub async fn settled_answers_in_the_order_asked(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    let (one, two) = (delivery(&owner, "a", "1.0"), delivery(&owner, "b", "1.0"));
    record(&store, &failed(&one, harness.now())).await;
    record(&store, &delivered(&two, harness.now())).await;
    let asked = [
        two.attempt_id(),
        Delivery { ordinal: 2, ..one.clone() }.attempt_id(),
        one.attempt_id(),
        Delivery { request: 1, ..one.clone() }.attempt_id(),
    ];
    let retry = failed(&one, harness.now()).verdict;
    assert_eq!(other.settled(&asked).await, Ok(vec![Some(Verdict::Delivered), None, Some(retry), None]));
    assert_eq!(other.settled(&[]).await, Ok(vec![]));
}

/// The outcome of an attempt is kept for [`SETTLED_KEPT`] and no longer; then the same attempt counts anew.
pub async fn settled_expires(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owed = delivery(&webhook(&store, 1).await, "a", "1.0");
    let attempt = failed(&owed, harness.now());
    record(&store, &attempt).await;
    harness.advance(SETTLED_KEPT.saturating_sub(Duration::from_secs(1))).await;
    assert_eq!(store.settled(&[owed.attempt_id()]).await, Ok(vec![Some(attempt.verdict.clone())]));
    assert!(!record(&store, &attempt).await.is_first);
    harness.advance(Duration::from_secs(2)).await;
    assert_eq!(store.settled(&[owed.attempt_id()]).await, Ok(vec![None]));
    assert!(record(&store, &attempt).await.is_first);
}
