//! The data folder: its lock, and the connections to the one file in it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::EmbeddedLimits;
use super::rows::unreadable;

const FILE: &str = "dockbell.db";
const LOCK: &str = "dockbell.lock";
/// The version of the schema that this program reads and writes.
const SCHEMA_VERSION: i64 = 11;
/// What makes each version of the one before it, and the first of nothing. What stands here is never edited.
pub(super) const SCHEMA: [(i64, &str); 11] = [
    (1, include_str!("schema-1.sql")),
    (2, include_str!("schema-2.sql")),
    (3, include_str!("schema-3.sql")),
    (4, include_str!("schema-4.sql")),
    (5, include_str!("schema-5.sql")),
    (6, include_str!("schema-6.sql")),
    (7, include_str!("schema-7.sql")),
    (8, include_str!("schema-8.sql")),
    (9, include_str!("schema-9.sql")),
    (10, include_str!("schema-10.sql")),
    (11, include_str!("schema-11.sql")),
];
/// How long a write waits while an operator looks into the file with a tool that locks it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What the log is cut to once it is folded into the file; a burst may make it longer.
const LOG_BYTES: i64 = 64 * 1024 * 1024;
const PAGE_BYTES: u32 = 4096;
/// More than there are statements, so that each is compiled once.
const STATEMENTS: usize = 128;

/// The data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Stop the other process, or use another folder.
    #[error("the data folder {} is in use by another dockbell process; stop it first, or choose another folder", .0.display())]
    InUse(PathBuf),
    /// Use the version that wrote it, or a later one.
    #[error(
        "the data folder {} was written by a newer version of dockbell (schema {found}, this one reads up to {SCHEMA_VERSION})",
        folder.display()
    )]
    Newer {
        /// The folder.
        folder: PathBuf,
        /// The version of its schema.
        found: i64,
    },
    /// Put the file of keys back that it was sealed with.
    #[error(
        "webhooks in the data folder {} are sealed under the key {key}, which is not in the file of keys; put that file back: without the key nobody reads them",
        folder.display()
    )]
    MissingKey {
        /// The folder.
        folder: PathBuf,
        /// The name of the key.
        key: String,
    },
    /// See the source.
    #[error("the data folder {} cannot be used", folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A data folder that this process alone uses, for as long as the lock lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: Arc<File>,
}

impl Folder {
    /// Makes the folder if there is none, readable by its owner alone because the file holds secrets, and
    /// locks it.
    pub(super) fn claim(path: &Path) -> Result<Self, OpenError> {
        let unusable = |error: io::Error| OpenError::Unusable { folder: path.to_owned(), source: error.into() };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let lock = open_private(&path.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock: Arc::new(lock) }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// The lock, which is released when its last holder is gone.
    pub(super) fn lock(&self) -> Arc<File> {
        Arc::clone(&self.lock)
    }

    /// The one connection that writes, its schema brought to this version.
    pub(super) fn open_to_write(&self, limits: &EmbeddedLimits) -> Result<Connection, OpenError> {
        let path = self.path.join(FILE);
        drop(open_private(&path).map_err(|error| self.unusable(error))?);
        let mut connection = Connection::open(&path).map_err(|error| self.unusable(error))?;
        let found = version(&connection).map_err(|error| self.unusable(error))?;
        if found > SCHEMA_VERSION {
            return Err(OpenError::Newer { folder: self.path.clone(), found });
        }
        prepare(&mut connection, limits, found).map_err(|error| self.unusable(error))?;
        Ok(connection)
    }

    /// A connection that cannot write.
    pub(super) fn open_to_read(&self) -> Result<Connection, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(self.path.join(FILE), flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            Ok(connection)
        };
        open().map_err(|error: rusqlite::Error| self.unusable(error))
    }

    pub(super) fn unusable(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> OpenError {
        OpenError::Unusable { folder: self.path.clone(), source: source.into() }
    }
}

fn open_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(file)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn prepare(connection: &mut Connection, limits: &EmbeddedLimits, found: i64) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(unreadable(0, "its file system does not offer the shared memory that a write-ahead log needs"));
    }
    // NORMAL would lose the last commits when the power fails, although they were answered.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
    let pages = u32::try_from(limits.file_bytes / u64::from(PAGE_BYTES)).unwrap_or(u32::MAX).max(1);
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    if found < SCHEMA_VERSION {
        let transaction = connection.transaction()?;
        for (_, step) in SCHEMA.iter().filter(|(version, _)| *version > found) {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
    }
    Ok(())
}
