//! Attempts of which two processes have a copy. Only of stores that processes share.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::store::claims::{Claim, Claimed, Holder};
use dockbell_backends::store::{SETTLED_KEPT, Store};
use dockbell_proto::delivery::Delivery;
use tokio::task::JoinSet;

use super::{StoreHarness, delivered, delivery, failed, record, webhook};

const LEASE: Duration = Duration::from_secs(5);
const ALMOST: Duration = Duration::from_millis(4_999);

/// The rules, by the names of their functions.
pub const RULES: &[&str] = &[
    "an_attempt_is_claimed_by_one",
    "a_claim_ends_with_its_time_unless_it_is_renewed",
    "what_is_recorded_is_claimed_by_nobody",
];

/// A claim of the first attempt of `delivery` by a holder of this number.
fn claim(harness: &dyn StoreHarness, delivery: &Delivery, number: u128) -> Claim {
    let until = harness.now() + LEASE;
    Claim { attempt: delivery.attempt_id(), holder: Holder::from_random(number), until }
}

async fn claims(store: &Arc<dyn Store>, claim: &Claim) -> Claimed {
    store.claims().expect("a store that processes share").claim(claim).await.expect("an answer")
}

/// Of all who ask, whoever of them comes first; if he asks again, because an answer was lost, it is still his. Other
/// attempts, of the same delivery too, are free.
pub async fn an_attempt_is_claimed_by_one(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owed = delivery(&webhook(&store, 1).await, "a", "1.0");
    let mut asked = JoinSet::new();
    for number in 0..20 {
        let store = Arc::clone(if number % 2 == 0 { &store } else { &other });
        let claim = claim(harness, &owed, number);
        asked.spawn(async move { (claims(&store, &claim).await, claim) });
    }
    let (ours, theirs): (Vec<_>, Vec<_>) =
        asked.join_all().await.into_iter().partition(|(claimed, _)| *claimed == Claimed::Ours);
    assert_eq!((ours.len(), theirs.len()), (1, 19), "{ours:?}");
    assert!(theirs.iter().all(|(claimed, _)| *claimed == Claimed::Held), "{theirs:?}");
    for (_, claim) in &ours {
        assert_eq!(claims(&other, claim).await, Claimed::Ours, "asked again");
    }
    let next = Delivery { ordinal: 2, ..owed };
    assert_eq!(claims(&store, &claim(harness, &next, 99)).await, Claimed::Ours, "another attempt");
}

/// Who has died renews nothing, and what he had under way is attempted again.
pub async fn a_claim_ends_with_its_time_unless_it_is_renewed(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owed = delivery(&webhook(&store, 1).await, "a", "1.0");
    for _ in 0..3 {
        assert_eq!(claims(&store, &claim(harness, &owed, 1)).await, Claimed::Ours);
        harness.advance(ALMOST).await;
        assert_eq!(claims(&other, &claim(harness, &owed, 2)).await, Claimed::Held);
    }
    harness.advance(LEASE.saturating_sub(ALMOST)).await;
    assert_eq!(claims(&other, &claim(harness, &owed, 2)).await, Claimed::Ours);
    assert_eq!(claims(&store, &claim(harness, &owed, 1)).await, Claimed::Held, "too late to be renewed");
}

/// Neither by who made the attempt nor by who waited for it. Both are told what followed.
pub async fn what_is_recorded_is_claimed_by_nobody(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let webhook = webhook(&store, 1).await;
    for attempt in [
        delivered(&delivery(&webhook, "a", "1.0"), harness.now()),
        failed(&delivery(&webhook, "b", "2.0"), harness.now()),
    ] {
        let of = |number| claim(harness, &attempt.delivery, number);
        assert_eq!(claims(&store, &of(1)).await, Claimed::Ours);
        record(&store, &attempt).await;
        for (store, number) in [(&store, 1), (&other, 2)] {
            assert_eq!(claims(store, &of(number)).await, Claimed::Settled(attempt.verdict.clone()));
        }
    }
    harness.advance(SETTLED_KEPT).await;
    let forgotten = delivery(&webhook, "a", "1.0");
    assert_eq!(claims(&other, &claim(harness, &forgotten, 2)).await, Claimed::Ours);
}
