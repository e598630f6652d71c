//! What arrives at a receiver.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::store::Store as _;
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::outcome::DeliveryState;
use dockbell_proto::secret::Secret;
use dockbell_proto::signature::Signed;
use dockbell_proto::webhook::{Format, Webhook};
use dockbell_testkit::clock::ManualClock;
use dockbell_testkit::receiver::{Answer, Recorded};
use dockbell_testkit::sample;
use jiff::Timestamp;
use serde_json::Value;

use super::harness::{House, header};

fn body(request: &Recorded) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// Verifies a request as its receiver would.
fn verify(webhook: &Webhook, request: &Recorded, now: Timestamp) {
    let signed = Signed {
        id: header(request, "webhook-id"),
        timestamp: header(request, "webhook-timestamp"),
        signature: header(request, "webhook-signature"),
        body: &request.body,
    };
    webhook.proofs.secret.current.verify(&signed, now).unwrap();
    let other = sample::webhook(99, "*", Format::Batch, "http://h/");
    assert!(other.proofs.secret.current.verify(&signed, now).is_err());
}

#[tokio::test]
async fn a_batch_goes_to_each_webhook_in_its_format_signed() {
    let house = House::open().await;
    let webhooks = [
        house.webhook(1, Format::Dockerhub, "/dockerhub").await,
        house.webhook(2, Format::Alin, "/alin").await,
        house.webhook(3, Format::Batch, "/batch").await,
    ];
    let running = house.run();
    house.publish(&sample::batch("e", "team/app", &["1", "2"])).await;
    house.wait_until_idle().await;
    let requests = house.receiver.requests();
    let to =
        |path: &str| -> Vec<&Recorded> { requests.iter().filter(|request| request.path_and_query == path).collect() };

    for (webhook, path, count) in
        [(&webhooks[0], "/dockerhub", 2), (&webhooks[1], "/alin", 2), (&webhooks[2], "/batch", 1)]
    {
        assert_eq!(to(path).len(), count, "{path}");
        for request in to(path) {
            assert_eq!((request.method.as_str(), header(request, "content-type")), ("POST", "application/json"));
            assert_eq!(header(request, "content-length"), request.body.len().to_string());
            verify(webhook, request, SystemClock.now());
        }
    }
    let mut tags: Vec<_> =
        to("/dockerhub").into_iter().map(|request| body(request)["push_data"]["tag"].clone()).collect();
    tags.sort_by_key(ToString::to_string);
    assert_eq!(tags, ["1", "2"]);
    assert_eq!(body(to("/batch")[0])["changes"].as_array().unwrap().len(), 2);
    let mut ids: Vec<_> = requests.iter().map(|request| header(request, "webhook-id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "every delivery has an id of its own");
    running.stop().await;
}

#[tokio::test]
async fn alin_has_exactly_its_headers() {
    let house = House::open().await;
    house.webhook(1, Format::Alin, "/").await;
    let running = house.run();
    house.publish(&sample::batch("e", "team/app", &["1.0"])).await;
    let request = house.receiver.wait_for(1).await.remove(0);
    let mut headers: BTreeMap<_, _> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        assert!(headers.remove(name).is_some(), "{name}");
    }
    let (host, length) = (house.receiver.addr().to_string(), request.body.len().to_string());
    let expected = BTreeMap::from([
        ("accept", "*/*"),
        ("accept-encoding", "gzip, deflate"),
        ("connection", "keep-alive"),
        ("content-length", &length),
        ("content-type", "application/json"),
        ("host", &host),
        ("user-agent", "WebHook Handler"),
        ("x-alin-webhook", "team/app:1.0"),
    ]);
    assert_eq!(headers, expected);
    running.stop().await;
}

#[tokio::test]
async fn the_owners_query_and_headers_arrive() {
    let house = House::open().await;
    let mut webhook = sample::webhook(1, "team/*", Format::Batch, &house.receiver.url("/a?token=x%2Fy&empty="));
    webhook.headers = BTreeMap::from([
        ("authorization".to_owned(), Secret::new("Bearer canary")),
        ("x-team".to_owned(), Secret::new("a b")),
    ]);
    house.embedded.put_webhook(&webhook).await.unwrap();
    let running = house.run();
    house.publish(&sample::batch("e", "team/app", &["1"])).await;
    let request = house.receiver.wait_for(1).await.remove(0);
    assert_eq!(request.path_and_query, "/a?token=x%2Fy&empty=");
    assert_eq!((header(&request, "authorization"), header(&request, "x-team")), ("Bearer canary", "a b"));
    running.stop().await;
}

#[tokio::test]
async fn every_attempt_has_the_same_body_and_id_and_a_signature_of_its_own_time() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let house = House::open_at(clock.clone()).await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::Status(500), Answer::Status(503)]);
    let running = house.run();
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    for made in 1..3 {
        house.receiver.wait_for(made).await;
        let delivery = sample::delivery(&webhook.id, &batch);
        let recorded = async || {
            house.embedded.delivery(&delivery.id).await.unwrap().filter(|record| record.attempts.len() == made)
        };
        dockbell_testkit::wait::until("the record of the attempt", recorded).await;
        clock.advance(Duration::from_secs(2));
    }
    let requests = house.receiver.wait_for(3).await;
    let timestamps: Vec<i64> =
        requests.iter().map(|request| header(request, "webhook-timestamp").parse().unwrap()).collect();
    assert_eq!(timestamps, [timestamps[0], timestamps[0] + 2, timestamps[0] + 4]);
    for request in &requests {
        verify(&webhook, request, clock.now());
        assert_eq!(
            (&request.body, header(request, "webhook-id")),
            (&requests[0].body, header(&requests[0], "webhook-id"))
        );
    }
    running.stop().await;
}

