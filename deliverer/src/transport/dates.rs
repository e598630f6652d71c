//! The clocks of receivers, as the `Date` of their answers tells them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use http::header::DATE;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use tokio::time::Instant;

/// Clocks that differ by no more are left alone: it is less than half of what receivers commonly allow a signature.
const TOLERATED: Duration = Duration::from_mins(2);
/// How often it is told of a host.
const TOLD_EVERY: Duration = Duration::from_hours(1);
/// How many hosts are remembered. If more differ at once the clock is ours, and that was told often enough.
const HOSTS: usize = 1_000;

/// Which hosts were told of lately.
#[derive(Debug, Default)]
pub(super) struct Dates(Mutex<HashMap<String, Instant>>);

/// When an answer says that it was made; none if it says nothing that can be read.
pub(super) fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    read(headers.get(DATE)?.to_str().ok()?)
}

/// A date as HTTP has it.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}

impl Dates {
    /// Tells operators, if the clock of a receiver is far from ours. Signatures carry the time of our clock, and receivers
    /// refuse those that they take for old, or for not yet made.
    pub(super) fn compare(&self, host: &str, date: Timestamp, now: Timestamp) {
        let ahead = date.duration_since(now);
        if ahead.unsigned_abs() <= TOLERATED || !self.is_news(host) {
            return;
        }
        let ahead_s = ahead.as_secs();
        tracing::warn!(
            host,
            clock.ahead_s = ahead_s,
            "the clock of a receiver differs from ours: it may refuse signatures for their time"
        );
    }

    fn is_news(&self, host: &str) -> bool {
        let (mut told, now) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        if told.len() >= HOSTS {
            told.retain(|_, at| now.duration_since(*at) < TOLD_EVERY);
        }
        match told.get(host) {
            Some(at) if now.duration_since(*at) < TOLD_EVERY => return false,
            None if told.len() >= HOSTS => return false,
            _ => {}
        }
        told.insert(host.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[test]
    fn a_date_is_read_as_http_writes_it() {
        let mut headers = HeaderMap::new();
        assert_eq!(date_of(&headers), None);
        for (text, expected) in [("Thu, 01 Jan 1970 00:01:00 GMT", Some(60)), ("yesterday", None), ("", None)] {
            headers.insert(DATE, text.parse().unwrap());
            assert_eq!(date_of(&headers).map(Timestamp::as_second), expected, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_is_told_of_once_an_hour() {
        let dates = Dates::default();
        assert!(dates.is_news("a.test") && dates.is_news("b.test"));
        advance(Duration::from_mins(59)).await;
        assert!(!dates.is_news("a.test"));
        advance(Duration::from_mins(1)).await;
        assert!(dates.is_news("a.test") && !dates.is_news("a.test"));
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_hosts_no_more_are_told_of_until_an_hour_is_over() {
        let dates = Dates::default();
        for number in 0..HOSTS {
            assert!(dates.is_news(&number.to_string()));
        }
        assert!(!dates.is_news("one more"));
        advance(TOLD_EVERY).await;
        assert!(dates.is_news("one more"));
    }
}
