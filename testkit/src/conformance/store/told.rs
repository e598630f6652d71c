//! What receivers that want changes alone were last told of a tag.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::store::{News, Store, TOLD_KEPT, UNSURE};
use dockbell_proto::batch::Batch;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::names::Digest;
use dockbell_proto::webhook::Webhook;

use super::newest::{order, owed, repeated};
use super::{StoreHarness, webhook};
use crate::sample;

/// A delivery about `tags`, whose events came in `after` seconds after [`sample::moment`], and whose digest is this one.
fn pushed(webhook: &Webhook, tags: &[&str], after: u64, fill: u32) -> Delivery {
    let delivery = owed(webhook, tags, after);
    let mut content = Batch::clone(&delivery.content);
    for change in &mut content.changes {
        change.digest = Some(Digest::parse(&sample::digest(fill)).expect("a digest"));
    }
    Delivery { content: Arc::new(content), ..delivery }
}

async fn told(store: &Arc<dyn Store>, delivery: &Delivery) {
    assert_eq!(store.claim_news(delivery, sample::moment()).await, Ok(News::New));
    store.keep_told(delivery, sample::moment()).await.expect("an answer");
}

/// By whichever process it was told. What is under way may reach the receiver or not, so that nothing is known meanwhile.
pub async fn a_digest_is_known_once_it_was_told_until_another_is_under_way(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    told(&store, &pushed(&owner, &["latest"], 10, 1)).await;
    for after in [20, 30] {
        assert_eq!(other.claim_news(&pushed(&owner, &["latest"], after, 1), sample::moment()).await, Ok(News::Known));
    }
    assert_eq!(
        other.claim_news(&pushed(&owner, &["1.0"], 20, 1), sample::moment()).await,
        Ok(News::New),
        "another tag"
    );
    let changed = pushed(&owner, &["latest"], 40, 2);
    assert_eq!(other.claim_news(&changed, sample::moment()).await, Ok(News::New));
    assert_eq!(other.claim_news(&changed, sample::moment()).await, Ok(News::New), "its next attempt");
    told(&store, &pushed(&owner, &["latest"], 50, 1)).await;
    let mut bare = pushed(&owner, &["latest"], 60, 1);
    Arc::make_mut(&mut bare.content).changes.iter_mut().for_each(|change| change.digest = None);
    assert_eq!(store.claim_news(&bare, sample::moment()).await, Ok(News::New), "nobody knows whether it is another");
}

/// Also if what came later was withheld because it was known: the receiver would end with the older one.
pub async fn what_is_older_than_what_was_told_or_withheld_is_old(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owner = webhook(&store, 1).await;
    told(&store, &pushed(&owner, &["latest"], 10, 1)).await;
    assert_eq!(store.claim_news(&pushed(&owner, &["latest"], 30, 1), sample::moment()).await, Ok(News::Known));
    let old = News::Old { by: order(30) };
    assert_eq!(store.claim_news(&pushed(&owner, &["latest"], 20, 2), sample::moment()).await, Ok(old));
    assert_eq!(
        store.claim_news(&pushed(&owner, &["latest"], 40, 1), sample::moment()).await,
        Ok(News::Known),
        "it changed nothing"
    );
    assert_eq!(
        store.claim_news(&pushed(&owner, &["latest"], 10, 1), sample::moment()).await,
        Ok(News::Old { by: order(40) })
    );
}

/// Neither of its copies may end because of the other: they have one id.
pub async fn what_was_reported_twice_is_new_until_it_was_told(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    let first = pushed(&owner, &["latest"], 10, 1);
    let second = repeated(&first, 5);
    assert_eq!(store.claim_news(&second, sample::moment()).await, Ok(News::New));
    assert_eq!(other.claim_news(&first, sample::moment()).await, Ok(News::New));
    told(&store, &second).await;
    assert_eq!(other.claim_news(&first, sample::moment()).await, Ok(News::Known));
}

/// Nobody knows which of two that were under way at once the receiver took last.
pub async fn what_is_told_after_a_later_one_leaves_nothing_known(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    let (first, second) = (pushed(&owner, &["latest"], 10, 1), pushed(&owner, &["latest"], 20, 2));
    assert_eq!(store.claim_news(&first, sample::moment()).await, Ok(News::New));
    told(&other, &second).await;
    store.keep_told(&first, sample::moment()).await.expect("an answer");
    assert_eq!(store.claim_news(&pushed(&owner, &["latest"], 30, 2), sample::moment()).await, Ok(News::New));
}

