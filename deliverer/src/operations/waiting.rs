//! Events that wait to be told, of which the oldest go when there are too many.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockbell_proto::operations::OperatorEvent;
use tokio::sync::Notify;

/// How many events wait. Whoever was away for so many has the history of each webhook to look at.
pub(super) const WAITING_LIMIT: usize = 1_000;

/// Events that wait, for one reader.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Arc<OperatorEvent>>,
    is_closed: bool,
}

impl Waiting {
    /// Takes an event in without waiting; says whether the oldest had to go for it.
    pub(super) fn push(&self, event: Arc<OperatorEvent>) -> bool {
        let mut state = self.state();
        let is_full = state.events.len() >= WAITING_LIMIT;
        if is_full {
            state.events.pop_front();
        }
        state.events.push_back(event);
        drop(state);
        self.changed.notify_one();
        is_full
    }

    /// The oldest event, once there is one; it stays until it is [`Waiting::done`]. None once all are done and no
    /// more come. Dropping the future loses nothing.
    pub(super) async fn first(&self) -> Option<Arc<OperatorEvent>> {
        loop {
            {
                let state = self.state();
                if let Some(first) = state.events.front() {
                    return Some(Arc::clone(first));
                }
                if state.is_closed {
                    return None;
                }
            }
            // A change since the look above has left a permit, so that it is not missed.
            self.changed.notified().await;
        }
    }

    /// The event need not wait any more.
    pub(super) fn done(&self, event: &Arc<OperatorEvent>) {
        let mut state = self.state();
        // It may have had to go meanwhile.
        if state.events.front().is_some_and(|first| Arc::ptr_eq(first, event)) {
            state.events.pop_front();
        }
    }

    /// No more events come.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.state().events.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use dockbell_proto::operations::OperationKind;
    use dockbell_testkit::sample::moment;

    use super::*;

    fn event(number: usize) -> Arc<OperatorEvent> {
        Arc::new(OperatorEvent::of_fleet(OperationKind::FleetFault, moment(), &number.to_string()))
    }

    #[tokio::test]
    async fn beyond_the_limit_the_oldest_go() {
        let waiting = Waiting::default();
        let lost = (0..WAITING_LIMIT + 3).filter(|number| waiting.push(event(*number))).count();
        assert_eq!((lost, waiting.len()), (3, WAITING_LIMIT));
        assert_eq!(waiting.first().await.unwrap().reason, "3");
    }

    #[tokio::test]
    async fn an_event_stays_until_it_is_done_and_takes_no_other_with_it() {
        let waiting = Waiting::default();
        let (first, second) = (event(1), event(2));
        waiting.push(Arc::clone(&first));
        waiting.push(Arc::clone(&second));
        assert!(Arc::ptr_eq(&waiting.first().await.unwrap(), &first));
        waiting.done(&first);
        waiting.done(&first);
        assert!(Arc::ptr_eq(&waiting.first().await.unwrap(), &second));
        waiting.close();
        waiting.done(&second);
        assert!(waiting.first().await.is_none());
    }
}
