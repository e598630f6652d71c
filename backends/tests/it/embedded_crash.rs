//! A process that ends at any moment: its log is cut at any byte.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::time::Duration;

use dockbell_backends::bus::{Bus as _, Queue};
use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_backends::store::{AttemptRecord, Store as _};
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::policy::Suspension;
use dockbell_proto::webhook::{Format, Webhook};
use dockbell_testkit::sample;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

use crate::harness::{leavings, open, outgoing};

const CUTS: usize = 200;
const SEED: u64 = 7;

/// Something whose call has returned, and the length of the log then.
struct Done {
    what: What,
    log: u64,
}

enum What {
    Published(String),
    Delayed,
    Buried(String),
    Recorded(Box<Delivery>),
}

fn log_of(folder: &Path) -> u64 {
    fs::metadata(folder.join("dockbell.db-wal")).unwrap().len()
}

fn accepted(delivery: &Delivery) -> AttemptRecord {
    AttemptRecord {
        delivery: delivery.clone(),
        at: sample::moment(),
        took: Duration::from_millis(9),
        outcome: Outcome::Accepted { status: 200 },
        verdict: Verdict::Delivered,
        excerpt: None,
        suspension: Suspension::default(),
        told_as_of: None,
    }
}

/// Makes writes of every kind one after another.
async fn fill(store: &Embedded, folder: &Path, webhook: &Webhook) -> Vec<Done> {
    let mut done: Vec<Done> = Vec::new();
    for number in 0..80 {
        let id = format!("m{number}");
        let message = outgoing(&id, vec![b'x'; 50 * number]);
        let what = match number % 4 {
            0 => {
                store.publish_after(Queue::Redeliveries, message, Duration::from_hours(1)).await.unwrap();
                What::Delayed
            }
            1 => {
                let delivery = sample::delivery(&webhook.id, &sample::batch(&id, "team/app", &["latest"]));
                store.record(&accepted(&delivery)).await.unwrap();
                What::Recorded(Box::new(delivery))
            }
            2 if number % 3 == 0 => {
                store.bury(Queue::Events, message, "gone".to_owned()).await.unwrap();
                What::Buried(id)
            }
            _ => {
                store.publish(Queue::Events, message).await.unwrap();
                What::Published(id)
            }
        };
        let log = log_of(folder);
        assert!(done.last().is_none_or(|last| last.log < log), "the log was folded meanwhile");
        done.push(Done { what, log });
    }
    done
}

/// The folder as it would be if only `length` bytes of the log had reached the disk.
fn cut(folder: &Path, length: u64) -> TempDir {
    let copy = leavings(folder);
    let log: File = OpenOptions::new().write(true).open(copy.path().join("dockbell.db-wal")).unwrap();
    log.set_len(length).unwrap();
    copy
}

/// The folder as it would be if what follows `length` bytes of the log were zeros (0), noise (1), or noise for
/// one sector (2).
fn tear(folder: &Path, length: u64, kind: u64, rng: &mut StdRng) -> TempDir {
    let copy = leavings(folder);
    let path = copy.path().join("dockbell.db-wal");
    let mut bytes = fs::read(&path).unwrap();
    let from = usize::try_from(length).unwrap();
    let to = if kind == 2 { (from + 512).min(bytes.len()) } else { bytes.len() };
    match kind {
        0 => bytes[from..to].fill(0),
        _ => rng.fill(&mut bytes[from..to]),
    }
    fs::write(&path, bytes).unwrap();
    copy
}

/// Everything that had returned when the log was `length` long is there.
async fn check(folder: &Path, done: &[Done], length: u64) {
    let store = open(folder, EmbeddedLimits::default());
    let done = done.iter().filter(|done| done.log <= length);
    let (mut published, mut delayed, mut buried) = (Vec::new(), 0, Vec::new());
    for Done { what, .. } in done {
        match what {
            What::Published(id) => published.push(id),
            What::Delayed => delayed += 1,
            What::Buried(id) => buried.push(id),
            What::Recorded(delivery) => {
                let attempt = delivery.attempt_id();
                assert_eq!(store.settled(&[attempt]).await.unwrap(), [Some(Verdict::Delivered)], "at {length}");
                // A record is whole or not there at all.
                assert_eq!(store.delivery(&delivery.id).await.unwrap().unwrap().attempts.len(), 1, "at {length}");
            }
        }
    }
    // What had not returned may be there too, but nothing of it before what had.
    let mut consumer = store.consume(Queue::Events, std::num::NonZeroU16::MIN).await.unwrap();
    for id in published {
        let received = consumer.next().await.unwrap();
        assert_eq!(&received.id, id, "at {length}");
        assert!(received.maybe_repeated);
        received.receipt.ack().await.unwrap();
    }
    assert!(store.depth(Queue::Redeliveries).await.unwrap().delayed >= delayed, "at {length}");
    let letters = store.dead_letters(0, 100).await.unwrap();
    assert!(buried.iter().all(|id| letters.iter().any(|letter| &letter.id == *id)), "at {length}");
    store.close().await;
    let file = rusqlite::Connection::open(folder.join("dockbell.db")).unwrap();
    let verdict: String = file.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok", "at {length}");
}

/// A store in which much was done, what that was, and how long its log is.
async fn filled(folder: &Path) -> (Embedded, Vec<Done>, u64) {
    let store = open(folder, EmbeddedLimits::default());
    let webhook = sample::webhook(1, "*", Format::Batch, "https://receiver.test/");
    store.put_webhook(&webhook).await.unwrap();
    let done = fill(&store, folder, &webhook).await;
    (store, done, log_of(folder))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_had_returned_survives_a_cut_of_the_log_at_any_byte() {
    let folder = TempDir::new().unwrap();
    let (_store, done, whole) = filled(folder.path()).await;
    let mut rng = StdRng::seed_from_u64(SEED);
    let random = std::iter::repeat_with(|| rng.random_range(0..=whole)).take(CUTS);
    // The whole log, and exact ends of writes, where nothing may be missing.
    let ends = done.iter().step_by(9).map(|done| done.log);
    for length in random.chain(ends).chain([whole]) {
        let copy = cut(folder.path(), length);
        check(copy.path(), &done, length).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_had_returned_survives_garbage_in_the_log() {
    let folder = TempDir::new().unwrap();
    let (_store, done, whole) = filled(folder.path()).await;
    let seed = SystemClock.now().as_microsecond().unsigned_abs();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    for number in 0..u64::try_from(CUTS).unwrap() {
        let length = rng.random_range(0..=whole);
        let copy = tear(folder.path(), length, number % 3, &mut rng);
        check(copy.path(), &done, length).await;
    }
}
