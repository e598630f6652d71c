//! Times of the embedded adapter that no port promises: how long it keeps what, and clocks that jump.

use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::bus::{Bus as _, Queue};
use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_backends::store::{AttemptRecord, Health, HistoryQuery, Recorded, Store as _};
use dockbell_proto::clock::Clock;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::policy::Suspension;
use dockbell_proto::webhook::{Format, Webhook};
use dockbell_testkit::clock::ManualClock;
use dockbell_testkit::sample;
use dockbell_testkit::wait::DEADLINE;
use tempfile::TempDir;

use crate::harness::{clock, outgoing};

const DAY: Duration = Duration::from_hours(24);

fn open_at(folder: &Path, clock: &Arc<ManualClock>) -> Embedded {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Embedded::open(folder, clock, EmbeddedLimits::default()).unwrap()
}

fn refused(delivery: &Delivery, clock: &ManualClock) -> AttemptRecord {
    AttemptRecord {
        delivery: delivery.clone(),
        at: clock.now(),
        took: Duration::from_secs(1),
        outcome: Outcome::Refused { status: 500, retry_after: None },
        verdict: Verdict::Retry { at: clock.now() + DAY },
        excerpt: None,
        suspension: Suspension::default(),
        told_as_of: None,
    }
}

fn webhook() -> Webhook {
    sample::webhook(1, "*", Format::Batch, "https://receiver.test/")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newest_is_kept_for_as_long_as_a_delivery_may_wait() {
    let (folder, clock) = (TempDir::new().unwrap(), clock());
    let store = open_at(folder.path(), &clock);
    store.put_webhook(&webhook()).await.unwrap();
    let delivery = sample::delivery(&webhook().id, &sample::batch("a", "team/app", &["latest"]));
    store.record(&refused(&delivery, &clock)).await.unwrap();
    let change = &delivery.content.changes[0];
    let (repository, tags) = ((&delivery.content.registry, &delivery.content.repository), [change.tag.clone()]);
    clock.advance((7 * DAY).saturating_sub(Duration::from_secs(1)));
    assert_eq!(store.newest(&webhook().id, repository, &tags).await.unwrap(), [Some(change.order.clone())]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.newest(&webhook().id, repository, &tags).await.unwrap(), [None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_whose_end_was_lost_counts_as_waiting_for_eight_days() {
    let (folder, clock) = (TempDir::new().unwrap(), clock());
    let store = open_at(folder.path(), &clock);
    store.put_webhook(&webhook()).await.unwrap();
    let delivery = |id| sample::delivery(&webhook().id, &sample::batch(id, "team/app", &["latest"]));
    store.record(&refused(&delivery("lost"), &clock)).await.unwrap();
    clock.advance((8 * DAY).saturating_sub(Duration::from_secs(1)));
    let waiting = async || store.health(&webhook().id).await.unwrap().waiting;
    assert_eq!(waiting().await, 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(waiting().await, 0);
    for id in ["another", "lost"] {
        store.record(&refused(&delivery(id), &clock)).await.unwrap();
    }
    assert_eq!(waiting().await, 2, "it comes in again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_comes_after_its_webhook_was_removed_leaves_no_history() {
    let (folder, clock) = (TempDir::new().unwrap(), clock());
    let store = open_at(folder.path(), &clock);
    store.put_webhook(&webhook()).await.unwrap();
    store.remove_webhook(&webhook().id).await.unwrap();
    let delivery = sample::delivery(&webhook().id, &sample::batch("a", "team/app", &["latest"]));
    let attempt = refused(&delivery, &clock);
    let recorded = store.record(&attempt).await.unwrap();
    assert_eq!(recorded, Recorded { is_first: true, health: Health::default(), change: None });
    assert_eq!(store.settled(&[delivery.attempt_id()]).await.unwrap(), [Some(attempt.verdict)]);
    assert!(store.history(&HistoryQuery::default()).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_that_jumps_changes_no_delay() {
    let (folder, clock) = (TempDir::new().unwrap(), clock());
    let bus = open_at(folder.path(), &clock);
    let mut consumer = bus.consume(Queue::Redeliveries, NonZeroU16::MIN).await.unwrap();
    bus.publish_after(Queue::Redeliveries, outgoing("late", vec![]), DAY).await.unwrap();
    clock.advance(2 * DAY);
    bus.publish_after(Queue::Redeliveries, outgoing("soon", vec![]), Duration::from_millis(50)).await.unwrap();
    let received = tokio::time::timeout(DEADLINE, consumer.next()).await.unwrap().unwrap();
    assert_eq!(received.id, "soon");
    let depth = bus.depth(Queue::Redeliveries).await.unwrap();
    assert_eq!((depth.messages, depth.delayed), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_due_while_nothing_ran_appears_at_once() {
    let (folder, clock) = (TempDir::new().unwrap(), clock());
    let bus = open_at(folder.path(), &clock);
    bus.publish_after(Queue::Redeliveries, outgoing("a", vec![]), DAY).await.unwrap();
    bus.close().await;
    clock.advance(2 * DAY);
    let bus = open_at(folder.path(), &clock);
    let mut consumer = bus.consume(Queue::Redeliveries, NonZeroU16::MIN).await.unwrap();
    assert_eq!(tokio::time::timeout(DEADLINE, consumer.next()).await.unwrap().unwrap().id, "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_that_was_set_back_prolongs_no_delay_beyond_itself() {
    let (folder, ahead) = (TempDir::new().unwrap(), clock());
    ahead.advance(1000 * DAY);
    let bus = open_at(folder.path(), &ahead);
    bus.publish_after(Queue::Redeliveries, outgoing("a", vec![]), Duration::from_millis(50)).await.unwrap();
    bus.close().await;
    let bus = open_at(folder.path(), &clock());
    let mut consumer = bus.consume(Queue::Redeliveries, NonZeroU16::MIN).await.unwrap();
    assert_eq!(tokio::time::timeout(DEADLINE, consumer.next()).await.unwrap().unwrap().id, "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flagged_repetition_of_what_still_waits_is_not_stored_twice() {
    let (folder, clock) = (TempDir::new().unwrap(), clock());
    let bus = open_at(folder.path(), &clock);
    let delayed = async || bus.depth(Queue::Redeliveries).await.unwrap().delayed;
    bus.publish_after(Queue::Redeliveries, outgoing("a", b"{}".to_vec()), DAY).await.unwrap();
    let mut flagged = outgoing("a", b"{}".to_vec());
    flagged.maybe_repeated = true;
    bus.publish_after(Queue::Redeliveries, flagged.clone(), DAY).await.unwrap();
    assert_eq!(delayed().await, 1);
    flagged.id = "b".to_owned();
    bus.publish_after(Queue::Redeliveries, flagged, DAY).await.unwrap();
    assert_eq!(delayed().await, 2);
}