#[tokio::test]
async fn a_delivery_is_recorded_and_its_batch_settled() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::StatusWithBody(201, "thanks".to_owned())]);
    let running = house.run();
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.wait_until_idle().await;
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert_eq!((record.state, record.attempts.len()), (DeliveryState::Delivered, 1));
    assert_eq!(record.attempts[0].excerpt.as_deref(), Some("thanks"));
    assert!(house.health(&webhook).await.succeeded_at.is_some());
    running.stop().await;
}

#[tokio::test]
async fn a_repository_is_first_seen_once_whatever_restarts() {
    let mut house = House::open().await;
    house.webhook(1, Format::Dockerhub, "/").await;
    let mut batch = sample::batch("e1", "team/app", &["1"]);
    let running = house.run();
    house.publish(&batch).await;
    house.wait_until_idle().await;
    running.stop().await;
    house.reopen().await;

    batch = sample::batch("e2", "team/app", &["1"]);
    batch.opened_at += Duration::from_hours(1);
    let running = house.run();
    house.publish(&batch).await;
    let requests = house.receiver.wait_for(2).await;
    for request in &requests {
        assert_eq!(body(request)["repository"]["date_created"], sample::moment().as_second());
    }
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_becomes_a_dead_letter_and_harms_no_neighbour() {
    use dockbell_backends::bus::{Bus as _, Outgoing, Queue};
    use dockbell_proto::message::Message;

    let house = House::open().await;
    house.webhook(1, Format::Batch, "/").await;
    let batch = sample::batch("e", "team/app", &["1"]);
    let message = Outgoing::carrying(&Message::Batch(batch.clone()));
    for body in ["{", r#"{"schema": "dockbell.batch/99"}"#] {
        house.embedded.publish(Queue::Deliveries, Outgoing { body: body.into(), ..message.clone() }).await.unwrap();
    }
    house.publish(&batch).await;
    let running = house.run();
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 1);
    let letters = house.dead_letters().await;
    assert_eq!(letters.len(), 2);
    assert!(
        letters.iter().all(|letter| letter.reason.contains("not a message that this version reads")),
        "{letters:?}"
    );
    running.stop().await;
}
