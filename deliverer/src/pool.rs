//! What all lanes share, so that however many of them hang, the others find room.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockbell_proto::ids::WebhookId;
use tokio::sync::oneshot;

/// A number of places, of which each webhook may hold as many as are free. So a webhook that is alone gets half of
/// them, each of many that hold on to theirs a small and equal part, and one that holds none finds a free one,
/// unless more webhooks hold on than there are places.
///
/// This is the dynamic threshold by which switches share their buffers (Choudhury and Hahne, 1998).
pub struct Pool {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: usize,
    held: HashMap<WebhookId, usize>,
    waiting: VecDeque<(WebhookId, oneshot::Sender<()>)>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of so many places.
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, state: Mutex::default() })
    }

    /// A place, if the webhook may have one now.
    pub fn try_take(self: &Arc<Self>, webhook: &WebhookId) -> Option<Share> {
        self.lock().take(webhook, self.capacity).then(|| self.share(webhook))
    }

    /// A place, once the webhook may have one. Who waits longest is served first among those that may. Dropping the
    /// future gives it up.
    pub async fn take(self: &Arc<Self>, webhook: &WebhookId) -> Share {
        let granted = {
            let mut state = self.lock();
            if state.take(webhook, self.capacity) {
                return self.share(webhook);
            }
            let (sender, granted) = oneshot::channel();
            state.waiting.push_back((webhook.clone(), sender));
            granted
        };
        Waiting { pool: self, webhook, granted: Some(granted) }.until_granted().await;
        self.share(webhook)
    }

    fn share(self: &Arc<Self>, webhook: &WebhookId) -> Share {
        Share { pool: Arc::clone(self), webhook: webhook.clone() }
    }

    fn give_back(&self, webhook: &WebhookId) {
        let mut state = self.lock();
        state.used -= 1;
        if let Some(held) = state.held.get_mut(webhook) {
            *held -= 1;
            if *held == 0 {
                state.held.remove(webhook);
            }
        }
        state.grant(self.capacity);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, webhook: &WebhookId, capacity: usize) -> bool {
        let held = self.held.get(webhook).copied().unwrap_or(0);
        let may_have_one = held < capacity.saturating_sub(self.used);
        if may_have_one {
            self.used += 1;
            self.held.insert(webhook.clone(), held + 1);
        }
        may_have_one
    }

    /// Gives free places to those who wait and may have one.
    fn grant(&mut self, capacity: usize) {
        for _ in 0..self.waiting.len() {
            let Some((webhook, waiting)) = self.waiting.pop_front() else { return };
            if waiting.is_closed() {
                continue;
            }
            if self.take(&webhook, capacity) {
                if waiting.send(()).is_err() {
                    self.used -= 1;
                    self.held.entry(webhook).and_modify(|held| *held -= 1);
                }
            } else {
                self.waiting.push_back((webhook, waiting));
            }
        }
    }
}

/// A place in a pool. Dropping it makes room for the next.
#[derive(Debug)]
#[must_use = "the place is free again as soon as it is dropped"]
pub struct Share {
    pool: Arc<Pool>,
    webhook: WebhookId,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool.give_back(&self.webhook);
    }
}

/// Who waits for a place, and may have been granted it without having looked.
struct Waiting<'a> {
    pool: &'a Pool,
    webhook: &'a WebhookId,
    granted: Option<oneshot::Receiver<()>>,
}

impl Waiting<'_> {
    async fn until_granted(mut self) {
        if let Some(granted) = &mut self.granted {
            // Whoever drops the sender has sent, or was dropped with the pool, which we hold.
            granted.await.ok();
        }
        self.granted = None;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(mut granted) = self.granted.take() else { return };
        granted.close();
        if granted.try_recv().is_ok() {
            self.pool.give_back(self.webhook);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::{FutureExt as _, poll_immediate};
    use proptest::prelude::*;

    use super::*;

    fn webhook(number: u8) -> WebhookId {
        WebhookId::from_random([number; 16])
    }

    fn fill(pool: &Arc<Pool>, number: u8) -> Vec<Share> {
        std::iter::from_fn(|| pool.try_take(&webhook(number))).collect()
    }

    #[test]
    fn a_webhook_alone_gets_half_and_whoever_comes_late_finds_room() {
        let pool = Pool::new(64);
        let held: Vec<_> = (1..=5).map(|number| fill(&pool, number)).collect();
        assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [32, 16, 8, 4, 2]);
        assert_eq!(fill(&pool, 6).len(), 1);
    }

    #[test]
    fn many_that_hold_on_leave_room_for_one_that_holds_nothing() {
        let pool = Pool::new(64);
        let mut held = Vec::new();
        for _ in 0..20 {
            held.extend((1..=50).filter_map(|number| pool.try_take(&webhook(number))));
        }
        assert!(held.len() < 64, "{}", held.len());
        assert!(pool.try_take(&webhook(99)).is_some());
    }

    #[tokio::test]
    async fn who_waits_is_served_when_it_may_be_and_leaves_nothing_taken_when_it_gives_up() {
        let pool = Pool::new(2);
        let (first, second) = (webhook(1), webhook(2));
        let held = pool.take(&first).await;
        let mut more = Box::pin(pool.take(&first));
        assert!(poll_immediate(&mut more).await.is_none(), "as many as are free");
        let other = pool.take(&second).now_or_never().expect("the second place");
        drop(held);
        // It is granted now, and has not looked.
        drop(more);
        drop(other);
        let used = pool.lock().used;
        assert_eq!((used, pool.lock().held.len()), (0, 0));
        let held = pool.take(&first).await;
        let mut more = Box::pin(pool.take(&first));
        assert!(poll_immediate(&mut more).await.is_none());
        drop(held);
        assert!(more.now_or_never().is_some());
    }

    proptest! {
        #[test]
        fn no_more_is_held_than_there_is_and_nobody_holds_more_than_was_free(
            steps in prop::collection::vec((0u8..6, any::<bool>()), 0..300)
        ) {
            let pool = Pool::new(10);
            let mut held: Vec<Share> = Vec::new();
            for (number, takes) in steps {
                if takes {
                    held.extend(pool.try_take(&webhook(number)));
                } else if !held.is_empty() {
                    drop(held.swap_remove(usize::from(number) % held.len()));
                }
                prop_assert_eq!(pool.lock().used, held.len());
                prop_assert!(held.len() <= 10);
            }
            drop(held);
            prop_assert!(pool.lock().held.is_empty());
        }
    }
}
