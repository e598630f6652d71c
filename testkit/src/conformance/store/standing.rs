//! How a webhook's standing follows from its attempts, and what is kept of each change.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::store::{AttemptRecord, CHANGES_PER_WEBHOOK, Changes, Health, Notice, Recorded, Store};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::{Standing, StandingChange, StandingWord};
use dockbell_proto::ids::WebhookId;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::webhook::Webhook;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{StoreHarness, delivered, delivery, failed, record, webhook};

/// Lets five attempts of two deliveries fail, three seconds one after the other, and returns what each of them
/// came to. The webhook is suspended from then on for a minute.
pub(super) async fn suspend(harness: &dyn StoreHarness, webhook: &Webhook) -> Vec<Recorded> {
    let (store, other) = harness.stores();
    let (one, two) = (delivery(webhook, "one", "1.0"), delivery(webhook, "two", "2.0"));
    let mut recorded = Vec::new();
    for place in 0..5u32 {
        let (store, owed) = if place % 2 == 0 { (&store, &one) } else { (&other, &two) };
        let attempt = failed(&Delivery { ordinal: 1 + place / 2, ..owed.clone() }, harness.now());
        recorded.push(record(store, &attempt).await);
        harness.advance(Duration::from_secs(3)).await;
    }
    recorded
}

async fn changes(store: &Arc<dyn Store>, webhook: &WebhookId) -> Vec<StandingChange> {
    store.changes_of(webhook).await.expect("changes")
}

/// Whose standing was told to have changed, until `marker` was told to have been put.
async fn standings_told(changes: &mut Changes, marker: &WebhookId) -> Vec<WebhookId> {
    let mut told = Vec::new();
    let until_put = async {
        loop {
            match changes.next().await {
                Some(Notice::Standing { id }) => told.push(id),
                Some(Notice::Webhook { id, .. }) if id == *marker => return,
                Some(_) => {}
                None => panic!("the store was closed"),
            }
        }
    };
    timeout(Duration::from_secs(5), until_put).await.expect("a notice in time");
    told
}

/// The attempt that crosses the thresholds changes the standing, once; the change is kept with its reason, and
/// every process learns of it.
pub async fn a_webhook_that_keeps_failing_is_suspended_with_a_reason(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let (failing, unharmed) = (webhook(&store, 1).await, webhook(&store, 2).await);
    let (mut here, mut there) = (store.changes(), other.changes());
    let recorded = suspend(harness, &failing).await;
    let (last, before) = recorded.split_last().expect("five records");
    assert!(before.iter().all(|recorded| recorded.change.is_none() && recorded.health.standing == Standing::Healthy));
    let began = harness.now() - Duration::from_secs(3);
    let until = began + Duration::from_mins(1);
    assert_eq!(last.health.standing, Standing::Suspended { until, level: 1 });
    let change = last.change.clone().expect("a change");
    assert_eq!((change.at, change.standing), (began, StandingWord::Suspended));
    let since = began - Duration::from_secs(12);
    let reason = format!("5 attempts failed one after the other since {since}; the next one is made in 1m");
    assert_eq!(change.reason, reason);
    assert_eq!(changes(&other, &failing.id).await, std::slice::from_ref(&change));
    assert_eq!(other.health(&failing.id).await, Ok(last.health.clone()));

    let attempt = Delivery { ordinal: 3, ..delivery(&failing, "one", "1.0") };
    let again = record(&other, &failed(&attempt, began)).await;
    assert_eq!((again.is_first, again.change), (false, Some(change.clone())), "its answer may have been lost");
    let copy = record(&other, &failed(&attempt, began + Duration::from_millis(1))).await;
    assert_eq!((copy.is_first, copy.change), (false, None), "who made it at another time did not make the change");
    assert_eq!(changes(&store, &failing.id).await, [change]);
    assert_eq!(changes(&store, &unharmed.id).await, []);
    assert_eq!(store.health(&unharmed.id).await, Ok(Health::default()));
    let marker = webhook(&store, 3).await.id;
    for notices in [&mut here, &mut there] {
        let told = [failing.id.clone(), failing.id.clone()];
        assert_eq!(standings_told(notices, &marker).await, told, "by the record and by its repetition");
    }
}

/// What fails at once is one event, however many processes tell of it.
pub async fn failures_at_once_do_not_suspend(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let failing = webhook(&store, 1).await;
    let mut records = JoinSet::new();
    for number in 0..50u64 {
        let store = Arc::clone(if number % 2 == 0 { &store } else { &other });
        let at = harness.now() + Duration::from_millis(number * 20);
        let attempt = failed(&delivery(&failing, &format!("b{number}"), "1.0"), at);
        records.spawn(async move { record(&store, &attempt).await.change });
    }
    assert!(records.join_all().await.into_iter().all(|change| change.is_none()));
    let health = other.health(&failing.id).await.expect("health");
    assert_eq!((health.consecutive_failures, health.standing), (50, Standing::Healthy));
    assert_eq!(changes(&other, &failing.id).await, []);
}

