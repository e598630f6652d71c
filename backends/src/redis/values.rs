//! What Rust types are in Redis: times are microseconds since 1970, everything else with members is JSON.

use std::fmt::Display;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use crate::store::StoreError;

/// A number or an id that is told as a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// What is said of a value that has no meaning for us. It does not show the value, which may be a secret.
pub(super) fn unreadable(what: &str, problem: impl Display) -> StoreError {
    StoreError(format!("the {what} in redis cannot be read: {problem}"))
}

pub(super) fn json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| unreadable(what, format!("{:?} error", error.classify())))
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError(format!("a value has no JSON form: {error}")))
}

pub(super) fn time(what: &str, micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|error| unreadable(what, error))
}

/// A span of time in microseconds; the longest there is, if it is longer.
pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A bound in milliseconds for what expires by the clock of the caller: a little longer, so that the server
/// forgets nothing too early.
pub(super) fn bound_ms(kept: Duration) -> u64 {
    u64::try_from((kept + Duration::from_mins(1)).as_millis()).unwrap_or(u64::MAX)
}
