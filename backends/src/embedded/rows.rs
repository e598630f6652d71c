//! What Rust types are in the columns of the file: times are microseconds since 1970, lists are JSON.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bus::Queue;
use crate::store::StoreError;

type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// The error for a column whose value has no meaning for us.
pub(super) fn unreadable(column: usize, problem: impl Into<Wrong>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, problem.into())
}

/// The column of a text that is parsed.
pub(super) fn parsed<T, E: Into<Wrong>>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    parse(text).map_err(|problem| unreadable(column, problem))
}

/// The column of a JSON text.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    parsed(row, column, |text| serde_json::from_str(text))
}

/// The JSON text for a column.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError(format!("a value has no JSON form: {error}")))
}

/// The same within a transaction.
pub(super) fn json_column<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    to_json(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// A time as a column holds it.
pub(super) fn at(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// The time that a column holds.
pub(super) fn moment(at: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(at).map_err(|problem| unreadable(0, problem))
}

/// The column of a time.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|problem| unreadable(column, problem))
}

/// The column of a time that may be absent.
pub(super) fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        None => Ok(None),
        Some(_) => time(row, column).map(Some),
    }
}

/// A span of time in microseconds; the longest there is, if it is longer.
pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A size as a column holds it.
pub(super) fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The number that stands for a queue in the file. It never changes.
pub(super) fn queue_code(queue: Queue) -> i64 {
    match queue {
        Queue::Events => 1,
        Queue::Deliveries => 2,
        Queue::Redeliveries => 3,
    }
}

/// The column of a queue.
pub(super) fn queue(row: &Row<'_>, column: usize) -> rusqlite::Result<Queue> {
    let code: i64 = row.get(column)?;
    let found = Queue::ALL.into_iter().find(|queue| queue_code(*queue) == code);
    found.ok_or_else(|| unreadable(column, format!("{code} is no queue")))
}