/// The canary makes a suspended webhook recover, and some successes more make it healthy; each says why.
pub async fn a_suspended_webhook_recovers_by_its_successes(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let mended = webhook(&store, 1).await;
    suspend(harness, &mended).await;
    harness.advance(Duration::from_mins(2)).await;
    let mut found = Vec::new();
    for ordinal in 4..8 {
        let owed = Delivery { ordinal, ..delivery(&mended, "one", "1.0") };
        found.push(record(&store, &delivered(&owed, harness.now())).await);
        harness.advance(Duration::from_secs(1)).await;
    }
    let words: Vec<_> = found.iter().map(|found| found.change.as_ref().map(|change| change.standing)).collect();
    assert_eq!(words, [Some(StandingWord::Recovering), None, None, Some(StandingWord::Healthy)]);
    let standings: Vec<_> = found.iter().map(|found| found.health.standing.as_str()).collect();
    assert_eq!(standings, ["recovering", "recovering", "recovering", "healthy"]);
    let kept = changes(&other, &mended.id).await;
    let words: Vec<_> = kept.iter().map(|change| change.standing.as_str()).collect();
    assert_eq!(words, ["healthy", "recovering", "suspended"]);
    assert_eq!(kept.first(), found.last().and_then(|found| found.change.as_ref()));
}

/// A failed canary suspends for twice as long, which is a change too.
pub async fn a_failed_canary_suspends_for_longer(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let failing = webhook(&store, 1).await;
    suspend(harness, &failing).await;
    let early = failed(&delivery(&failing, "under way", "1.0"), harness.now());
    let recorded = record(&other, &early).await;
    assert_eq!(recorded.change, None, "it began before the time was over");
    harness.advance(Duration::from_mins(2)).await;
    let recorded = record(&store, &failed(&delivery(&failing, "canary", "1.0"), harness.now())).await;
    let until = harness.now() + Duration::from_mins(2);
    assert_eq!(recorded.health.standing, Standing::Suspended { until, level: 2 });
    assert_eq!(recorded.change.map(|change| change.standing), Some(StandingWord::Suspended));
    assert_eq!(changes(&other, &failing.id).await.len(), 2);
}

/// What a person has mended is attempted at once; what waits goes on waiting.
pub async fn a_person_makes_a_webhook_healthy(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let mended = webhook(&store, 1).await;
    record(&store, &delivered(&delivery(&mended, "first", "1.0"), harness.now())).await;
    let succeeded_at = Some(harness.now());
    harness.advance(Duration::from_secs(1)).await;
    suspend(harness, &mended).await;
    let mut notices = other.changes();
    for store in [&store, &other] {
        store.reset_health(&mended.id).await.expect("a reset");
        let expected = Health { succeeded_at, waiting: 2, ..Health::default() };
        assert_eq!(store.health(&mended.id).await, Ok(expected));
    }
    let marker = webhook(&store, 2).await.id;
    let told = standings_told(&mut notices, &marker).await;
    assert!(!told.is_empty() && told.iter().all(|id| *id == mended.id), "{told:?}");
    assert_eq!(changes(&store, &mended.id).await.len(), 1, "whoever mended it says so");
}

/// The latest changes are kept, each once.
pub async fn changes_are_kept_newest_first_up_to_a_bound(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let (owner, another) = (webhook(&store, 1).await, webhook(&store, 2).await);
    assert_eq!(changes(&store, &owner.id).await, []);
    let change = |place: u32| StandingChange {
        at: harness.now() + Duration::from_secs(u64::from(place / 2)),
        standing: if place.is_multiple_of(2) { StandingWord::Disabled } else { StandingWord::Enabled },
        reason: format!("because of \"{place}\", said é"),
    };
    let last = CHANGES_PER_WEBHOOK + 4;
    for place in 0..=last {
        store.keep_change(&owner.id, &change(place)).await.expect("a change");
    }
    other.keep_change(&owner.id, &change(last)).await.expect("a change that is repeated");
    let expected: Vec<_> = (5..=last).rev().map(change).collect();
    assert_eq!(changes(&other, &owner.id).await, expected);
    assert_eq!(changes(&other, &another.id).await, []);
}

/// An owner sees how many deliveries there are to replay, until they are replayed or discarded.
pub async fn skipped_deliveries_are_counted_until_they_are_forgotten(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    for name in ["a", "b"] {
        let reason = || "switched off".to_owned();
        let (outcome, verdict) = (Outcome::Withheld { reason: reason() }, Verdict::Skipped { reason: reason() });
        let owed = delivery(&owner, name, "1.0");
        let skipped = AttemptRecord { outcome, verdict, excerpt: None, ..failed(&owed, harness.now()) };
        assert!(record(&store, &skipped).await.is_first);
        assert!(!record(&other, &skipped).await.is_first);
    }
    assert_eq!(other.health(&owner.id).await, Ok(Health { skipped: 2, ..Health::default() }));
    for store in [&store, &other] {
        store.forget_skipped(&owner.id).await.expect("an answer");
        assert_eq!(store.health(&owner.id).await, Ok(Health::default()));
    }
}
