//! What people decided about dead letters.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::store::marks::{Decision, LetterId, MARKS_KEPT, Mark};

use super::rows;

/// Notes what was decided at `now`.
pub(super) fn put(file: &Connection, letters: &[LetterId], decision: Decision, now: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO dead_marks (position, died_at, decision, at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (position, died_at) DO UPDATE SET
               decision = excluded.decision, at = excluded.at, expires_at = excluded.expires_at";
    let expires_at = now.saturating_add(rows::micros(MARKS_KEPT));
    let mut statement = file.prepare_cached(sql)?;
    for letter in letters {
        let (position, died_at) = key(letter);
        statement.execute(params![position, died_at, decision.as_str(), now, expires_at])?;
    }
    Ok(())
}

/// What was decided about each and has not expired at `now`, in the order asked.
pub(super) fn find(file: &Connection, letters: &[LetterId], now: i64) -> rusqlite::Result<Vec<Option<Mark>>> {
    let sql = "SELECT decision, at FROM dead_marks WHERE position = ?1 AND died_at = ?2 AND expires_at > ?3";
    let mut statement = file.prepare_cached(sql)?;
    let find = |letter: &LetterId| {
        let (position, died_at) = key(letter);
        statement.query_row([position, died_at, now], mark).optional()
    };
    letters.iter().map(find).collect()
}

fn key(letter: &LetterId) -> (i64, i64) {
    (i64::try_from(letter.position).unwrap_or(i64::MAX), letter.at.as_microsecond())
}

fn mark(row: &Row<'_>) -> rusqlite::Result<Mark> {
    let parse = |name: &str| Decision::parse(name).ok_or_else(|| format!("{name} is no decision"));
    Ok(Mark { decision: rows::parsed(row, 0, parse)?, at: rows::time(row, 1)? })
}
