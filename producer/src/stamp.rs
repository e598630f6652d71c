//! The intake's stamp, which decides the order of events.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// Gives each event a time that is later than that of every event before it, even if the clock stands
/// still or is set back.
#[derive(Debug, Default)]
pub struct Stamper {
    last_us: AtomicI64,
}

impl Stamper {
    /// The stamp of an event that was taken in at `now`.
    pub fn stamp(&self, now: Timestamp) -> Timestamp {
        let now_us = now.as_microsecond();
        let next = |last: i64| now_us.max(last + 1);
        let last = self.last_us.fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(next(last)));
        Timestamp::from_microsecond(next(last.unwrap_or(now_us))).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_increase_although_the_clock_does_not() {
        let stamper = Stamper::default();
        let noon: Timestamp = "2026-01-02T12:00:00Z".parse().unwrap();
        let earlier: Timestamp = "2026-01-02T11:00:00Z".parse().unwrap();
        let stamps = [stamper.stamp(noon), stamper.stamp(noon), stamper.stamp(earlier)];
        assert_eq!(stamps[0], noon);
        assert!(stamps.is_sorted_by(|a, b| a < b), "{stamps:?}");
    }
}
