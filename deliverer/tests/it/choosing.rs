//! What owners choose to be told of: filters, changes alone, and chains.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dockbell_backends::store::{DeliveryRecord, Store as _};
use dockbell_proto::batch::Batch;
use dockbell_proto::callback::{Callback, CallbackId, CallbackState, Report};
use dockbell_proto::chain::After;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::filter::Filter;
use dockbell_proto::names::Digest;
use dockbell_proto::options::{Options, Source};
use dockbell_proto::outcome::{DeliveryState, Verdict};
use dockbell_proto::secret::Secret;
use dockbell_proto::webhook::{Format, Webhook, WebhookPatch};
use dockbell_testkit::receiver::Answer;
use dockbell_testkit::{sample, wait};
use serde_json::json;

use super::harness::{House, Told, header};
use super::watched::Watched;

/// A push of a tag, by its number and its digest.
fn push(number: u8, fill: u32) -> Batch {
    let mut batch = sample::batch(&format!("v{number}"), "team/app", &["1"]);
    batch.changes[0].digest = Some(Digest::parse(&sample::digest(fill)).unwrap());
    batch
}

/// The same, just closed.
fn fresh(house: &House, number: u8) -> Batch {
    Batch { closed_at: house.clock.now(), ..push(number, 1) }
}

impl House {
    async fn set(&self, webhook: Webhook) -> Webhook {
        self.embedded.put_webhook(&webhook).await.unwrap();
        webhook
    }

    async fn told_changes_alone(&self, number: u8) -> Webhook {
        let filter = Filter::default().changed(json!({ "only_changed": true }).as_object().unwrap()).unwrap();
        self.set(Webhook { filter, ..self.webhook(number, Format::Dockerhub, "/").await }).await
    }

    async fn push_and_settle(&self, batch: &Batch) {
        self.publish(batch).await;
        self.wait_until_idle().await;
    }

    /// The first of a chain and the second, which waits for it.
    async fn chain(&self, within: Duration) -> (Webhook, Webhook) {
        let first = self.webhook(1, Format::Dockerhub, "/first").await;
        let after = Some(After { webhook: first.id.clone(), within });
        let second = self.webhook(2, Format::Batch, "/second").await;
        (first, self.set(Webhook { after, ..second }).await)
    }

    async fn report(&self, webhook: &Webhook, delivery: &Delivery, state: CallbackState) {
        let report = Report { state, description: None, context: None, target_url: None };
        let id = CallbackId { delivery: delivery.id.clone(), request: 0 };
        let (at, until) = (self.clock.now(), self.clock.now() + Duration::from_hours(1));
        self.embedded.keep_callback(&Callback { id, webhook: webhook.id.clone(), report, at, until }).await.unwrap();
    }

    /// What is owed to a webhook of whole batches.
    async fn owed_to(&self, webhook: &Webhook, batch: &Batch) -> DeliveryRecord {
        let routed = dockbell_deliverer::route::route(&Arc::new(batch.clone()), &[Arc::new(webhook.clone())]);
        self.history(&routed[0].1.id).await
    }

    fn sent_to(&self, path: &str) -> usize {
        self.receiver.requests().iter().filter(|request| request.path_and_query == path).count()
    }
}

#[tokio::test]
async fn a_push_of_a_known_digest_is_not_told_to_who_wants_changes_alone() {
    let house = House::open().await;
    let (webhook, other) = (house.told_changes_alone(1).await, house.webhook(2, Format::Dockerhub, "/all").await);
    let running = house.run();
    for (number, fill) in [(1, 1), (2, 1), (3, 2), (4, 1), (5, 1)] {
        house.push_and_settle(&push(number, fill)).await;
    }
    assert_eq!((house.sent_to("/"), house.sent_to("/all")), (3, 5));
    for (number, state) in [(2, DeliveryState::Unchanged), (4, DeliveryState::Delivered), (5, DeliveryState::Unchanged)]
    {
        let record = house.history(&sample::delivery(&webhook.id, &push(number, 1)).id).await;
        assert_eq!(record.state, state, "{number}");
    }
    let health = house.health(&webhook).await;
    assert_eq!((health.consecutive_failures, health.skipped, health.waiting), (0, 0, 0));
    assert_eq!(house.health(&other).await.skipped, 0);
    running.stop().await;
}

