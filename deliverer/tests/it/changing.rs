//! Webhooks that change while deliveries are on their way.

use std::cell::Cell;
use std::time::Duration;

use dockbell_backends::store::Store as _;
use dockbell_proto::batch::Batch;
use dockbell_proto::outcome::DeliveryState;
use dockbell_proto::secret::Secret;
use dockbell_proto::webhook::{Format, Webhook, WebhookPatch};
use dockbell_testkit::{sample, wait};
use tokio::time::Instant;

use super::harness::House;

/// Longer than a notice takes on a slow machine, and much shorter than an entry of the cache is believed without.
const NOTICED: Duration = Duration::from_secs(20);

async fn patch(house: &House, webhook: &Webhook, patch: WebhookPatch) {
    assert!(house.embedded.patch_webhook(&webhook.id, &patch, house.clock.now()).await.unwrap().is_some());
}

fn nth(number: usize) -> Batch {
    sample::batch(&format!("e{number}"), "team/app", &["1"])
}

/// Publishes one batch after another until a request to `path` arrives, which must be soon.
async fn publish_until(house: &House, path: &str) {
    let (began, number) = (Instant::now(), Cell::new(100));
    let arrived = async || {
        number.set(number.get() + 1);
        house.publish(&nth(number.get())).await;
        house.receiver.requests().iter().any(|request| request.path_and_query == path).then_some(())
    };
    wait::until(&format!("a request to {path}"), arrived).await;
    assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_waiting_delivery_of_a_removed_webhook_is_dropped_and_of_a_disabled_one_skipped() {
    let house = House::open().await;
    let removed = house.webhook(1, Format::Dockerhub, "/removed").await;
    let disabled = house.webhook(2, Format::Dockerhub, "/disabled").await;
    let kept = house.webhook(3, Format::Dockerhub, "/kept").await;
    assert!(house.embedded.remove_webhook(&removed.id).await.unwrap());
    patch(&house, &disabled, WebhookPatch { enabled: Some(false), ..WebhookPatch::default() }).await;
    let running = house.run();
    for webhook in [&removed, &disabled, &kept] {
        house.publish_waiting(&sample::delivery(&webhook.id, &nth(0))).await;
    }
    house.wait_until_idle().await;
    let requests = house.receiver.requests();
    assert_eq!(requests.iter().map(|request| request.path_and_query.as_str()).collect::<Vec<_>>(), ["/kept"]);
    assert_eq!(house.dead_letters().await, []);
    let record = house.history(&sample::delivery(&disabled.id, &nth(0)).id).await;
    assert_eq!(record.state, DeliveryState::Skipped);
    let health = house.health(&disabled).await;
    assert_eq!((health.consecutive_failures, health.skipped), (0, 1));
    running.stop().await;
}

#[tokio::test]
async fn a_batch_rings_no_disabled_webhook_and_none_of_another_repository() {
    let house = House::open().await;
    let disabled = house.webhook(1, Format::Batch, "/disabled").await;
    patch(&house, &disabled, WebhookPatch { enabled: Some(false), ..WebhookPatch::default() }).await;
    for (number, pattern) in [(2, "team/*"), (3, "*"), (4, "team/other"), (5, "other/*")] {
        let webhook = sample::webhook(number, pattern, Format::Batch, &house.receiver.url(&format!("/{number}")));
        house.embedded.put_webhook(&webhook).await.unwrap();
    }
    let running = house.run();
    house.publish(&nth(0)).await;
    house.wait_until_idle().await;
    let requests = house.receiver.requests();
    let mut paths: Vec<_> = requests.iter().map(|request| request.path_and_query.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/2", "/3"]);
    running.stop().await;
}

#[tokio::test]
async fn a_change_of_a_webhook_takes_effect_at_once() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Batch, "/old").await;
    let running = house.run();
    house.publish(&nth(0)).await;
    house.wait_until_idle().await;
    patch(
        &house,
        &webhook,
        WebhookPatch { url: Some(Secret::new(house.receiver.url("/new"))), ..WebhookPatch::default() },
    )
    .await;
    publish_until(&house, "/new").await;
    running.stop().await;
}

#[tokio::test]
async fn a_retry_goes_where_the_webhook_points_now() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/old").await;
    let running = house.run();
    house.publish_waiting(&sample::delivery(&webhook.id, &nth(0))).await;
    house.wait_until_idle().await;
    patch(
        &house,
        &webhook,
        WebhookPatch { url: Some(Secret::new(house.receiver.url("/new"))), ..WebhookPatch::default() },
    )
    .await;
    let (began, number) = (Instant::now(), Cell::new(0));
    let arrived = async || {
        number.set(number.get() + 1);
        house.publish_waiting(&sample::delivery(&webhook.id, &nth(number.get()))).await;
        house.receiver.requests().iter().any(|request| request.path_and_query == "/new").then_some(())
    };
    wait::until("a request to /new", arrived).await;
    assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
    running.stop().await;
}

#[tokio::test]
async fn a_new_webhook_rings_although_its_repository_was_known_to_have_none() {
    let house = House::open().await;
    let running = house.run();
    house.publish(&nth(0)).await;
    house.wait_until_idle().await;
    house.webhook(1, Format::Batch, "/new").await;
    publish_until(&house, "/new").await;
    running.stop().await;
}
