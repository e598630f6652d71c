//! The history of deliveries, and the redeliveries that people ask for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::store::{
    ATTEMPTS_SHOWN, AttemptRecord, DeliveryRecord, EXCERPT_LIMIT, HISTORY_KEPT, HISTORY_PER_WEBHOOK, HISTORY_SLACK,
    HistoryQuery, Page, PageRequest, Store,
};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::outcome::DeliveryState;

use super::{StoreHarness, delivered, delivery, failed, given_up, record, superseded, webhook};

async fn history(store: &Arc<dyn Store>, query: &HistoryQuery) -> Page<DeliveryRecord> {
    store.history(query).await.expect("a history")
}

async fn find(store: &Arc<dyn Store>, delivery: &Delivery) -> Option<DeliveryRecord> {
    store.delivery(&delivery.id).await.expect("an answer")
}

fn page(limit: u32) -> HistoryQuery {
    HistoryQuery { page: PageRequest { after: None, limit }, ..HistoryQuery::default() }
}

fn ids(items: &[DeliveryRecord]) -> Vec<String> {
    items.iter().map(|item| item.delivery.id.to_string()).collect()
}

/// Each webhook has its latest deliveries, and one that is busy does not crowd out another's.
pub async fn history_is_bounded_newest_first(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let (busy, quiet) = (webhook(&store, 1).await, webhook(&store, 2).await);
    let first = delivery(&quiet, "first", "1.0");
    record(&store, &delivered(&first, harness.now())).await;
    let mut expected = Vec::new();
    for number in 0..u64::from(HISTORY_PER_WEBHOOK + 2 * HISTORY_SLACK) + 5 {
        let owed = delivery(&busy, &format!("b{number}"), "1.0");
        record(&store, &delivered(&owed, harness.now() + Duration::from_secs(number))).await;
        expected.insert(0, owed.id.to_string());
    }
    let of_busy = history(&other, &HistoryQuery { webhook: Some(busy.id), ..page(100) }).await;
    let kept = of_busy.items.len();
    assert!(
        (HISTORY_PER_WEBHOOK..=HISTORY_PER_WEBHOOK + HISTORY_SLACK)
            .contains(&u32::try_from(kept).expect("a small number"))
    );
    expected.truncate(kept);
    assert_eq!(ids(&of_busy.items), expected);
    assert_eq!(of_busy.next, None);
    assert!(of_busy.items.iter().all(|item| item.attempts.is_empty()));
    let of_quiet = history(&other, &HistoryQuery { webhook: Some(quiet.id), ..page(100) }).await;
    assert_eq!(ids(&of_quiet.items), [first.id.to_string()]);
}

/// A reader sees everything that was there when it began, once, while deliveries are added and attempted
/// again.
pub async fn history_pages_neither_skip_nor_repeat(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owner = webhook(&store, 1).await;
    let owed: Vec<Delivery> = (0..9).map(|number| delivery(&owner, &format!("b{number}"), "1.0")).collect();
    for (place, delivery) in (0..).zip(&owed) {
        // Three at a time begin at the same moment.
        record(&store, &failed(delivery, harness.now() + Duration::from_secs(place / 3))).await;
    }
    let (mut seen, mut query) = (Vec::new(), page(2));
    for round in 0.. {
        let found = history(&store, &query).await;
        assert!(found.items.len() <= 2);
        seen.extend(ids(&found.items));
        let late = harness.now() + Duration::from_secs(100 + round);
        record(&store, &delivered(&delivery(&owner, &format!("new{round}"), "1.0"), late)).await;
        if let Some(read) = owed.get(usize::try_from(round).expect("a small number")) {
            record(&store, &delivered(&Delivery { ordinal: 2, ..read.clone() }, late)).await;
        }
        query.page.after = found.next;
        if query.page.after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), owed.len(), "{seen:?}");
    let expected: BTreeSet<String> = owed.iter().map(|delivery| delivery.id.to_string()).collect();
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
}

