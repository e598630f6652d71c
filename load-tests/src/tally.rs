//! What arrived of a load that was there from the start, and how fast.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::sink::{Observe, Post, events};

/// The shares of the load between which the rate is taken: the first is slow because connections are made, and of the
/// last nothing can be told but that it ends.
pub(crate) const FROM: f64 = 0.2;
pub(crate) const TO: f64 = 0.9;

/// Counts the events of one run.
#[derive(Debug)]
pub(crate) struct Tally {
    run: String,
    start: Instant,
    /// By the number of the event, how often it arrived.
    seen: Vec<AtomicUsize>,
    /// By their order, when they arrived, in microseconds since the start.
    arrived: Vec<AtomicU64>,
    count: AtomicUsize,
}

impl Tally {
    pub(crate) fn new(run: &str, events: usize) -> Self {
        let seen = (0..events).map(|_| AtomicUsize::new(0)).collect();
        let arrived = (0..events).map(|_| AtomicU64::new(0)).collect();
        Self { run: run.to_owned(), start: Instant::now(), seen, arrived, count: AtomicUsize::new(0) }
    }

    /// How many events there are.
    pub(crate) fn events(&self) -> usize {
        self.seen.len()
    }

    /// Notes an event that arrived now.
    pub(crate) fn note_event(&self, event: usize, at: Instant) {
        let Some(seen) = self.seen.get(event) else { return };
        if seen.fetch_add(1, Ordering::Relaxed) > 0 {
            return;
        }
        if let Some(arrived) = self.arrived.get(self.count.fetch_add(1, Ordering::Relaxed)) {
            let since = at.saturating_duration_since(self.start);
            arrived.store(u64::try_from(since.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// How many have arrived.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether this share of all has arrived.
    pub(crate) fn has(&self, share: f64) -> bool {
        self.count() >= self.place(share)
    }

    /// How many arrived more than once.
    pub(crate) fn repeated(&self) -> usize {
        self.seen.iter().filter(|seen| seen.load(Ordering::Relaxed) > 1).count()
    }

    /// How many arrived per second, once it was well under way.
    pub(crate) fn rate(&self) -> f64 {
        let (from, to) = (self.place(FROM), self.place(TO));
        let at = |place: usize| {
            let at = self.arrived.get(place.saturating_sub(1)).map(|at| at.load(Ordering::Relaxed));
            Duration::from_micros(at.unwrap_or_default())
        };
        let took = at(to).saturating_sub(at(from));
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer events than a float counts exactly")]
        let events = to.saturating_sub(from) as f64;
        events / took.as_secs_f64()
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of events"
    )]
    fn place(&self, share: f64) -> usize {
        (self.seen.len() as f64 * share) as usize
    }
}

impl Observe for Tally {
    fn note(&self, post: &Post<'_>) {
        if post.is_accepted {
            for event in events(post.body, &self.run) {
                self.note_event(event, post.at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_middle_and_repetitions_do_not_count() {
        let tally = Tally::new("r", 100);
        for event in 0..100_u64 {
            let slow_start = Duration::from_secs(if event < 10 { 0 } else { 60 });
            let at = tally.start + slow_start + Duration::from_millis(event * 10);
            tally.note_event(usize::try_from(event).unwrap(), at);
            tally.note_event(5, at);
        }
        assert!(tally.has(1.0) && tally.count() == 100);
        assert_eq!(tally.repeated(), 1);
        assert!((tally.rate() - 100.0).abs() < 0.1, "{}", tally.rate());
    }
}
