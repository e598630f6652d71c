//! What was once read from the store: believed for a while, doubted on notice, and better than nothing while the
//! store is away.

use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dockbell_backends::store::StoreError;
use quick_cache::sync::Cache;
use tokio::time::Instant;

/// How long an entry is believed if no notice comes, however it was missed.
const BELIEVED: Duration = Duration::from_mins(1);
/// How long an entry is kept that nobody could renew: longer than any absence of a store that is not noticed.
const KEPT: Duration = Duration::from_hours(24);
/// How long an old entry is taken without another question after the store did not answer.
const UNANSWERED: Duration = Duration::from_secs(1);

/// A bounded memory.
pub struct Remembered<K, V> {
    entries: Cache<K, Entry<V>>,
    /// Counts what made entries doubtful.
    doubts: AtomicU64,
    /// The doubts up to the last one that was about everything.
    all_doubted: AtomicU64,
}

impl<K, V> fmt::Debug for Remembered<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
struct Entry<V> {
    value: V,
    kept_until: Instant,
    /// None once it is doubted.
    believed_until: Option<Instant>,
    /// The doubts before it was read.
    doubts: u64,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Remembered<K, V> {
    /// Remembers up to `entries`.
    pub fn new(entries: usize) -> Self {
        Self { entries: Cache::new(entries), doubts: AtomicU64::new(0), all_doubted: AtomicU64::new(0) }
    }

    /// The value, from memory or as `read` yields it. If that fails, the value as it was last known; the error only
    /// if it never was.
    pub async fn get(&self, key: &K, read: impl AsyncFnOnce() -> Result<V, StoreError>) -> Result<V, StoreError> {
        match self.peek(key) {
            Some(value) => Ok(value),
            // A look into memory is all that most do; who has to ask may take more room.
            None => Box::pin(self.look_up(key, read)).await,
        }
    }

    async fn look_up(&self, key: &K, read: impl AsyncFnOnce() -> Result<V, StoreError>) -> Result<V, StoreError> {
        let doubts = self.doubts.load(Ordering::Acquire);
        match read().await {
            Ok(value) => {
                self.keep(key, value.clone(), BELIEVED, doubts);
                // Whoever was reading the store when a doubt came must not keep what it read.
                if self.doubts.load(Ordering::Acquire) != doubts {
                    self.doubt(key);
                }
                Ok(value)
            }
            Err(error) => {
                let value = self.entry(key).ok_or(error)?.value;
                self.keep(key, value.clone(), UNANSWERED, doubts);
                Ok(value)
            }
        }
    }

    /// The value as it is believed to be, without a question.
    pub fn peek(&self, key: &K) -> Option<V> {
        self.believed(&self.entry(key)?)
    }

    /// Remembers a value that came along with something else.
    pub fn put(&self, key: &K, value: V) {
        self.keep(key, value, BELIEVED, self.doubts.load(Ordering::Acquire));
    }

    /// The same, unless what is remembered is as good: then it is left alone, for half of the time for which it is believed.
    pub fn put_news(&self, key: &K, value: V, is_as_good: impl FnOnce(&V, &V) -> bool) {
        if let Some(known) = self.entry(key)
            && known.believed_until.is_some_and(|until| until > Instant::now() + BELIEVED / 2)
            && self.believed(&known).is_some_and(|known| is_as_good(&known, &value))
        {
            return;
        }
        self.put(key, value);
    }

    /// Looks the value up again at its next use.
    pub fn doubt(&self, key: &K) {
        self.doubts.fetch_add(1, Ordering::AcqRel);
        if let Some(entry) = self.entries.get(key) {
            self.entries.insert(key.clone(), Entry { believed_until: None, ..entry });
        }
    }

    /// Looks every value up again at its next use.
    pub fn doubt_all(&self) {
        let doubts = self.doubts.fetch_add(1, Ordering::AcqRel) + 1;
        self.all_doubted.fetch_max(doubts, Ordering::AcqRel);
    }

    fn entry(&self, key: &K) -> Option<Entry<V>> {
        self.entries.get(key).filter(|entry| Instant::now() < entry.kept_until)
    }

    fn believed(&self, entry: &Entry<V>) -> Option<V> {
        let is_doubted = entry.doubts < self.all_doubted.load(Ordering::Acquire);
        let is_believed = entry.believed_until.is_some_and(|until| Instant::now() < until);
        (is_believed && !is_doubted).then(|| entry.value.clone())
    }

    fn keep(&self, key: &K, value: V, span: Duration, doubts: u64) {
        let now = Instant::now();
        let entry = Entry { value, kept_until: now + KEPT, believed_until: Some(now + span), doubts };
        self.entries.insert(key.clone(), entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(remembered: &Remembered<u8, u8>, answer: Option<u8>) -> Option<u8> {
        let answer = answer.ok_or_else(|| StoreError("away".to_owned()));
        remembered.get(&1, async || answer).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_believed_for_a_minute_or_until_it_is_doubted() {
        let remembered = Remembered::new(10);
        assert_eq!(read(&remembered, Some(1)).await, Some(1));
        assert_eq!((read(&remembered, Some(2)).await, remembered.peek(&1)), (Some(1), Some(1)));
        tokio::time::advance(BELIEVED).await;
        assert_eq!((remembered.peek(&1), read(&remembered, Some(2)).await), (None, Some(2)));
        remembered.doubt(&1);
        assert_eq!(read(&remembered, Some(3)).await, Some(3));
        remembered.doubt_all();
        assert_eq!(read(&remembered, Some(4)).await, Some(4));
        assert_eq!(read(&remembered, Some(5)).await, Some(4));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_as_good_as_known_is_not_put_until_half_of_the_time_is_over() {
        let remembered = Remembered::new(10);
        let put = |value, is_as_good: bool| {
            remembered.put_news(&1, value, |_, _| is_as_good);
            remembered.peek(&1)
        };
        assert_eq!(put(1, true), Some(1));
        assert_eq!((put(2, true), put(3, false)), (Some(1), Some(3)));
        tokio::time::advance(BELIEVED / 2).await;
        assert_eq!(put(4, true), Some(4));
        remembered.doubt(&1);
        assert_eq!(put(5, true), Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_store_is_away_the_last_value_stands_and_what_was_never_read_is_unknown() {
        let remembered = Remembered::new(10);
        assert_eq!(read(&remembered, None).await, None);
        read(&remembered, Some(1)).await;
        remembered.doubt_all();
        assert_eq!(read(&remembered, None).await, Some(1));
        assert_eq!(read(&remembered, Some(2)).await, Some(1), "the store is not asked at each use meanwhile");
        tokio::time::advance(UNANSWERED).await;
        assert_eq!(read(&remembered, Some(2)).await, Some(2));
    }

    #[tokio::test]
    async fn what_was_read_while_a_doubt_came_is_doubted() {
        let remembered = Remembered::new(10);
        let slow = async || {
            remembered.doubt(&1);
            Ok(1)
        };
        assert_eq!(remembered.get(&1, slow).await, Ok(1));
        assert_eq!(remembered.peek(&1), None);
        let slow = async || {
            remembered.doubt_all();
            Ok(1)
        };
        assert_eq!(remembered.get(&1, slow).await, Ok(1));
        assert_eq!(remembered.peek(&1), None);
    }
}