/// Both filters hold at once, and a state is the present one.
pub async fn history_is_filtered_by_webhook_and_state(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let (one, two) = (webhook(&store, 1).await, webhook(&store, 2).await);
    let (good, bad, healed) = (delivery(&one, "a", "1"), delivery(&one, "b", "2"), delivery(&one, "c", "3"));
    let (foreign, old) = (delivery(&two, "a", "1"), delivery(&one, "0", "3"));
    let at = |seconds| harness.now() + Duration::from_secs(seconds);
    record(&store, &delivered(&good, at(1))).await;
    record(&store, &given_up(&bad, at(2))).await;
    record(&store, &failed(&healed, at(3))).await;
    record(&store, &delivered(&foreign, at(4))).await;
    record(&store, &failed(&old, at(5))).await;
    let of = |webhook, state| HistoryQuery { webhook, state, ..page(10) };
    let retrying = history(&store, &of(None, Some(DeliveryState::Retrying))).await;
    assert_eq!(ids(&retrying.items), [old.id.to_string(), healed.id.to_string()]);
    record(&store, &delivered(&Delivery { ordinal: 2, ..healed.clone() }, at(6))).await;
    let by = healed.content.newest().expect("an order");
    record(&store, &superseded(&Delivery { ordinal: 2, ..old.clone() }, at(7), by)).await;
    for (query, expected) in [
        (of(None, None), vec![&old, &foreign, &healed, &bad, &good]),
        (of(None, Some(DeliveryState::Superseded)), vec![&old]),
        (of(None, Some(DeliveryState::Retrying)), vec![]),
        (of(None, Some(DeliveryState::Delivered)), vec![&foreign, &healed, &good]),
        (of(Some(one.id.clone()), Some(DeliveryState::Delivered)), vec![&healed, &good]),
        (of(Some(one.id.clone()), Some(DeliveryState::Dead)), vec![&bad]),
        (of(Some(one.id.clone()), Some(DeliveryState::Superseded)), vec![&old]),
        (of(Some(one.id.clone()), Some(DeliveryState::Retrying)), vec![]),
    ] {
        let expected: Vec<String> = expected.iter().map(|delivery| delivery.id.to_string()).collect();
        assert_eq!(ids(&history(&store, &query).await.items), expected, "{query:?}");
    }
    // A person may have it sent all the same.
    record(&store, &delivered(&Delivery { request: 1, ..old.clone() }, at(8))).await;
    assert_eq!(ids(&history(&store, &of(None, Some(DeliveryState::Superseded))).await.items), [""; 0]);
}

/// A delivery is shown for [`HISTORY_KEPT`] after its last attempt.
pub async fn history_expires(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owner = webhook(&store, 1).await;
    let (old, renewed) = (delivery(&owner, "a", "1.0"), delivery(&owner, "b", "1.0"));
    record(&store, &delivered(&old, harness.now())).await;
    record(&store, &failed(&renewed, harness.now())).await;
    harness.advance(HISTORY_KEPT.saturating_sub(Duration::from_secs(5))).await;
    record(&store, &delivered(&Delivery { ordinal: 2, ..renewed.clone() }, harness.now())).await;
    assert_eq!(history(&store, &page(10)).await.items.len(), 2);
    harness.advance(Duration::from_secs(10)).await;
    assert_eq!(ids(&history(&store, &page(10)).await.items), [renewed.id.to_string()]);
    assert_eq!(find(&store, &old).await, None);
    assert_eq!(store.take_request(&old.id).await, Ok(None));
    assert_eq!(find(&store, &renewed).await.expect("a delivery").attempts.len(), 2);
}

/// What is known of each attempt is shown, up to [`ATTEMPTS_SHOWN`] of them.
pub async fn a_delivery_shows_its_latest_attempts_oldest_first(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owed = delivery(&webhook(&store, 1).await, "a", "1.0");
    let attempt = |ordinal: u32| {
        let at = harness.now() + Duration::from_secs(ordinal.into());
        failed(&Delivery { ordinal, not_before: Some(at), ..owed.clone() }, at)
    };
    let last = ATTEMPTS_SHOWN + 2;
    for ordinal in 1..=last {
        record(&store, &attempt(ordinal)).await;
    }
    let found = find(&other, &owed).await.expect("a delivery");
    assert_eq!(found.delivery, attempt(last).delivery, "as it stood before its last attempt");
    assert_eq!((found.first_at, found.last_at), (attempt(1).at, attempt(last).at));
    assert_eq!(
        (found.state, found.next_at),
        (DeliveryState::Retrying, Some(attempt(last).at + Duration::from_mins(1)))
    );
    let shown: Vec<u32> = found.attempts.iter().map(|entry| entry.ordinal).collect();
    assert_eq!(shown, (3..=last).collect::<Vec<_>>());
    let (entry, expected) = (found.attempts.last().expect("an attempt"), attempt(last));
    assert_eq!((entry.at, entry.took), (expected.at, expected.took));
    assert_eq!((&entry.outcome, &entry.verdict), (&expected.outcome, &expected.verdict));
    assert_eq!(entry.excerpt, expected.excerpt);
}

