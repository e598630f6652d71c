//! Which attempts may be made of a webhook that is not healthy.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::store::{Store, Trial};
use dockbell_proto::health::Standing;
use dockbell_proto::policy::Suspension;
use dockbell_proto::webhook::Webhook;
use tokio::task::JoinSet;

use super::standing::suspend;
use super::{StoreHarness, delivered, delivery, record, webhook};

/// The trial of an attempt of its own, which may take half a minute.
fn trial(harness: &dyn StoreHarness, webhook: &Webhook, name: &str) -> Trial {
    Trial {
        webhook: webhook.id.clone(),
        attempt: delivery(webhook, name, "1.0").attempt_id(),
        until: harness.now() + Duration::from_secs(30),
        trickle: Suspension::default().trickle,
    }
}

async fn begins(store: &Arc<dyn Store>, trial: &Trial) -> bool {
    store.begin_trial(trial).await.expect("an answer")
}

/// Asks for twenty attempts at once, over both stores, and returns those that may be made.
async fn granted(harness: &dyn StoreHarness, webhook: &Webhook) -> Vec<Trial> {
    let (store, other) = harness.stores();
    let mut asked = JoinSet::new();
    for number in 0..20 {
        let store = Arc::clone(if number % 2 == 0 { &store } else { &other });
        let trial = trial(harness, webhook, &format!("b{number}"));
        asked.spawn(async move { begins(&store, &trial).await.then_some(trial) });
    }
    asked.join_all().await.into_iter().flatten().collect()
}

/// A webhook that is suspended and lets one attempt be made.
async fn ready_for_a_canary(harness: &dyn StoreHarness, store: &Arc<dyn Store>) -> Webhook {
    let suspended = webhook(store, 1).await;
    suspend(harness, &suspended).await;
    harness.advance(Duration::from_mins(1)).await;
    suspended
}

/// While the time is not over nobody may; then one may, whoever asks, until its attempt is recorded.
pub async fn a_canary_is_granted_once(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let suspended = webhook(&store, 1).await;
    suspend(harness, &suspended).await;
    assert_eq!(granted(harness, &suspended).await, []);
    harness.advance(Duration::from_mins(1)).await;
    let canaries = granted(harness, &suspended).await;
    assert_eq!(canaries.len(), 1, "{canaries:?}");
    assert_eq!(granted(harness, &suspended).await, canaries, "the same one, if it asks again");
    let healthy = webhook(&store, 2).await;
    assert_eq!(granted(harness, &healthy).await.len(), 20, "a neighbour is free");

    let canary = canaries.first().expect("a canary");
    let owed = (0..20).map(|number| delivery(&suspended, &format!("b{number}"), "1.0"));
    let owed = owed.into_iter().find(|owed| owed.attempt_id() == canary.attempt).expect("its delivery");
    let refused = super::failed(&owed, harness.now());
    let Standing::Suspended { until, level: 2 } = record(&other, &refused).await.health.standing else {
        panic!("it is suspended anew")
    };
    assert_eq!(granted(harness, &suspended).await, []);
    harness.advance(Duration::try_from(until.duration_since(harness.now())).expect("a time to come")).await;
    assert_eq!(granted(harness, &suspended).await.len(), 1, "the recorded one is under way no more");
}

/// While it recovers, so many may be made at once as its policy says.
pub async fn a_recovering_webhook_has_a_few_attempts_at_once(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let mended = ready_for_a_canary(harness, &store).await;
    let canary = trial(harness, &mended, "canary");
    assert!(begins(&store, &canary).await);
    let recorded = record(&other, &delivered(&delivery(&mended, "canary", "1.0"), harness.now())).await;
    assert_eq!(recorded.health.standing.as_str(), "recovering");
    assert_eq!(granted(harness, &mended).await.len(), 4);
    let more = trial(harness, &mended, "more");
    assert!(!begins(&store, &more).await);
    assert!(begins(&store, &Trial { trickle: 5, ..more }).await, "the policy was changed");
}

/// A process that was killed gives its place back when its time is over.
pub async fn a_trial_that_ran_out_is_granted_again(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let suspended = ready_for_a_canary(harness, &store).await;
    assert!(begins(&store, &trial(harness, &suspended, "killed")).await);
    harness.advance(Duration::from_secs(29)).await;
    assert!(!begins(&other, &trial(harness, &suspended, "next")).await);
    harness.advance(Duration::from_secs(2)).await;
    assert!(begins(&other, &trial(harness, &suspended, "next")).await);
    assert!(!begins(&store, &trial(harness, &suspended, "killed")).await);
}

/// An answer that was lost is asked for again, and takes no second place.
pub async fn a_repeated_question_about_a_trial_is_answered_in_the_same_way(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let suspended = ready_for_a_canary(harness, &store).await;
    let (canary, another) = (trial(harness, &suspended, "canary"), trial(harness, &suspended, "another"));
    for store in [&store, &other, &store] {
        assert!(begins(store, &canary).await);
        assert!(!begins(store, &another).await);
    }
}
