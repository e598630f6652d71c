//! The newest order of each tag, by which older news is withheld.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::store::Store;
use dockbell_proto::batch::Batch;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::EventId;
use dockbell_proto::names::Tag;
use dockbell_proto::order::Order;
use dockbell_proto::webhook::Webhook;

use super::{StoreHarness, delivered, failed, given_up, record, superseded, webhook};
use crate::sample;

/// A delivery about `tags`, whose events came in `after` seconds after [`sample::moment`].
pub(super) fn owed(webhook: &Webhook, tags: &[&str], after: u64) -> Delivery {
    let mut content: Batch = sample::batch(&format!("at{after}"), "team/app", tags);
    for change in &mut content.changes {
        change.order = order(after);
    }
    sample::delivery(&webhook.id, &content)
}

pub(super) fn order(after: u64) -> Order {
    Order::new(sample::moment() + Duration::from_secs(after), EventId::parse(&format!("e{after}")).expect("an id"))
}

/// The same, reported `later` seconds later once more: another order of the same events, and the same id.
pub(super) fn repeated(delivery: &Delivery, later: u64) -> Delivery {
    let mut content = Batch::clone(&delivery.content);
    for change in &mut content.changes {
        change.order = Order::new(change.order.at() + Duration::from_secs(later), change.order.event().clone());
    }
    Delivery { content: Arc::new(content), ..delivery.clone() }
}

pub(super) async fn newest(store: &Arc<dyn Store>, webhook: &Webhook, tags: &[&str]) -> Vec<Option<Order>> {
    let content = sample::batch("any", "team/app", &["any"]);
    let tags: Vec<Tag> = tags.iter().map(|tag| Tag::parse(tag).expect("a tag")).collect();
    store.newest(&webhook.id, (&content.registry, &content.repository), &tags).await.expect("orders")
}

/// The order decides, not the time of the record; each webhook and tag has its own.
pub async fn newest_is_the_latest_order_whatever_came_last(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let (one, two) = (webhook(&store, 1).await, webhook(&store, 2).await);
    record(&store, &delivered(&owed(&one, &["1.0", "latest"], 20), harness.now())).await;
    record(&other, &delivered(&owed(&one, &["latest"], 30), harness.now())).await;
    record(&store, &delivered(&owed(&one, &["1.0", "latest"], 10), harness.now())).await;
    let found = newest(&other, &one, &["latest", "unknown", "1.0"]).await;
    assert_eq!(found, [Some(order(30)), None, Some(order(20))]);
    assert_eq!(newest(&other, &two, &["latest"]).await, [None]);
    let elsewhere = sample::batch("any", "team/web", &["latest"]);
    let tags = [Tag::parse("latest").expect("a tag")];
    let found = store.newest(&one.id, (&elsewhere.registry, &elsewhere.repository), &tags).await;
    assert_eq!(found, Ok(vec![None]));
}

/// A delivery that waits for its next attempt withholds older ones; one that was given up does not.
pub async fn newest_counts_what_waits_and_not_what_was_given_up(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owner = webhook(&store, 1).await;
    record(&store, &failed(&owed(&owner, &["latest"], 10), harness.now())).await;
    record(&store, &given_up(&owed(&owner, &["latest"], 20), harness.now())).await;
    assert_eq!(newest(&store, &owner, &["latest"]).await, [Some(order(10))]);
    let waiting = owed(&owner, &["1.0"], 30);
    record(&store, &failed(&waiting, harness.now())).await;
    assert_eq!(newest(&store, &owner, &["1.0"]).await, [Some(order(30))]);
    record(&store, &given_up(&waiting.retried(harness.now()), harness.now())).await;
    assert_eq!(newest(&store, &owner, &["1.0"]).await, [None]);
}

/// What was accepted withholds older ones, whatever becomes of what came after it.
pub async fn newest_keeps_what_was_accepted_when_a_later_one_is_given_up(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    record(&store, &delivered(&owed(&owner, &["1.0", "latest"], 10), harness.now())).await;
    let later = owed(&owner, &["latest"], 20);
    record(&store, &failed(&later, harness.now())).await;
    assert_eq!(newest(&other, &owner, &["latest"]).await, [Some(order(20))]);
    record(&store, &given_up(&later.retried(harness.now()), harness.now())).await;
    assert_eq!(newest(&other, &owner, &["latest", "1.0"]).await, [Some(order(10)), Some(order(10))]);
    // A redelivery of what was accepted may be given up as well, and was accepted nevertheless.
    let again = Delivery { request: 1, ..owed(&owner, &["1.0"], 10) };
    record(&store, &failed(&again, harness.now())).await;
    record(&store, &given_up(&again.retried(harness.now()), harness.now())).await;
    assert_eq!(newest(&other, &owner, &["1.0"]).await, [Some(order(10))]);
}

/// What is superseded waits no more, and what took its place is still the newest.
pub async fn newest_is_not_lowered_by_what_it_superseded(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owner = webhook(&store, 1).await;
    let older = owed(&owner, &["latest"], 10);
    record(&store, &failed(&older, harness.now())).await;
    record(&store, &failed(&owed(&owner, &["latest"], 20), harness.now())).await;
    record(&store, &superseded(&older.retried(harness.now()), harness.now(), &order(20))).await;
    assert_eq!(newest(&store, &owner, &["latest"]).await, [Some(order(20))]);
    let oldest = owed(&owner, &["1.0"], 5);
    record(&store, &failed(&oldest, harness.now())).await;
    record(&store, &delivered(&owed(&owner, &["1.0"], 20), harness.now())).await;
    record(&store, &superseded(&oldest.retried(harness.now()), harness.now(), &order(20))).await;
    assert_eq!(newest(&store, &owner, &["1.0"]).await, [Some(order(20))]);
    // What was superseded by something that is gone since does not withhold what is older still.
    record(&store, &failed(&owed(&owner, &["2.0"], 10), harness.now())).await;
    let gone = owed(&owner, &["2.0"], 10).retried(harness.now());
    record(&store, &superseded(&gone, harness.now(), &order(20))).await;
    assert_eq!(newest(&store, &owner, &["2.0"]).await, [None]);
}
