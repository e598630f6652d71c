//! Deliveries that wait without having been attempted, and how many wait.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::store::{
    DeliveryRecord, HISTORY_PER_WEBHOOK, HISTORY_SLACK, Health, HistoryQuery, PageRequest, Parked, Parking, Store,
};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::outcome::{DeliveryState, Verdict};
use dockbell_proto::webhook::Webhook;
use jiff::Timestamp;

use super::newest::{newest, order, owed, repeated};
use super::{StoreHarness, delivered, delivery, failed, given_up, record, superseded, webhook};

/// A delivery that waits for a minute from `at` on.
fn parking(delivery: &Delivery, at: Timestamp) -> Parking {
    Parking {
        delivery: delivery.clone(),
        at,
        until: at + Duration::from_mins(1),
        reason: "its webhook is \"suspended\"".to_owned(),
        limit: 100,
        is_held: false,
    }
}

async fn park(store: &Arc<dyn Store>, parking: &Parking) -> Parked {
    store.park(parking).await.expect("an answer")
}

/// Parks it and says how many of its webhook wait then.
async fn waiting_after(store: &Arc<dyn Store>, parking: &Parking) -> u32 {
    match park(store, parking).await {
        Parked::Waits(health) => health.waiting,
        other => panic!("{other:?}"),
    }
}

async fn find(store: &Arc<dyn Store>, delivery: &Delivery) -> DeliveryRecord {
    store.delivery(&delivery.id).await.expect("an answer").expect("a delivery")
}

async fn waiting(store: &Arc<dyn Store>, webhook: &Webhook) -> u32 {
    store.health(&webhook.id).await.expect("health").waiting
}

/// A parked delivery is in the history with its reason and no attempt; a record takes the reason away.
pub async fn a_parked_delivery_waits_and_shows_why(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    let not_before = Some(harness.now() + Duration::from_secs(7));
    let owed = Delivery { not_before, ..delivery(&owner, "a", "1.0") };
    let first = parking(&owed, harness.now());
    let expected = Health { waiting: 1, ..Health::default() };
    assert_eq!(park(&store, &first).await, Parked::Waits(expected.clone()));
    assert_eq!(park(&other, &first).await, Parked::Waits(expected), "a repetition");
    let found = find(&other, &owed).await;
    assert_eq!((&found.delivery, found.state), (&owed, DeliveryState::Parked));
    assert_eq!((found.first_at, found.last_at, found.next_at), (first.at, first.at, Some(first.until)));
    assert_eq!(found.parked_because.as_ref(), Some(&first.reason));
    assert_eq!(found.attempts, []);
    let page = PageRequest { after: None, limit: 10 };
    let query = HistoryQuery { webhook: Some(owner.id.clone()), state: Some(DeliveryState::Parked), page };
    let parked = store.history(&query).await.expect("a history").items;
    assert_eq!(parked, [found]);

    harness.advance(Duration::from_secs(90)).await;
    record(&store, &failed(&owed, harness.now())).await;
    let found = find(&other, &owed).await;
    assert_eq!((found.state, found.parked_because, found.attempts.len()), (DeliveryState::Retrying, None, 1));
    assert_eq!((found.first_at, found.last_at), (first.at, harness.now()));
    assert_eq!(store.history(&query).await.expect("a history").items, []);
    let retried = harness.now();

    harness.advance(Duration::from_secs(90)).await;
    let again = owed.retried(harness.now());
    let second = Parking { reason: "its lane is full".to_owned(), ..parking(&again, harness.now()) };
    assert_eq!(waiting_after(&other, &second).await, 1);
    let found = find(&store, &owed).await;
    assert_eq!((&found.delivery, found.state, found.attempts.len()), (&again, DeliveryState::Parked, 1));
    assert_eq!((found.first_at, found.last_at, found.next_at), (first.at, second.at, Some(second.until)));
    assert_eq!(found.parked_because, Some(second.reason));
    assert!(retried < found.last_at);
    record(&store, &delivered(&again, harness.now())).await;
    let found = find(&store, &owed).await;
    assert_eq!((found.state, found.next_at, found.parked_because), (DeliveryState::Delivered, None, None));
    assert_eq!(waiting(&other, &owner).await, 0);
}