/// The first hangs while the second is accepted, and may still reach the receiver after it.
pub async fn while_two_may_be_under_way_at_once_nothing_is_known(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    let claim = async |store: &Arc<dyn Store>, delivery: &Delivery| store.claim_news(delivery, sample::moment()).await;
    assert_eq!(claim(&store, &pushed(&owner, &["latest"], 10, 1)).await, Ok(News::New));
    told(&other, &pushed(&owner, &["latest"], 20, 2)).await;
    told(&store, &pushed(&owner, &["latest"], 30, 2)).await;
    harness.advance(UNSURE.saturating_sub(Duration::from_secs(1))).await;
    told(&store, &pushed(&owner, &["latest"], 40, 2)).await;
    harness.advance(Duration::from_secs(1)).await;
    assert_eq!(claim(&other, &pushed(&owner, &["latest"], 50, 2)).await, Ok(News::Known));
}

/// It may have another receiver, or may have been told of everything meanwhile.
pub async fn what_was_told_before_a_webhook_was_changed_is_not_known(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owner = webhook(&store, 1).await;
    told(&store, &pushed(&owner, &["latest"], 10, 1)).await;
    let (next, later) = (pushed(&owner, &["latest"], 20, 1), sample::moment() + Duration::from_micros(1));
    assert_eq!(store.claim_news(&next, later).await, Ok(News::New));
    store.keep_told(&next, later).await.expect("an answer");
    assert_eq!(
        store.claim_news(&pushed(&owner, &["latest"], 30, 1), later).await,
        Ok(News::New),
        "an older may be under way"
    );
    store.keep_told(&pushed(&owner, &["latest"], 30, 1), later).await.expect("an answer");
    harness.advance(UNSURE).await;
    assert_eq!(store.claim_news(&pushed(&owner, &["latest"], 40, 1), later).await, Ok(News::Known));
}

/// A whole batch is known when all its tags are, and old when all of them are.
pub async fn a_batch_is_new_if_one_of_its_tags_is(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owner = webhook(&store, 1).await;
    told(&store, &pushed(&owner, &["1", "2"], 10, 1)).await;
    assert_eq!(store.claim_news(&pushed(&owner, &["1", "2"], 20, 1), sample::moment()).await, Ok(News::Known));
    assert_eq!(store.claim_news(&pushed(&owner, &["2"], 30, 1), sample::moment()).await, Ok(News::Known));
    assert_eq!(
        store.claim_news(&pushed(&owner, &["1", "2"], 25, 1), sample::moment()).await,
        Ok(News::Known),
        "one known, one old"
    );
    assert_eq!(
        store.claim_news(&pushed(&owner, &["1", "2"], 22, 1), sample::moment()).await,
        Ok(News::Old { by: order(30) })
    );
    told(&store, &pushed(&owner, &["1", "3"], 40, 1)).await;
    harness.advance(UNSURE).await;
    assert_eq!(store.claim_news(&pushed(&owner, &["1", "2", "3"], 50, 1), sample::moment()).await, Ok(News::Known));
}

/// A redelivery takes the receiver back, so that nothing is known until the next is told.
pub async fn what_a_person_asked_for_is_always_new(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let owner = webhook(&store, 1).await;
    let older = pushed(&owner, &["latest"], 10, 1);
    told(&store, &older).await;
    told(&store, &pushed(&owner, &["latest"], 20, 2)).await;
    told(&store, &Delivery { request: 1, ..older }).await;
    let next = pushed(&owner, &["latest"], 30, 2);
    told(&store, &next).await;
    told(&store, &Delivery { request: 1, ..next }).await;
    harness.advance(UNSURE).await;
    assert_eq!(store.claim_news(&pushed(&owner, &["latest"], 40, 2), sample::moment()).await, Ok(News::Known));
}

/// A tag that nobody pushes takes no room for ever, and nothing is kept of a webhook that is gone.
pub async fn what_was_told_is_forgotten_in_time_and_with_its_webhook(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let owner = webhook(&store, 1).await;
    told(&store, &pushed(&owner, &["latest"], 10, 1)).await;
    harness.advance(TOLD_KEPT.saturating_sub(Duration::from_secs(1))).await;
    assert_eq!(store.claim_news(&pushed(&owner, &["latest"], 20, 1), sample::moment()).await, Ok(News::Known));
    harness.advance(TOLD_KEPT).await;
    told(&store, &pushed(&owner, &["latest"], 30, 1)).await;
    assert_eq!(other.remove_webhook(&owner.id).await, Ok(true));
    store.keep_told(&pushed(&owner, &["latest"], 40, 1), sample::moment()).await.expect("an answer");
    let owner = webhook(&store, 1).await;
    assert_eq!(store.claim_news(&pushed(&owner, &["latest"], 50, 1), sample::moment()).await, Ok(News::New));
}