/// The retry of the second would take the receiver to what the third has gone back from.
#[tokio::test]
async fn a_push_back_to_what_is_known_is_told_while_another_is_under_way() {
    let house = House::open().await;
    let webhook = house.told_changes_alone(1).await;
    let running = house.run_as(Told { pauses: vec![Duration::from_secs(2)], ..Told::default() });
    house.push_and_settle(&push(1, 1)).await;
    house.receiver.answer_with(vec![Answer::Status(500)]);
    house.publish(&push(2, 2)).await;
    let second = sample::delivery(&webhook.id, &push(2, 2));
    house.history(&second.id).await;
    house.publish(&push(3, 1)).await;
    house.wait_until_idle().await;
    let third = house.history(&sample::delivery(&webhook.id, &push(3, 1)).id).await;
    assert_eq!(third.state, DeliveryState::Delivered);
    assert_eq!(house.history(&second.id).await.state, DeliveryState::Superseded);
    running.stop().await;
}

/// Sent without a note of it, it would leave the store believing that the receiver has the digest of before.
#[tokio::test]
async fn without_an_answer_a_push_waits_for_one() {
    let house = House::open().await;
    let webhook = house.told_changes_alone(1).await;
    let store = Watched::new(&house.embedded);
    let running = house.run_on(store.clone(), Told::default());
    house.push_and_settle(&push(1, 1)).await;
    store.knows_told.store(false, Ordering::SeqCst);
    house.publish(&push(2, 2)).await;
    let second = sample::delivery(&webhook.id, &push(2, 2)).id;
    assert_eq!(house.history(&second).await.state, DeliveryState::Parked);
    store.knows_told.store(true, Ordering::SeqCst);
    house.wait_until_idle().await;
    house.push_and_settle(&push(3, 1)).await;
    assert_eq!(house.sent_to("/"), 3);
    running.stop().await;
}

/// Perhaps it has another receiver now.
#[tokio::test]
async fn a_webhook_that_was_changed_is_told_what_it_was_told_before() {
    let house = House::open().await;
    let webhook = house.told_changes_alone(1).await;
    let running = house.run();
    house.push_and_settle(&push(1, 1)).await;
    let patch = WebhookPatch { url: Some(Secret::new(house.receiver.url("/other"))), ..WebhookPatch::default() };
    house.embedded.patch_webhook(&webhook.id, &patch, house.clock.now()).await.unwrap();
    let is_noticed = async || {
        house.push_and_settle(&push(2, 1)).await;
        (house.sent_to("/other") == 1).then_some(())
    };
    wait::until("the other receiver to be told", is_noticed).await;
    running.stop().await;
}

#[tokio::test]
async fn a_chained_webhook_is_told_once_the_receiver_of_the_other_reports_success() {
    let house = House::open().await;
    let (first, second) = house.chain(Duration::from_hours(1)).await;
    let running = house.run();
    let batch = fresh(&house, 1);
    house.publish(&batch).await;
    house.receiver.wait_for(1).await;
    let is_parked = async || {
        let record = house.owed_to(&second, &batch).await;
        (record.state == DeliveryState::Parked).then_some(record)
    };
    let waiting = wait::until("the second to wait", is_parked).await;
    let reason = format!("it waits for the receiver of {} to report success", first.id);
    assert_eq!(waiting.parked_because, Some(reason));
    assert_eq!(house.sent_to("/second"), 0);
    house.report(&first, &sample::delivery(&first.id, &batch), CallbackState::Success).await;
    house.wait_until_idle().await;
    assert_eq!((house.sent_to("/first"), house.sent_to("/second")), (1, 1));
    assert_eq!(house.owed_to(&second, &batch).await.state, DeliveryState::Delivered);
    running.stop().await;
}

#[tokio::test]
async fn a_chain_breaks_with_a_reason_and_a_person_may_mend_it() {
    let house = House::open().await;
    let (first, second) = house.chain(Duration::from_secs(1)).await;
    let running = house.run();
    let (failed, unheard) = (fresh(&house, 1), fresh(&house, 2));
    house.report(&first, &sample::delivery(&first.id, &failed), CallbackState::Failure).await;
    house.push_and_settle(&failed).await;
    house.push_and_settle(&unheard).await;
    assert_eq!(house.sent_to("/second"), 0);
    for (batch, end) in [(&failed, "reported failure"), (&unheard, "reported no success within 1s")] {
        let record = house.owed_to(&second, batch).await;
        assert_eq!(record.state, DeliveryState::Dead);
        let Some(Verdict::Dead { reason }) = record.attempts.last().map(|attempt| &attempt.verdict) else { panic!() };
        assert!(reason.ends_with(end), "{reason}");
    }
    assert_eq!(house.dead_letters().await.len(), 2);
    assert_eq!(house.health(&second).await.consecutive_failures, 0, "the second did nothing wrong");
    let asked = house.owed_to(&second, &failed).await.delivery;
    house.publish_waiting(&Delivery { request: 1, ordinal: 1, ..asked }).await;
    house.wait_until_idle().await;
    assert_eq!(house.sent_to("/second"), 1);
    running.stop().await;
}

