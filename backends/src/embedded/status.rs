//! Whether the file can be trusted, and what a call fails with when it cannot be served.

use std::sync::Arc;
use std::thread;

use rusqlite::{ErrorCode, ffi};
use tokio::sync::watch;

/// Why a call was not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// Nothing was stored.
    #[error("{0}")]
    NotStored(String),
    /// The disk failed meanwhile, so that the log may or may not hold it.
    #[error("{0}")]
    Unknown(String),
    /// The store was closed.
    #[error("the embedded store is closed")]
    Closed,
}

/// Whether the store is open, closed or broken.
#[derive(Debug, Default)]
pub(super) struct Status {
    closed: watch::Sender<bool>,
    broken: watch::Sender<Option<String>>,
    /// Why the last commit failed.
    trouble: watch::Sender<Option<Arc<str>>>,
}

impl Status {
    /// Fails if the store is closed or broken.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if *self.closed.borrow() {
            return Err(Failure::Closed);
        }
        self.check_disk()
    }

    /// Fails if the store is broken. What was accepted before it was closed is still written.
    pub(super) fn check_disk(&self) -> Result<(), Failure> {
        match &*self.broken.borrow() {
            Some(reason) => Err(Failure::NotStored(format!("the embedded store is broken: {reason}"))),
            None => Ok(()),
        }
    }

    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(super) async fn closed(&self) {
        // The sender is a member of this status, so the wait ends by the condition alone.
        if self.closed.subscribe().wait_for(|is_closed| *is_closed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) async fn broken(&self) -> String {
        let reason = self.broken.subscribe().wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    /// Takes note of how a commit ended.
    pub(super) fn committed(&self, result: &Result<(), Failure>) {
        let now: Option<Arc<str>> = result.as_ref().err().map(|failure| failure.to_string().into());
        self.trouble.send_if_modified(|trouble| {
            let changes = *trouble != now;
            *trouble = now;
            changes
        });
    }

    pub(super) fn trouble(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.trouble.subscribe()
    }

    /// Ends the use of the file. The first reason stays.
    pub(super) fn declare_broken(&self, reason: &str) {
        let is_first = self.broken.send_if_modified(|broken| {
            let is_first = broken.is_none();
            broken.get_or_insert_with(|| reason.to_owned());
            is_first
        });
        if is_first {
            tracing::error!(error = reason, "the embedded store is broken and takes nothing more");
        }
    }

    /// What an error of `SQLite` means for the call that met it, and for the store.
    pub(super) fn judge(&self, error: &rusqlite::Error) -> Failure {
        if is_breaking(error) {
            self.declare_broken(&error.to_string());
            return Failure::Unknown(format!("the disk failed: {error}"));
        }
        Failure::NotStored(error.to_string())
    }
}

/// Without its threads the store is of no use, and those who wait must learn of it: dropped by a panic, the
/// guard declares the store broken.
pub(super) struct PanicGuard {
    status: Arc<Status>,
    reason: &'static str,
}

impl PanicGuard {
    pub(super) fn new(status: &Arc<Status>, reason: &'static str) -> Self {
        Self { status: Arc::clone(status), reason }
    }
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if thread::panicking() {
            self.status.declare_broken(self.reason);
        }
    }
}

/// Whether the file cannot be trusted after this error. A failed fsync must not be repeated: the system may
/// have dropped what it could not write and report success the second time.
fn is_breaking(error: &rusqlite::Error) -> bool {
    let Some(error) = error.sqlite_error() else { return false };
    match error.code {
        // Growing the shared memory fails so when the disk is full, before anything is written.
        ErrorCode::SystemIoFailure => error.extended_code != ffi::SQLITE_IOERR_SHMSIZE,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_disk_breaks_the_store_and_a_full_one_does_not() {
        for (code, breaks) in [
            (ffi::SQLITE_IOERR_FSYNC, true),
            (ffi::SQLITE_IOERR_WRITE, true),
            (ffi::SQLITE_IOERR_SHORT_READ, true),
            (ffi::SQLITE_CORRUPT, true),
            (ffi::SQLITE_NOTADB, true),
            (ffi::SQLITE_IOERR_SHMSIZE, false),
            (ffi::SQLITE_FULL, false),
            (ffi::SQLITE_BUSY, false),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, false),
        ] {
            let status = Status::default();
            let failure = status.judge(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            assert_eq!(status.check().is_err(), breaks, "{code}");
            assert_eq!(matches!(failure, Failure::Unknown(_)), breaks, "{code}");
        }
    }

    #[tokio::test]
    async fn the_first_reason_is_the_one_that_is_told() {
        let status = Status::default();
        status.declare_broken("first");
        status.declare_broken("second");
        assert_eq!(status.broken().await, "first");
    }
}