/// The clocks of two processes differ a little: an attempt may seem to begin before its delivery was parked.
pub async fn a_record_ends_the_parking_of_its_delivery_whatever_the_clocks_say(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owed = delivery(&webhook(&store, 1).await, "a", "1.0");
    let parked = parking(&owed, harness.now() + Duration::from_secs(2));
    assert_eq!(waiting_after(&store, &parked).await, 1);
    record(&store, &delivered(&owed, harness.now())).await;
    let found = find(&store, &owed).await;
    assert_eq!((found.state, found.next_at, found.parked_because), (DeliveryState::Delivered, None, None));
    assert_eq!((found.delivery, found.attempts.len()), (owed, 1));
}

/// What is parked is the newest of its tags, and older news is not parked beside it, unless a person asked for it.
pub async fn what_has_later_changes_is_not_parked(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let (owner, now) = (webhook(&store, 1).await, harness.now());
    let (older, later) = (owed(&owner, &["1.0", "latest"], 10), owed(&owner, &["latest"], 20));
    assert_eq!(waiting_after(&store, &parking(&later, now)).await, 1);
    assert_eq!(newest(&other, &owner, &["latest", "1.0"]).await, [Some(order(20)), None]);
    assert_eq!(waiting_after(&other, &parking(&older, now)).await, 2, "one of its tags has no later change");
    assert_eq!(newest(&other, &owner, &["latest", "1.0"]).await, [Some(order(20)), Some(order(10))]);
    record(&store, &delivered(&owed(&owner, &["1.0"], 30), now)).await;
    assert_eq!(park(&other, &parking(&older, now)).await, Parked::Superseded { by: order(30) });
    let oldest = owed(&owner, &["latest"], 5);
    assert_eq!(park(&store, &parking(&oldest, now)).await, Parked::Superseded { by: order(20) });
    assert_eq!(store.delivery(&oldest.id).await, Ok(None), "nothing is noted");
    assert_eq!(waiting(&store, &owner).await, 2, "nothing is noted");
    record(&store, &superseded(&older, now, &order(30))).await;
    assert_eq!(waiting(&store, &owner).await, 1);
    let asked_for = Delivery { request: 1, ..oldest };
    assert_eq!(waiting_after(&other, &parking(&asked_for, now)).await, 2);
    assert_eq!(newest(&other, &owner, &["latest"]).await, [Some(order(20))]);
    assert_eq!(waiting_after(&other, &parking(&later, now)).await, 2, "the newest is not superseded by itself");
}

/// Both copies have one id: were the first ended because the second waits, neither would be sent.
pub async fn an_event_that_was_reported_twice_does_not_take_its_own_place(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let (owner, now) = (webhook(&store, 1).await, harness.now());
    let first = owed(&owner, &["1.0", "latest"], 10);
    assert_eq!(waiting_after(&store, &parking(&repeated(&first, 5), now)).await, 1);
    assert_eq!(waiting_after(&other, &parking(&first, now)).await, 1, "it waits as the one that it is");
    record(&store, &delivered(&owed(&owner, &["1.0"], 20), now)).await;
    assert_eq!(waiting_after(&other, &parking(&first, now)).await, 1, "of its other tag it is the newest");
    record(&store, &delivered(&owed(&owner, &["latest"], 30), now)).await;
    assert_eq!(park(&other, &parking(&first, now)).await, Parked::Superseded { by: order(30) });
}

/// It may never be sent, and the older one be what the receiver ends with.
pub async fn what_is_held_takes_nobodys_place(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let (owner, now) = (webhook(&store, 1).await, harness.now());
    let (older, later) = (owed(&owner, &["latest"], 10), owed(&owner, &["latest"], 20));
    let held = |owed: &Delivery| Parking { is_held: true, ..parking(owed, now) };
    assert_eq!(waiting_after(&store, &held(&later)).await, 1);
    assert_eq!(newest(&other, &owner, &["latest"]).await, [None]);
    assert_eq!(waiting_after(&other, &held(&older)).await, 2);
    assert_eq!(waiting_after(&other, &held(&later)).await, 2, "it is looked at again");
    assert_eq!(newest(&other, &owner, &["latest"]).await, [None]);
    record(&store, &delivered(&later, now)).await;
    assert_eq!(park(&other, &held(&older)).await, Parked::Superseded { by: order(20) }, "it was sent");
}

