//! Attempts that were made while the store was away: kept in memory, within bounds, until it takes them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dockbell_backends::store::AttemptRecord;
use dockbell_proto::ids::AttemptId;
use dockbell_proto::message::Message;
use dockbell_proto::outcome::Verdict;
use tokio::sync::Notify;

/// How many are kept.
const RECORDS: usize = 100_000;
/// How many bytes they are together, about.
const BYTES: usize = 64 * 1024 * 1024;
/// What a record takes beside its texts.
const OVERHEAD: usize = 512;

/// The attempts, oldest first.
#[derive(Debug, Default)]
pub struct Unrecorded {
    kept: Mutex<Kept>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<(AttemptRecord, usize)>,
    /// The verdicts of them all.
    verdicts: HashMap<AttemptId, Verdict>,
    bytes: usize,
}

impl Unrecorded {
    /// Keeps a record as soon as there is room for it. Until then its work waits unsettled.
    pub async fn keep(&self, record: AttemptRecord) {
        let size = size_of_record(&record);
        let mut record = Some(record);
        loop {
            let changed = self.changed.notified();
            {
                let mut kept = self.lock();
                let has_room = kept.records.is_empty() || (kept.records.len() < RECORDS && kept.bytes + size <= BYTES);
                if let Some(record) = record.take_if(|_| has_room) {
                    kept.bytes += size;
                    kept.verdicts.insert(record.delivery.attempt_id(), record.verdict.clone());
                    kept.records.push_back((record, size));
                    self.changed.notify_waiters();
                    return;
                }
            }
            changed.await;
        }
    }

    /// The oldest record, once there is one. It stays until [`Unrecorded::forget_oldest`].
    pub async fn oldest(&self) -> AttemptRecord {
        loop {
            let changed = self.changed.notified();
            if let Some((record, _)) = self.lock().records.front() {
                return record.clone();
            }
            changed.await;
        }
    }

    /// Forgets the oldest, which is recorded.
    pub fn forget_oldest(&self) {
        let mut kept = self.lock();
        if let Some((record, size)) = kept.records.pop_front() {
            kept.bytes -= size;
            kept.verdicts.remove(&record.delivery.attempt_id());
        }
        self.changed.notify_waiters();
    }

    /// What followed from an attempt that is kept. Only this process knows that it was made.
    pub fn verdict(&self, attempt: &AttemptId) -> Option<Verdict> {
        self.lock().verdicts.get(attempt).cloned()
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.lock().records.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nearly all of a record is the content of its delivery.
fn size_of_record(record: &AttemptRecord) -> usize {
    Message::Delivery(record.delivery.clone()).encode().len()
        + record.excerpt.as_ref().map_or(0, String::len)
        + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use dockbell_proto::outcome::{Outcome, Verdict};
    use dockbell_proto::policy::Suspension;
    use dockbell_proto::webhook::Format;
    use dockbell_testkit::sample;
    use futures_util::future::poll_immediate;

    use super::*;

    fn record(ordinal: u32, excerpt: usize) -> AttemptRecord {
        let webhook = sample::webhook(1, "*", Format::Batch, "http://h/");
        let mut delivery = sample::delivery(&webhook.id, &sample::batch("e", "team/app", &["1"]));
        delivery.ordinal = ordinal;
        AttemptRecord {
            delivery,
            at: sample::moment(),
            took: Duration::ZERO,
            outcome: Outcome::Accepted { status: 200 },
            verdict: Verdict::Delivered,
            excerpt: Some("x".repeat(excerpt)),
            suspension: Suspension::default(),
            told_as_of: None,
        }
    }

    #[tokio::test]
    async fn records_come_out_in_the_order_they_came_in() {
        let unrecorded = Unrecorded::default();
        let mut oldest = pin!(unrecorded.oldest());
        assert!(poll_immediate(&mut oldest).await.is_none());
        unrecorded.keep(record(1, 0)).await;
        unrecorded.keep(record(2, 0)).await;
        assert_eq!(oldest.await.delivery.ordinal, 1);
        let first = record(1, 0).delivery.attempt_id();
        assert_eq!(unrecorded.verdict(&first), Some(Verdict::Delivered));
        unrecorded.forget_oldest();
        assert_eq!(unrecorded.verdict(&first), None);
        assert_eq!((unrecorded.oldest().await.delivery.ordinal, unrecorded.len()), (2, 1));
        unrecorded.forget_oldest();
        assert!(unrecorded.is_empty());
    }

    #[tokio::test]
    async fn what_has_no_room_waits_for_it() {
        let unrecorded = Unrecorded::default();
        unrecorded.keep(record(1, BYTES)).await;
        let mut waits = pin!(unrecorded.keep(record(2, 0)));
        assert!(poll_immediate(&mut waits).await.is_none());
        unrecorded.forget_oldest();
        waits.await;
        assert_eq!(unrecorded.oldest().await.delivery.ordinal, 2);
    }
}
