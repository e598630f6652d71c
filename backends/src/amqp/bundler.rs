//! Collects what is to wait, so that it waits in bundles.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::bus::{PublishError, Queue};

use super::bundle::{bundle, groups};
use super::outbox::Outbox;
use super::parcel::Parcel;

/// How long messages are collected. It is nothing beside the second that each of them waits at least.
const COLLECT: Duration = Duration::from_millis(50);

/// Who publishes a message learns from it what became of that.
type Answer = oneshot::Sender<Result<(), PublishError>>;

/// Where messages come back to: a shard of a queue.
type Place = (Queue, u16);

/// What is to wait and is not published yet.
#[derive(Debug, Clone)]
pub(super) struct Bundler {
    collected: Arc<Mutex<HashMap<Place, Vec<Entry>>>>,
    bundles: Arc<AtomicU64>,
    tasks: TaskTracker,
}

/// A message, and who waits for it to be published.
#[derive(Debug)]
struct Entry {
    parcel: Parcel,
    answer: Answer,
}

impl Bundler {
    /// One that publishes on `tasks`.
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self { collected: Arc::default(), bundles: Arc::default(), tasks }
    }

    /// Publishes a parcel that knows when it is due, with others that are due at about the same time. Dropped before it
    /// returns, the message may be published all the same.
    pub(super) async fn wait(&self, outbox: &Outbox, place: Place, parcel: Parcel) -> Result<(), PublishError> {
        let (answer, result) = oneshot::channel();
        if self.collect(place, Entry { parcel, answer }) {
            // Not the future of one of the publishers, which may be dropped while the others wait.
            self.tasks.spawn(self.clone().publish(outbox.clone(), place));
        }
        result.await.unwrap_or_else(|_| Err(PublishError::Unknown("the bus was closed".to_owned())))
    }

    /// Says whether it is the first.
    fn collect(&self, place: Place, entry: Entry) -> bool {
        let mut collected = self.lock();
        let entries = collected.entry(place).or_default();
        entries.push(entry);
        entries.len() == 1
    }

    async fn publish(self, outbox: Outbox, place: Place) {
        tokio::time::sleep(COLLECT).await;
        let entries = self.lock().remove(&place).unwrap_or_default();
        let (parcels, mut answers): (Vec<_>, Vec<_>) =
            entries.into_iter().map(|Entry { parcel, answer }| (parcel, Some(answer))).unzip();
        let groups = groups(&parcels, outbox.clock.as_ref()).into_iter().map(|group| {
            let members = group.iter().filter_map(|index| parcels.get(*index).cloned()).collect();
            let answers = group.iter().filter_map(|index| answers.get_mut(*index)?.take()).collect();
            self.publish_group(&outbox, place, members, answers)
        });
        join_all(groups).await;
    }

    async fn publish_group(&self, outbox: &Outbox, place: Place, parcels: Vec<Parcel>, answers: Vec<Answer>) {
        let number = self.bundles.fetch_add(1, Ordering::Relaxed);
        let together = match bundle(&parcels, format!("{}-{number}", outbox.process)) {
            Some(bundle) => vec![bundle],
            None => parcels,
        };
        let publishing = together.into_iter().map(async |parcel| {
            let remaining = parcel.remaining(outbox.clock.as_ref());
            outbox.wait(place.0, place.1, parcel, remaining).await
        });
        let results = join_all(publishing).await;
        // One result for all of a bundle, or one for each.
        for (answer, result) in answers.into_iter().zip(results.iter().cycle()) {
            // A publisher that stopped waiting does not want to know.
            drop(answer.send(result.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Vec<Entry>>> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
