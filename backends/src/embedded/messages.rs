//! The messages of the queues in the file.

use bytes::Bytes;
use rusqlite::{Connection, params};

use crate::bus::{Outgoing, PublishError, Queue};

use super::rows;

/// What one fetch reads at most: enough to make it cheap for each message, little enough to be kept.
pub(super) const FETCH_LIMIT: usize = 128;
const FETCH_BYTES: u64 = 1024 * 1024;

/// A message on its way into the file.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) queue: Queue,
    pub(super) bytes: i64,
    pub(super) maybe_repeated: bool,
    pub(super) id: String,
    pub(super) headers: String,
    pub(super) body: Bytes,
}

impl Incoming {
    pub(super) fn new(queue: Queue, message: Outgoing) -> Result<Self, PublishError> {
        let Outgoing { id, key: _, headers, body, maybe_repeated } = message;
        let headers = rows::to_json(&headers).map_err(|error| PublishError::Unavailable(error.0))?;
        let bytes = rows::size(id.len() + headers.len() + body.len());
        Ok(Self { queue, bytes, maybe_repeated, id, headers, body })
    }
}

/// A message as it stands in the file.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) seq: i64,
    pub(super) bytes: u64,
    pub(super) maybe_repeated: bool,
    pub(super) id: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// Which messages a fetch reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fetch {
    /// These, which came back.
    Returned(Vec<i64>),
    /// The next ones after this seq.
    After(i64),
}

/// What a fetch found.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) rows: Vec<Stored>,
    /// Whether there was more to read.
    pub(super) is_cut: bool,
}

impl Fetched {
    fn collect(rows: impl Iterator<Item = rusqlite::Result<Stored>>) -> rusqlite::Result<Self> {
        let (mut fetched, mut bytes) = (Self::default(), 0);
        for row in rows {
            let row = row?;
            bytes += row.bytes;
            fetched.rows.push(row);
            if fetched.rows.len() >= FETCH_LIMIT || bytes >= FETCH_BYTES {
                fetched.is_cut = true;
                break;
            }
        }
        Ok(fetched)
    }
}

/// Stores a message and returns its seq.
pub(super) fn insert(file: &Connection, message: &Incoming) -> rusqlite::Result<i64> {
    let sql = "INSERT INTO messages (queue, bytes, maybe_repeated, id, headers, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let Incoming { queue, bytes, maybe_repeated, id, headers, body } = message;
    let values = params![rows::queue_code(*queue), bytes, maybe_repeated, id, headers, body.as_ref()];
    file.prepare_cached(sql)?.execute(values)?;
    Ok(file.last_insert_rowid())
}

/// Removes a message.
pub(super) fn delete(file: &Connection, seq: i64) -> rusqlite::Result<()> {
    file.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute([seq]).map(drop)
}

/// Reads messages in the order of their seq.
pub(super) fn fetch(file: &Connection, queue: Queue, fetch: &Fetch) -> rusqlite::Result<Fetched> {
    match fetch {
        Fetch::After(seq) => {
            let sql = "SELECT seq, bytes, maybe_repeated, id, headers, body FROM messages
                       WHERE queue = ?1 AND seq > ?2 ORDER BY seq";
            let mut statement = file.prepare_cached(sql)?;
            Fetched::collect(statement.query_map([rows::queue_code(queue), *seq], stored)?)
        }
        Fetch::Returned(seqs) => {
            let sql = "SELECT seq, bytes, maybe_repeated, id, headers, body FROM messages WHERE seq = ?1";
            let mut statement = file.prepare_cached(sql)?;
            let mut find = |seq: &i64| statement.query_map([seq], stored)?.next().transpose();
            Fetched::collect(seqs.iter().filter_map(|seq| find(seq).transpose()))
        }
    }
}

fn stored(row: &rusqlite::Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        seq: row.get(0)?,
        bytes: row.get::<_, i64>(1)?.unsigned_abs(),
        maybe_repeated: row.get(2)?,
        id: row.get(3)?,
        headers: rows::json(row, 4)?,
        body: row.get::<_, Vec<u8>>(5)?.into(),
    })
}