/// What was parked and then given up withholds nothing any more.
pub async fn a_parked_delivery_that_is_given_up_withholds_nothing(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let (owner, now) = (webhook(&store, 1).await, harness.now());
    let (older, later) = (owed(&owner, &["latest"], 10), owed(&owner, &["latest"], 20));
    assert_eq!(waiting_after(&store, &parking(&later, now)).await, 1);
    record(&store, &given_up(&later, now)).await;
    assert_eq!(newest(&store, &owner, &["latest"]).await, [None]);
    assert_eq!(waiting_after(&store, &parking(&older, now)).await, 1);
}

/// Beyond the bound nothing is noted; what waits already may go on, and other webhooks have bounds of their own.
pub async fn no_more_deliveries_wait_than_may(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let (busy, quiet) = (webhook(&store, 1).await, webhook(&store, 2).await);
    let bounded = |owed: &Delivery| Parking { limit: 2, ..parking(owed, harness.now()) };
    let (one, two, three) = (delivery(&busy, "a", "1"), delivery(&busy, "b", "2"), delivery(&busy, "c", "3"));
    record(&store, &failed(&one, harness.now())).await;
    assert_eq!(waiting_after(&store, &bounded(&two)).await, 2);
    let health = other.health(&busy.id).await.expect("health");
    assert_eq!(park(&other, &bounded(&three)).await, Parked::Full(health.clone()));
    assert_eq!(park(&other, &bounded(&Delivery { request: 1, ..three.clone() })).await, Parked::Full(health));
    assert_eq!(other.delivery(&three.id).await, Ok(None));
    assert_eq!(newest(&store, &busy, &["3"]).await, [None]);
    for waits_already in [&one.retried(harness.now()), &two] {
        assert_eq!(waiting_after(&other, &bounded(waits_already)).await, 2);
    }
    assert_eq!(waiting_after(&store, &bounded(&delivery(&quiet, "a", "1"))).await, 1);
    record(&store, &delivered(&two, harness.now())).await;
    assert_eq!(waiting_after(&store, &bounded(&three)).await, 2);
}

/// A write that was repeated, or held up, does not bring back what has ended since.
pub async fn a_park_that_comes_late_brings_nothing_back(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    let owed = delivery(&owner, "a", "1.0");
    let late = parking(&owed, harness.now());
    assert_eq!(waiting_after(&store, &late).await, 1);
    let second = owed.retried(harness.now());
    let first = failed(&owed, harness.now() + Duration::from_mins(1));
    record(&store, &first).await;
    let before = find(&store, &owed).await;
    assert_eq!(park(&other, &late).await, Parked::Settled(first.verdict.clone()));
    assert_eq!(find(&other, &owed).await, before, "it was attempted since");
    record(&store, &delivered(&second, harness.now() + Duration::from_mins(2))).await;
    let before = find(&store, &owed).await;
    let later = parking(&second, harness.now() + Duration::from_mins(3));
    for (late, verdict) in [(late, first.verdict), (later, Verdict::Delivered)] {
        assert_eq!(park(&other, &late).await, Parked::Settled(verdict));
    }
    assert_eq!(find(&other, &owed).await, before, "it has ended since");
    assert_eq!(waiting(&other, &owner).await, 0);
    let again = Delivery { request: 1, ..owed };
    assert_eq!(waiting_after(&other, &parking(&again, harness.now() + Duration::from_mins(3))).await, 1);
}

/// Records may arrive in any order, and the last attempt decides whether its delivery waits.
pub async fn a_retry_that_is_recorded_late_does_not_wait(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    let (dead, kept) = (owed(&owner, &["1.0"], 10), owed(&owner, &["latest"], 10));
    record(&store, &given_up(&dead.retried(harness.now()), harness.now() + Duration::from_mins(1))).await;
    record(&store, &delivered(&kept.retried(harness.now()), harness.now() + Duration::from_mins(1))).await;
    record(&other, &failed(&dead, harness.now())).await;
    record(&other, &failed(&kept, harness.now())).await;
    assert_eq!(waiting(&store, &owner).await, 0);
    assert_eq!(newest(&store, &owner, &["1.0", "latest"]).await, [None, Some(order(10))]);
}

