//! Dead letters: messages that were given up, kept for a while and within a bound.

use rusqlite::{Connection, params};

use crate::bus::DeadLetter;

use super::messages::Incoming;
use super::rows;
use super::sweep::Kept;

/// Copies a message from its queue to the dead letters.
pub(super) fn copy(file: &Connection, kept: &Kept, seq: i64, reason: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO dead (queue, reason, at, start_bytes, bytes, id, headers, body)
               SELECT queue, ?2, ?3, coalesce((SELECT start_bytes + bytes FROM dead ORDER BY position DESC LIMIT 1), 0),
               bytes + ?4, id, headers, body FROM messages WHERE seq = ?1";
    file.prepare_cached(sql)?.execute(params![seq, reason, kept.now(), rows::size(reason.len())])?;
    trim(file, kept)
}

/// Stores a message among the dead letters of its queue, on which it never stood.
pub(super) fn insert(file: &Connection, kept: &Kept, message: &Incoming, reason: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO dead (queue, reason, at, start_bytes, bytes, id, headers, body) VALUES
               (?1, ?2, ?3, coalesce((SELECT start_bytes + bytes FROM dead ORDER BY position DESC LIMIT 1), 0),
               ?4, ?5, ?6, ?7)";
    let Incoming { queue, bytes, id, headers, body, .. } = message;
    let (queue, bytes) = (rows::queue_code(*queue), bytes + rows::size(reason.len()));
    file.prepare_cached(sql)?.execute(params![queue, reason, kept.now(), bytes, id, headers, body.as_ref()])?;
    trim(file, kept)
}

/// Lets the oldest go that no longer fit. The last one stays, however large it is.
fn trim(file: &Connection, kept: &Kept) -> rusqlite::Result<()> {
    let sql =
        "WITH last AS (SELECT position, start_bytes + bytes AS end_bytes FROM dead ORDER BY position DESC LIMIT 1)
               DELETE FROM dead WHERE start_bytes < (SELECT end_bytes FROM last) - ?1
               AND position < (SELECT position FROM last)";
    let bound = i64::try_from(kept.limits.dead_bytes).unwrap_or(i64::MAX);
    file.prepare_cached(sql)?.execute([bound]).map(drop)
}

/// Up to `limit` dead letters after `position`. Together they are never larger than their bound in the file.
pub(super) fn letters(file: &Connection, kept: &Kept, position: u64, limit: u32) -> rusqlite::Result<Vec<DeadLetter>> {
    let sql = "SELECT position, queue, reason, at, id, headers, body FROM dead
               WHERE position > ?1 AND at > ?2 ORDER BY position LIMIT ?3";
    let after = i64::try_from(position).unwrap_or(i64::MAX);
    let letter = |row: &rusqlite::Row<'_>| {
        Ok(DeadLetter {
            position: row.get::<_, i64>(0)?.unsigned_abs(),
            queue: rows::queue(row, 1)?,
            reason: row.get(2)?,
            at: rows::time(row, 3)?,
            id: row.get(4)?,
            headers: rows::json(row, 5)?,
            body: row.get::<_, Vec<u8>>(6)?.into(),
        })
    };
    file.prepare_cached(sql)?.query_map([after, kept.dead_until(), limit.into()], letter)?.collect()
}
