//! What the embedded adapter holds at most: a full disk, dead letters.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::bus::{Bus as _, Consumer, PublishError, Queue};
use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_backends::store::{PageRequest, Store as _};
use dockbell_proto::clock::Clock;
use dockbell_proto::webhook::Format;
use dockbell_testkit::clock::ManualClock;
use dockbell_testkit::sample;
use dockbell_testkit::wait::{DEADLINE, until};
use tempfile::TempDir;

use crate::harness::{clock, open, outgoing};

const MIB: u64 = 1024 * 1024;

async fn fill(store: &Embedded, queue: Queue) -> (u64, PublishError) {
    for number in 0.. {
        if let Err(error) = store.publish(queue, outgoing(&format!("m{number}"), vec![0; 10_000])).await {
            return (number, error);
        }
    }
    unreachable!("a bound that is never reached");
}

async fn take(consumer: &mut Consumer) -> dockbell_backends::bus::Received {
    tokio::time::timeout(DEADLINE, consumer.next()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_publishes_and_nothing_else_and_recovers() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path(), EmbeddedLimits { file_bytes: 2 * MIB, ..EmbeddedLimits::default() });
    let webhook = sample::webhook(1, "*", Format::Batch, "https://receiver.test/");
    store.put_webhook(&webhook).await.unwrap();
    let (published, refusal) = fill(&store, Queue::Events).await;
    assert!(published > 10, "{published}");
    let PublishError::Unavailable(reason) = refusal else { panic!("{refusal}") };
    assert!(reason.contains("full"), "{reason}");
    assert!(store.trouble().borrow().as_ref().is_some_and(|trouble| trouble.contains("full")));
    let depth = store.depth(Queue::Events).await.unwrap();
    assert_eq!(depth.messages, published, "what was refused does not count");
    assert!(store.publish_after(Queue::Events, outgoing("l", vec![0; 20_000]), Duration::ZERO).await.is_err());
    assert_eq!(store.webhooks(&PageRequest { after: None, limit: 1 }).await.unwrap().items, [webhook]);

    // Acks in one group with publishes that do not fit take effect all the same.
    let mut consumer = store.consume(Queue::Events, NonZeroU16::MAX).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..published {
        held.push(take(&mut consumer).await);
    }
    let big = outgoing("big", vec![0; 3_000_000]);
    let rounds = held.into_iter().map(|received| {
        let (store, big) = (&store, big.clone());
        async move {
            let (refused, acked) = tokio::join!(store.publish(Queue::Deliveries, big), received.receipt.ack());
            acked.unwrap();
            assert!(matches!(refused, Err(PublishError::Unavailable(_))), "{refused:?}");
        }
    });
    for round in rounds {
        round.await;
    }
    until("every ack", || async { (store.depth(Queue::Events).await.unwrap().bytes == 0).then_some(()) }).await;
    let (again, _) = fill(&store, Queue::Deliveries).await;
    assert!(again + 2 >= published, "{again} of {published} fit again");
    assert!(store.stats().commits > 0);
    store.publish(Queue::Events, outgoing("fits again", Vec::new())).await.unwrap();
    assert_eq!(*store.trouble().borrow(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ack_that_could_not_be_written_brings_its_message_back() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path(), EmbeddedLimits::default());
    store.publish(Queue::Events, outgoing("a", vec![])).await.unwrap();
    let mut consumer = store.consume(Queue::Events, NonZeroU16::MIN).await.unwrap();
    let received = take(&mut consumer).await;
    // A trigger stands in for a file that refuses one deletion.
    let file = rusqlite::Connection::open(folder.path().join("dockbell.db")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE DELETE ON messages BEGIN SELECT raise(ABORT, 'refused'); END";
    file.execute_batch(refuse).unwrap();
    received.receipt.ack().await.unwrap();
    let again = take(&mut consumer).await;
    assert_eq!(again.id, "a");
    assert!(again.maybe_repeated);
    let dead = again.dead_letter("poison").await;
    assert!(dead.is_err(), "a dead letter is awaited until it is durable");
    assert!(store.dead_letters(0, 1).await.unwrap().is_empty());
    let again = take(&mut consumer).await;
    file.execute_batch("DROP TRIGGER refuse").unwrap();
    again.receipt.ack().await.unwrap();
    until("an empty queue", || async { (store.depth(Queue::Events).await.unwrap().messages == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_dead_letters_go_when_there_are_too_many_bytes() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path(), EmbeddedLimits { dead_bytes: 50_000, ..EmbeddedLimits::default() });
    for number in 0..12 {
        store.bury(Queue::Events, outgoing(&format!("m{number}"), vec![0; 9_900]), "gone".to_owned()).await.unwrap();
    }
    let ids = |letters: Vec<dockbell_backends::bus::DeadLetter>| -> Vec<String> {
        letters.into_iter().map(|letter| letter.id).collect()
    };
    assert_eq!(ids(store.dead_letters(0, 100).await.unwrap()), ["m7", "m8", "m9", "m10", "m11"]);
    store.bury(Queue::Events, outgoing("big", vec![0; 90_000]), "gone".to_owned()).await.unwrap();
    assert_eq!(ids(store.dead_letters(0, 100).await.unwrap()), ["big"], "the last one stays, whatever its size");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_expire() {
    let (folder, clock): (_, Arc<ManualClock>) = (TempDir::new().unwrap(), clock());
    let limits = EmbeddedLimits { dead_kept: Duration::from_hours(1), ..EmbeddedLimits::default() };
    let of_store: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let store = Embedded::open(folder.path(), of_store, limits).unwrap();
    store.bury(Queue::Events, outgoing("old", vec![]), "gone".to_owned()).await.unwrap();
    clock.advance(Duration::from_mins(50));
    store.bury(Queue::Events, outgoing("young", vec![]), "gone".to_owned()).await.unwrap();
    clock.advance(Duration::from_mins(20));
    let letters = store.dead_letters(0, 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["young"]);
}