/// Tests may take longer than it takes until the next push.
#[tokio::test]
async fn what_waits_for_a_report_takes_nobodys_place_until_it_is_sent() {
    let house = House::open().await;
    let (first, second) = house.chain(Duration::from_hours(1)).await;
    let running = house.run();
    let (older, later) = (fresh(&house, 1), fresh(&house, 2));
    for batch in [&older, &later] {
        house.publish(batch).await;
        house.owed_to(&second, batch).await;
    }
    house.report(&first, &sample::delivery(&first.id, &older), CallbackState::Success).await;
    let of = async |batch: &Batch, state| {
        wait::until("its end", async || (house.owed_to(&second, batch).await.state == state).then_some(())).await;
    };
    of(&older, DeliveryState::Delivered).await;
    house.report(&first, &sample::delivery(&first.id, &later), CallbackState::Failure).await;
    of(&later, DeliveryState::Dead).await;
    // The other way round, what comes too late is superseded, whatever was reported of it.
    let (older, later) = (fresh(&house, 3), fresh(&house, 4));
    for batch in [&older, &later] {
        house.publish(batch).await;
        house.owed_to(&second, batch).await;
    }
    house.report(&first, &sample::delivery(&first.id, &later), CallbackState::Success).await;
    of(&later, DeliveryState::Delivered).await;
    house.report(&first, &sample::delivery(&first.id, &older), CallbackState::Failure).await;
    of(&older, DeliveryState::Superseded).await;
    house.wait_until_idle().await;
    assert_eq!(house.sent_to("/second"), 2);
    running.stop().await;
}

/// Whatever was reported before, and however late the delivery comes.
#[tokio::test]
async fn a_chain_waits_for_a_store_that_does_not_answer_and_counts_from_its_first_look() {
    let house = House::open().await;
    let (first, second) = house.chain(Duration::from_hours(1)).await;
    let store = Watched::new(&house.embedded);
    store.knows_told.store(false, Ordering::SeqCst);
    let running = house.run_on(store.clone(), Told::default());
    // Closed in another year.
    let batch = push(1, 1);
    house.report(&first, &sample::delivery(&first.id, &batch), CallbackState::Success).await;
    house.publish(&batch).await;
    let waiting = house.owed_to(&second, &batch).await;
    assert_eq!(waiting.state, DeliveryState::Parked);
    store.knows_told.store(true, Ordering::SeqCst);
    house.wait_until_idle().await;
    assert_eq!(house.owed_to(&second, &batch).await.state, DeliveryState::Delivered);
    house.publish(&push(2, 1)).await;
    assert_eq!(house.owed_to(&second, &push(2, 1)).await.state, DeliveryState::Parked);
    running.stop().await;
}

/// Once it is taken out of the chain, it is sent at its next look.
#[tokio::test]
async fn what_waits_for_nobody_any_more_is_sent() {
    let house = House::open().await;
    let (_, second) = house.chain(Duration::from_hours(1)).await;
    let running = house.run();
    let batch = fresh(&house, 1);
    house.publish(&batch).await;
    let owed = house.owed_to(&second, &batch).await.delivery.id;
    let patch = WebhookPatch { after: Some(None), ..WebhookPatch::default() };
    house.embedded.patch_webhook(&second.id, &patch, house.clock.now()).await.unwrap();
    house.wait_until_idle().await;
    assert_eq!(house.history(&owed).await.state, DeliveryState::Delivered);
    running.stop().await;
}

#[tokio::test]
async fn templates_and_empty_bodies_reach_their_receivers() {
    let house = House::open().await;
    let source = Source::parse(r#"{"tag": "{{ change.tag }}", "pusher": "{{ change.pusher }}"}"#).unwrap();
    let options = Options { source: Some(source), ..Options::default() };
    let template = house.webhook(1, Format::Template, "/template").await;
    house.set(Webhook { options, ..template }).await;
    house.webhook(2, Format::Empty, "/empty/{repository}/{tag}").await;
    let running = house.run();
    house.push_and_settle(&push(1, 1)).await;
    let requests = house.receiver.requests();
    let sent = |path: &str| requests.iter().find(|request| request.path_and_query.starts_with(path)).unwrap();
    let template = sent("/template");
    assert_eq!(String::from_utf8_lossy(&template.body), r#"{"tag": "1", "pusher": "alice"}"#);
    assert_eq!(header(template, "content-type"), "application/json");
    let empty = sent("/empty");
    assert_eq!((empty.path_and_query.as_str(), empty.body.len()), ("/empty/team%2Fapp/1", 0));
    running.stop().await;
}