/// Each delivery counts once while it waits, however often it was attempted or parked.
pub async fn waiting_is_counted_through_records_and_parking(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let (owner, another) = (webhook(&store, 1).await, webhook(&store, 2).await);
    let now = harness.now();
    let (one, two) = (delivery(&owner, "a", "1.0"), delivery(&owner, "b", "2.0"));
    let at = |seconds| now + Duration::from_secs(seconds);
    assert_eq!(waiting_after(&store, &parking(&one, at(0))).await, 1);
    assert_eq!(record(&other, &failed(&one, at(1))).await.health.waiting, 1);
    assert_eq!(record(&store, &failed(&two, at(2))).await.health.waiting, 2);
    assert_eq!(waiting_after(&other, &parking(&one.retried(at(3)), at(3))).await, 2);
    assert_eq!(record(&store, &failed(&one.retried(at(4)), at(4))).await.health.waiting, 2);
    assert_eq!(record(&other, &delivered(&one.retried(at(5)).retried(at(5)), at(5))).await.health.waiting, 1);
    assert_eq!(record(&store, &given_up(&two.retried(at(6)), at(6))).await.health.waiting, 0);
    assert_eq!(waiting(&other, &owner).await, 0);
    assert_eq!(waiting_after(&store, &parking(&delivery(&owner, "c", "3.0"), at(7))).await, 1);
    assert_eq!(waiting(&other, &another).await, 0);
}

/// A webhook with thousands of waiting deliveries would otherwise turn its history over with each look at them.
pub async fn looking_again_at_what_was_trimmed_leaves_the_history_alone(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    let begin = harness.now();
    let at = |number: u32| begin + Duration::from_millis(u64::from(number));
    let owed = HISTORY_PER_WEBHOOK + HISTORY_SLACK + 2;
    let all: Vec<Delivery> =
        (0..owed).map(|number| delivery(&owner, &number.to_string(), &format!("t{number}"))).collect();
    for (number, owed) in (0..).zip(&all) {
        assert_eq!(waiting_after(&store, &parking(owed, at(number))).await, number + 1);
    }
    let query = HistoryQuery { page: PageRequest { after: None, limit: 100 }, ..HistoryQuery::default() };
    let before = store.history(&query).await.expect("a history").items;
    let (trimmed, shown) = all.split_at(all.len() - before.len());
    assert!(before.iter().map(|found| &found.delivery).eq(shown.iter().rev()));
    let [first, second, ..] = trimmed else { panic!("the history has a bound") };
    let kept = shown.first().expect("the history is not empty");
    for trimmed in [first, second] {
        assert_eq!(waiting_after(&other, &parking(trimmed, at(1_000))).await, owed);
        assert_eq!(store.delivery(&trimmed.id).await, Ok(None));
    }
    assert_eq!(store.history(&query).await.expect("a history").items, before);
    let again = Parking { limit: 100, ..parking(kept, at(1_000)) };
    assert_eq!(waiting_after(&other, &again).await, owed);
    let after = store.history(&query).await.expect("a history").items;
    assert!(after.iter().map(|found| &found.delivery.id).eq(before.iter().map(|found| &found.delivery.id)));
    assert_eq!(find(&store, kept).await.last_at, at(1_000), "what is shown is brought up to date in its place");
    record(&store, &delivered(first, at(1_001))).await;
    assert_eq!(find(&other, first).await.state, DeliveryState::Delivered, "its end is shown");
    assert_eq!(waiting(&other, &owner).await, owed - 1);
}

/// Its bound of custody counts from then, whatever batch it is made of.
pub async fn a_delivery_keeps_since_when_it_is_in_custody(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    let first_at = Some(harness.now() + Duration::from_micros(7));
    let attempted = Delivery { first_at, ..delivery(&owner, "a", "1.0") };
    let parked = Delivery { first_at, ..delivery(&owner, "b", "2.0") };
    record(&store, &failed(&attempted, harness.now())).await;
    assert_eq!(waiting_after(&store, &parking(&parked, harness.now())).await, 2);
    for owed in [attempted, parked] {
        assert_eq!(find(&other, &owed).await.delivery, owed);
    }
    let plain = delivery(&owner, "c", "3.0");
    record(&store, &failed(&plain, harness.now())).await;
    assert_eq!(find(&other, &plain).await.delivery.first_at, None);
}
