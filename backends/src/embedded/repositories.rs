//! When each repository was first seen.

use dockbell_proto::names::{Registry, Repository};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows;

/// When the repository was first seen, if it was.
pub(super) fn first_seen(
    file: &Connection,
    registry: &Registry,
    repository: &Repository,
) -> rusqlite::Result<Option<Timestamp>> {
    let sql = "SELECT first_seen FROM repositories WHERE registry = ?1 AND repository = ?2";
    let values = [registry.as_str(), repository.as_str()];
    file.prepare_cached(sql)?.query_row(values, |row| rows::time(row, 0)).optional()
}

/// Takes note that the repository was seen, unless it was seen before.
pub(super) fn see(
    file: &Connection,
    registry: &Registry,
    repository: &Repository,
    candidate: Timestamp,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO repositories (registry, repository, first_seen) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    let values = params![registry.as_str(), repository.as_str(), candidate.as_microsecond()];
    file.prepare_cached(sql)?.execute(values).map(drop)
}