/// Records may arrive in any order, as those do that were buffered while the store was away.
pub async fn an_attempt_recorded_late_does_not_undo_a_later_one(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owed = delivery(&webhook(&store, 1).await, "a", "1.0");
    let (early, late) = (harness.now(), harness.now() + Duration::from_secs(9));
    record(&store, &delivered(&Delivery { ordinal: 2, ..owed.clone() }, late)).await;
    record(&store, &failed(&owed, early)).await;
    let found = find(&store, &owed).await.expect("a delivery");
    assert_eq!((found.state, found.next_at, found.delivery.ordinal), (DeliveryState::Delivered, None, 2));
    assert_eq!((found.first_at, found.last_at), (early, late));
    assert_eq!(found.attempts.iter().map(|entry| entry.ordinal).collect::<Vec<_>>(), [1, 2]);
}

/// What a person asked for is one more request of the same delivery, which shows the state it came to.
pub async fn a_redelivery_stays_with_its_delivery(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owed = delivery(&webhook(&store, 1).await, "a", "1.0");
    record(&store, &given_up(&owed, harness.now())).await;
    let again = Delivery { request: 1, ..owed.clone() };
    let recorded = record(&store, &delivered(&again, harness.now() + Duration::from_mins(1))).await;
    assert!(recorded.is_first);
    assert_eq!(history(&store, &page(10)).await.items.len(), 1);
    let found = find(&store, &owed).await.expect("a delivery");
    assert_eq!((found.state, &found.delivery), (DeliveryState::Delivered, &again));
    let attempts: Vec<_> = found.attempts.iter().map(|entry| (entry.request, entry.ordinal)).collect();
    assert_eq!(attempts, [(0, 1), (1, 1)]);
}

/// Numbers are taken once each, by whoever asks; what is not recorded has none.
pub async fn take_request_numbers_the_redeliveries_of_what_is_recorded(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    let owed = delivery(&owner, "a", "1.0");
    assert_eq!(store.take_request(&owed.id).await, Ok(None));
    record(&store, &given_up(&owed, harness.now())).await;
    let taken = tokio::join!(store.take_request(&owed.id), other.take_request(&owed.id));
    let taken: BTreeSet<_> = [taken.0, taken.1].into_iter().map(|number| number.expect("an answer")).collect();
    assert_eq!(taken, BTreeSet::from([Some(1), Some(2)]));
    record(&store, &delivered(&Delivery { request: 1, ..owed.clone() }, harness.now())).await;
    assert_eq!(store.take_request(&owed.id).await, Ok(Some(3)), "a record keeps the count");
    let forgotten = delivery(&owner, "b", "1.0");
    record(&store, &delivered(&Delivery { request: 4, ..forgotten.clone() }, harness.now())).await;
    assert_eq!(store.take_request(&forgotten.id).await, Ok(Some(5)), "a number that was used is not taken again");
}

/// What a receiver answers is not ours to keep in full.
pub async fn an_excerpt_is_cut_to_its_limit(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owed = delivery(&webhook(&store, 1).await, "a", "1.0");
    let excerpt = Some(format!("a{}", "é".repeat(EXCERPT_LIMIT)));
    record(&store, &AttemptRecord { excerpt: excerpt.clone(), ..failed(&owed, harness.now()) }).await;
    let found = find(&store, &owed).await.expect("a delivery");
    let kept = found.attempts.first().and_then(|entry| entry.excerpt.clone()).expect("an excerpt");
    assert!(kept.len() <= EXCERPT_LIMIT && kept.len() > EXCERPT_LIMIT - 4);
    assert!(excerpt.is_some_and(|whole| whole.starts_with(&kept)));
}
