//! The outcomes that are kept for those who ask whether an attempt was made.

use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::AttemptId;
use dockbell_proto::outcome::Verdict;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows;

/// The verdicts of the attempts that are settled at `now`, in the order asked.
pub(super) fn verdicts(file: &Connection, attempts: &[AttemptId], now: i64) -> rusqlite::Result<Vec<Option<Verdict>>> {
    let sql = "SELECT verdict FROM settled WHERE delivery = ?1 AND request = ?2 AND ordinal = ?3 AND expires_at > ?4";
    let mut statement = file.prepare_cached(sql)?;
    let verdict = |attempt: &AttemptId| {
        let values = params![attempt.delivery.as_str(), attempt.request, attempt.ordinal, now];
        statement.query_row(values, |row| rows::json(row, 0)).optional()
    };
    attempts.iter().map(verdict).collect()
}

/// Whether the attempt of this ordinal, or a later one of the same request, is settled at `now`.
pub(super) fn is_settled_from(
    file: &Connection,
    delivery: &Delivery,
    ordinal: u32,
    now: i64,
) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM settled WHERE delivery = ?1 AND request = ?2 AND ordinal >= ?3 AND expires_at > ?4";
    file.prepare_cached(sql)?.exists(params![delivery.id.as_str(), delivery.request, ordinal, now])
}
