//! What receivers report of deliveries that they took.

use std::slice;
use std::time::Duration;

use dockbell_backends::store::CALLBACKS_PER_WEBHOOK;
use dockbell_proto::callback::{Callback, CallbackId, CallbackState, Report};
use dockbell_proto::ids::{DeliveryId, EventId, WebhookId};

use super::{StoreHarness, delivery, webhook};

const KEPT: Duration = Duration::from_hours(24);

fn reported(harness: &dyn StoreHarness, webhook: &WebhookId, of: &DeliveryId, state: CallbackState) -> Callback {
    let report = Report { state, description: Some("done".to_owned()), context: None, target_url: None };
    let id = CallbackId { delivery: of.clone(), request: 0 };
    Callback { id, webhook: webhook.clone(), report, at: harness.now(), until: harness.now() + KEPT }
}

/// Nobody knows which of two reports is right, so the receiver is held to its first. It may be made before the attempt is
/// recorded, and by way of whichever process.
pub async fn the_first_callback_stands_and_every_process_sees_it(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let webhook = webhook(&store, 1).await;
    let delivery = delivery(&webhook, "a", "1");
    let first = reported(harness, &webhook.id, &delivery.id, CallbackState::Success);
    assert_eq!(store.keep_callback(&first).await, Ok(first.clone()));
    harness.advance(Duration::from_secs(1)).await;
    let second = reported(harness, &webhook.id, &delivery.id, CallbackState::Failure);
    assert_eq!(other.keep_callback(&second).await, Ok(first.clone()));
    assert_eq!(other.keep_callback(&first).await, Ok(first.clone()));
    let again = Callback { id: CallbackId { request: 1, ..first.id.clone() }, ..second };
    assert_eq!(other.keep_callback(&again).await, Ok(again.clone()));
    let unknown = CallbackId { request: 2, ..first.id.clone() };
    let asked = [unknown, again.id.clone(), first.id.clone()];
    assert_eq!(store.callbacks(&asked).await, Ok(vec![None, Some(again), Some(first)]));
    assert_eq!(store.callbacks(&[]).await, Ok(Vec::new()));
}

/// They go with their webhook, and nothing is kept of one that is gone.
pub async fn callbacks_go_with_their_webhook(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let made = webhook(&store, 1).await;
    let delivery = delivery(&made, "a", "1");
    let callback = reported(harness, &made.id, &delivery.id, CallbackState::Success);
    store.keep_callback(&callback).await.expect("a callback");
    assert_eq!(other.remove_webhook(&made.id).await, Ok(true));
    other.keep_callback(&callback).await.expect("an answer");
    assert_eq!(store.callbacks(slice::from_ref(&callback.id)).await, Ok(vec![None]));
    webhook(&store, 1).await;
    assert_eq!(store.callbacks(&[callback.id]).await, Ok(vec![None]));
}

/// An expired one leaves its place to another.
pub async fn a_callback_expires(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let webhook = webhook(&store, 1).await;
    let delivery = delivery(&webhook, "a", "1");
    let callback = reported(harness, &webhook.id, &delivery.id, CallbackState::Success);
    store.keep_callback(&callback).await.expect("a callback");
    harness.advance(KEPT.saturating_sub(Duration::from_secs(1))).await;
    assert_eq!(store.callbacks(slice::from_ref(&callback.id)).await, Ok(vec![Some(callback.clone())]));
    harness.advance(Duration::from_secs(1)).await;
    assert_eq!(store.callbacks(slice::from_ref(&callback.id)).await, Ok(vec![None]));
    let later = reported(harness, &webhook.id, &delivery.id, CallbackState::Error);
    assert_eq!(store.keep_callback(&later).await, Ok(later.clone()));
}

/// A receiver that knows its secret can report of deliveries that never were. Those that were reported first go first,
/// however long they would stay.
pub async fn no_more_callbacks_of_a_webhook_are_kept_than_may(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let (busy, other) = (webhook(&store, 1).await, webhook(&store, 2).await);
    let id = |number: u32| {
        let event = EventId::derived(&[&number.to_string()]);
        DeliveryId::derive(&busy.id, ("hub.test", "team/app"), "1", [&event])
    };
    let of_other = reported(harness, &other.id, &delivery(&other, "a", "1").id, CallbackState::Success);
    store.keep_callback(&of_other).await.expect("a callback");
    let keep = async |harness: &dyn StoreHarness, numbers: std::ops::Range<u32>| {
        let callback = |number: u32| {
            let callback = reported(harness, &busy.id, &id(number), CallbackState::Success);
            // What is reported last expires first.
            Callback { until: callback.until - Duration::from_micros(number.into()), ..callback }
        };
        let callbacks: Vec<Callback> = numbers.map(callback).collect();
        for some in callbacks.chunks(500) {
            let kept = futures_util::future::join_all(some.iter().map(|callback| store.keep_callback(callback))).await;
            assert!(kept.iter().all(Result::is_ok));
        }
    };
    keep(harness, 0..1).await;
    harness.advance(Duration::from_secs(1)).await;
    keep(harness, 1..CALLBACKS_PER_WEBHOOK).await;
    harness.advance(Duration::from_secs(1)).await;
    keep(harness, CALLBACKS_PER_WEBHOOK..CALLBACKS_PER_WEBHOOK + 1).await;
    let asked = [0, 1, CALLBACKS_PER_WEBHOOK].map(|number| CallbackId { delivery: id(number), request: 0 });
    let found = store.callbacks(&asked).await.expect("callbacks");
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(store.callbacks(slice::from_ref(&of_other.id)).await, Ok(vec![Some(of_other)]));
}
