//! The writer of the embedded adapter: commits in groups, a disk that fails, what expires.

use std::fs::OpenOptions;
use std::num::NonZeroU16;
use std::sync::Arc;

use dockbell_backends::bus::{Bus as _, PublishError, Queue};
use dockbell_backends::embedded::EmbeddedLimits;
use dockbell_backends::store::{PageRequest, Store as _};
use dockbell_testkit::wait::DEADLINE;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::harness::{open, outgoing};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_arrive_together_share_a_commit() {
    const WRITES: u32 = 2_000;
    let folder = TempDir::new().unwrap();
    let store = Arc::new(open(folder.path(), EmbeddedLimits::default()));
    let before = store.stats();
    let mut publishers = JoinSet::new();
    for number in 0..WRITES {
        let store = Arc::clone(&store);
        publishers.spawn(async move {
            store.publish(Queue::Events, outgoing(&format!("m{number}"), vec![0; 100])).await.unwrap();
        });
    }
    publishers.join_all().await;
    let after = store.stats();
    assert_eq!(after.writes - before.writes, u64::from(WRITES));
    let commits = after.commits - before.commits;
    assert!(commits < u64::from(WRITES) / 4, "{commits} commits");
    assert_eq!(store.depth(Queue::Events).await.unwrap().messages, u64::from(WRITES));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_disk_breaks_the_store_and_says_so() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path(), EmbeddedLimits::default());
    for number in 0..50 {
        store.publish(Queue::Events, outgoing(&format!("m{number}"), vec![0; 8_000])).await.unwrap();
    }
    // The log vanishes under the store, so that reading from it fails as on a disk that went away.
    OpenOptions::new().write(true).open(folder.path().join("dockbell.db-wal")).unwrap().set_len(0).unwrap();
    let mut consumer = store.consume(Queue::Events, NonZeroU16::MAX).await.unwrap();
    let reason = tokio::select! {
        reason = tokio::time::timeout(DEADLINE, store.broken()) => reason.unwrap(),
        () = async { while consumer.next().await.is_some() {} } => panic!("the consumer ended"),
    };
    let refused = store.publish(Queue::Events, outgoing("late", vec![])).await;
    let Err(PublishError::Unavailable(message)) = refused else { panic!("{refused:?}") };
    assert!(message.contains(&reason), "{message}");
    assert!(store.webhooks(&PageRequest::default()).await.is_err());
    assert!(store.depth(Queue::Events).await.is_err());
    assert!(store.dead_letters(0, 1).await.is_err());
    tokio::time::timeout(DEADLINE, store.close()).await.unwrap();
    assert!(consumer.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_caller_went_away_is_announced_all_the_same() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path(), EmbeddedLimits::default());
    let mut consumer = store.consume(Queue::Events, NonZeroU16::MIN).await.unwrap();
    // Polled once, so that the message is with the writer, and dropped.
    tokio::select! {
        biased;
        published = store.publish(Queue::Events, outgoing("a", vec![])) => published.unwrap(),
        () = std::future::ready(()) => {}
    }
    let received = tokio::time::timeout(DEADLINE, consumer.next()).await.unwrap().unwrap();
    assert_eq!(received.id, "a");
}
