//! Which attempts are under way in this process, so that two copies of a message never POST side by side.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dockbell_proto::ids::AttemptId;
use tokio::sync::Notify;

/// The attempts under way.
#[derive(Debug, Default)]
pub struct UnderWay {
    attempts: Mutex<HashSet<AttemptId>>,
    ended: Notify,
}

impl UnderWay {
    /// Marks an attempt as under way until the guard is dropped. A copy of it waits for the original's end,
    /// and then finds its verdict recorded.
    pub async fn begin(&self, attempt: AttemptId) -> Guard<'_> {
        // Copies are rare.
        if self.lock().insert(attempt.clone()) {
            return Guard { under_way: self, attempt };
        }
        loop {
            let mut ended = pin!(self.ended.notified());
            // Before the look, or an end between look and wait would be missed.
            ended.as_mut().enable();
            if self.lock().insert(attempt.clone()) {
                return Guard { under_way: self, attempt };
            }
            ended.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<AttemptId>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt is under way for as long as this lives.
#[derive(Debug)]
#[must_use = "the attempt is under way only while the guard lives"]
pub struct Guard<'a> {
    under_way: &'a UnderWay,
    attempt: AttemptId,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.attempt);
        self.under_way.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use dockbell_proto::ids::DeliveryId;
    use futures_util::future::{join, poll_immediate};

    use super::*;

    fn attempt(ordinal: u32) -> AttemptId {
        AttemptId { delivery: DeliveryId::from_random([1; 16]), request: 0, ordinal }
    }

    #[tokio::test]
    async fn a_copy_waits_for_the_end_of_the_original_and_others_do_not() {
        let under_way = UnderWay::default();
        let original = under_way.begin(attempt(1)).await;
        let mut copy = pin!(under_way.begin(attempt(1)));
        assert!(poll_immediate(&mut copy).await.is_none());
        let other = under_way.begin(attempt(2)).await;
        assert!(poll_immediate(&mut copy).await.is_none());
        drop(other);
        let (copy, ()) = join(copy, async { drop(original) }).await;
        assert_eq!(copy.attempt, attempt(1));
    }
}
