//! The data folder of the embedded adapter.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dockbell_backends::bus::{Bus as _, BusError, PublishError, Queue};
use dockbell_backends::embedded::{Embedded, EmbeddedLimits, OpenError};
use dockbell_backends::store::marks::{Decision, LetterId};
use dockbell_backends::store::{Health, HistoryQuery, PageRequest, Store as _};
use dockbell_proto::ids::DeliveryId;
use dockbell_proto::policy::PolicyPatch;
use dockbell_proto::webhook::Format;
use dockbell_testkit::sample;
use dockbell_testkit::wait::until;
use tempfile::TempDir;

use crate::harness::{clock, open, outgoing};

const ONE: std::num::NonZeroU16 = std::num::NonZeroU16::MIN;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_folder_is_made_for_its_owner_alone() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("a/b");
    let store = open(&folder, EmbeddedLimits::default());
    store.put_webhook(&sample::webhook(1, "*", Format::Batch, "https://receiver.test/")).await.unwrap();
    assert_eq!(mode(&folder), 0o700);
    for name in ["dockbell.db", "dockbell.db-wal", "dockbell.db-shm", "dockbell.lock"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_second_opening_is_refused_and_names_the_folder() {
    let folder = TempDir::new().unwrap();
    let first = open(folder.path(), EmbeddedLimits::default());
    let error = Embedded::open(folder.path(), clock(), EmbeddedLimits::default()).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error:?}");
    let message = error.to_string();
    assert!(message.contains(folder.path().to_str().unwrap()), "{message}");
    assert!(message.contains("in use by another dockbell process"), "{message}");
    first.close().await;
    open(folder.path(), EmbeddedLimits::default());
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_untouched() {
    let folder = TempDir::new().unwrap();
    open(folder.path(), EmbeddedLimits::default()).close().await;
    let path = folder.path().join("dockbell.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();
    let error = Embedded::open(folder.path(), clock(), EmbeddedLimits::default()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error:?}");
    assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_of_an_older_version_is_brought_to_this_one_with_what_it_holds() {
    let folder = TempDir::new().unwrap();
    let file = rusqlite::Connection::open(folder.path().join("dockbell.db")).unwrap();
    file.execute_batch(include_str!("../../src/embedded/schema-1.sql")).unwrap();
    let webhook = sample::webhook(1, "team/app", Format::Batch, "https://receiver.test/").id;
    let held = format!(
        "INSERT INTO messages VALUES (1, 2, 9, 0, 'held', '[]', x'');
         INSERT INTO webhooks VALUES ('{webhook}', '', '*', NULL, '', 'batch', '{{}}', '', 1, 0, 0);
         INSERT INTO newest VALUES ('{webhook}', 'hub.test', 'team/app', '1', 'either', {});",
        i64::MAX
    );
    file.execute_batch(&held).unwrap();
    file.pragma_update(None, "user_version", 1).unwrap();
    drop(file);
    for _ in 0..2 {
        let store = open(folder.path(), EmbeddedLimits::default());
        assert_eq!(store.depth(Queue::Deliveries).await.unwrap().messages, 1);
        let content = sample::batch("e", "team/app", &["1"]);
        let tags = [content.changes[0].tag.clone()];
        let newest = store.newest(&webhook, (&content.registry, &content.repository), &tags).await.unwrap();
        assert_eq!(newest, [None]);
        let letter = LetterId { position: 1, at: sample::moment() };
        store.mark_dead(&[letter], Decision::Discarded).await.unwrap();
        assert!(store.dead_marks(&[letter]).await.unwrap()[0].is_some());
        store.close().await;
    }
    let file = rusqlite::Connection::open(folder.path().join("dockbell.db")).unwrap();
    assert_eq!(file.query_row("SELECT count(*) FROM webhooks", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    assert_eq!(file.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap(), 11);
}

#[tokio::test]
async fn a_file_of_version_2_keeps_its_failures_and_what_waits() {
    let folder = TempDir::new().unwrap();
    let file = rusqlite::Connection::open(folder.path().join("dockbell.db")).unwrap();
    file.execute_batch(include_str!("../../src/embedded/schema-1.sql")).unwrap();
    file.execute_batch(include_str!("../../src/embedded/schema-2.sql")).unwrap();
    let webhook = sample::webhook(1, "team/app", Format::Batch, "https://receiver.test/");
    let content = sample::batch("e", "team/app", &["1"]);
    let (one, two) = (DeliveryId::from_random([1; 16]), DeliveryId::from_random([2; 16]));
    let (id, secret, json) =
        (&webhook.id, webhook.proofs.secret.current.expose(), serde_json::to_string(&content).unwrap());
    let at = sample::moment().as_microsecond();
    let held = format!(
        "INSERT INTO webhooks VALUES ('{id}', 'n', 'team/app', NULL, 'https://receiver.test/', 'batch', '{{}}', '{secret}', 1, {at}, {at});
         INSERT INTO health VALUES ('{id}', 2, {at}, NULL);
         INSERT INTO deliveries VALUES ('{one}', '{id}', 0, 'retrying', {at}, {at}, {at}, 0, 1, NULL, '{json}'),
             ('{two}', '{id}', 0, 'delivered', {at}, {at}, NULL, 0, 1, NULL, '{json}');"
    );
    file.execute_batch(&held).unwrap();
    file.pragma_update(None, "user_version", 2).unwrap();
    drop(file);
    for _ in 0..2 {
        let store = open(folder.path(), EmbeddedLimits::default());
        let moment = Some(sample::moment());
        let failed = Health { consecutive_failures: 2, failing_since: moment, failed_at: moment, ..Health::default() };
        assert_eq!(store.health(id).await, Ok(Health { waiting: 1, ..failed }));
        let found = store.webhook(id).await.unwrap().unwrap();
        assert_eq!((found.disabled_reason, found.policy), (None, PolicyPatch::default()));
        assert_eq!(found.proofs, webhook.proofs, "it signs as it did");
        assert_eq!(found.options, webhook.options, "it has none");
        assert_eq!((found.filter, found.after), (webhook.filter.clone(), None), "it is told of everything");
        let query = HistoryQuery { page: PageRequest { after: None, limit: 10 }, ..HistoryQuery::default() };
        let history = store.history(&query).await.unwrap().items;
        assert_eq!(history.len(), 2);
        assert!(history.iter().all(|shown| shown.delivery.first_at.is_none() && shown.parked_because.is_none()));
        store.close().await;
    }
    let file = rusqlite::Connection::open(folder.path().join("dockbell.db")).unwrap();
    assert_eq!(file.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap(), 11);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("dockbell.db"), "no database ".repeat(1000)).unwrap();
    let error = Embedded::open(folder.path(), clock(), EmbeddedLimits::default()).unwrap_err();
    assert!(matches!(error, OpenError::Unusable { .. }), "{error:?}");
}

#[tokio::test]
async fn closing_folds_the_log_into_the_file_and_ends_everything() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path(), EmbeddedLimits::default());
    for id in ["a", "b"] {
        store.publish(Queue::Events, outgoing(id, vec![])).await.unwrap();
    }
    let mut consumer = store.consume(Queue::Events, ONE).await.unwrap();
    let mut idle = store.consume(Queue::Deliveries, ONE).await.unwrap();
    let mut changes = store.changes();
    let held = consumer.next().await.unwrap();
    let (ended, ()) = tokio::join!(idle.next(), store.close());
    assert!(ended.is_none());
    assert!(consumer.next().await.is_none());
    assert!(changes.next().await.is_none());
    assert!(store.changes().next().await.is_none());
    assert_eq!(held.receipt.ack().await, Err(BusError::Stale));
    let refused = store.publish(Queue::Events, outgoing("c", vec![])).await;
    assert!(matches!(refused, Err(PublishError::Unavailable(_))), "{refused:?}");
    assert!(store.consume(Queue::Events, ONE).await.is_err());
    assert!(store.depth(Queue::Events).await.is_err());
    assert!(store.webhooks(&PageRequest::default()).await.is_err());
    let log = fs::metadata(folder.path().join("dockbell.db-wal")).map_or(0, |file| file.len());
    assert_eq!(log, 0);
    assert_eq!(open(folder.path(), EmbeddedLimits::default()).depth(Queue::Events).await.unwrap().messages, 2);
}

#[tokio::test]
async fn a_store_that_is_dropped_keeps_what_it_had_and_gives_the_folder_free() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path(), EmbeddedLimits::default());
    for id in ["acked", "held", "ready"] {
        store.publish(Queue::Events, outgoing(id, vec![])).await.unwrap();
    }
    let mut consumer = store.consume(Queue::Events, ONE).await.unwrap();
    consumer.next().await.unwrap().receipt.ack().await.unwrap();
    let held = consumer.next().await.unwrap();
    drop(store);
    // Neither a receipt nor a consumer that someone still holds keeps the folder from its next owner.
    let store =
        until("a free folder", || async { Embedded::open(folder.path(), clock(), EmbeddedLimits::default()).ok() })
            .await;
    assert!(consumer.next().await.is_none());
    assert_eq!(held.receipt.requeue().await, Err(BusError::Stale));
    store.publish(Queue::Events, outgoing("new", vec![])).await.unwrap();
    let mut consumer = store.consume(Queue::Events, ONE).await.unwrap();
    for (id, maybe_repeated) in [("held", true), ("ready", true), ("new", false)] {
        let received = consumer.next().await.unwrap();
        assert_eq!((received.id.as_str(), received.maybe_repeated), (id, maybe_repeated));
        received.receipt.ack().await.unwrap();
    }
}
