//! The adapter that needs no servers: both ports on one `SQLite` file in a data folder.
//!
//! One thread writes and commits in groups, another one reads; the runtime never waits for the disk. Who
//! holds which message is known in memory alone: one process owns the file, so that nothing is leased and
//! nothing is polled.

mod access;
mod bus;
mod callbacks;
mod consumer;
mod dead;
mod delayed;
mod enter;
mod file;
mod history;
mod mailbox;
mod marks;
mod messages;
mod newest;
mod page;
mod park;
mod queue;
mod reader;
mod receipt;
mod record;
mod repositories;
mod rows;
mod settled;
mod standing;
mod status;
mod store;
mod sweep;
mod told;
mod trials;
mod waiting;
mod webhooks;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dockbell_proto::clock::Clock;
use tokio::sync::{broadcast, watch};

use crate::keyring::Keyring;
use crate::store::Notice;
pub use file::OpenError;

use delayed::Schedule;
use file::Folder;
use queue::Queues;
use reader::Reader;
use status::Status;
use sweep::Kept;
use writer::{Tasks, Writer};

/// The most notices of changes that a slow reader may be behind; then it looks everything up again.
const NOTICES_LIMIT: usize = 1024;

/// What the file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddedLimits {
    /// The most bytes of the messages of one queue, those that wait for their time among them.
    pub queue_bytes: u64,
    /// The most bytes of dead letters; the oldest go first.
    pub dead_bytes: u64,
    /// How long a dead letter is kept.
    pub dead_kept: Duration,
    /// The most bytes of the whole file. What does not fit is refused, as if the disk were full.
    pub file_bytes: u64,
}

impl Default for EmbeddedLimits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            queue_bytes: 1024 * MIB,
            dead_bytes: 256 * MIB,
            dead_kept: Duration::from_hours(14 * 24),
            // Three full queues, the dead letters, and as much again for history and free pages.
            file_bytes: 8 * 1024 * MIB,
        }
    }
}

/// What the writer has done since the file was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EmbeddedStats {
    /// Writes that are durable.
    pub writes: u64,
    /// Commits that made them so; fewer, because writes that arrive together share one.
    pub commits: u64,
}

/// Both ports on one `SQLite` file.
///
/// Dropping it closes it too, without waiting for it: what was accepted is still written.
#[derive(Debug)]
pub struct Embedded {
    writer: Writer,
    reader: Reader,
    queues: Arc<Queues>,
    schedule: Arc<Schedule>,
    status: Arc<Status>,
    kept: Kept,
    keys: Arc<Keyring>,
    /// None once closed, so that those who listen learn of it.
    notices: Arc<Mutex<Option<broadcast::Sender<Notice>>>>,
}

impl Embedded {
    /// Opens the file in `data_folder`, both of which are made if there are none, and locks the folder
    /// against every other process. Secrets are kept as they are. It reads the totals of the queues and blocks meanwhile.
    pub fn open(data_folder: &Path, clock: Arc<dyn Clock>, limits: EmbeddedLimits) -> Result<Self, OpenError> {
        Self::open_sealed(data_folder, clock, limits, Arc::new(Keyring::none()))
    }

    /// The same with `keys`, which seal secrets.
    pub fn open_sealed(
        data_folder: &Path,
        clock: Arc<dyn Clock>,
        limits: EmbeddedLimits,
        keys: Arc<Keyring>,
    ) -> Result<Self, OpenError> {
        let folder = Folder::claim(data_folder)?;
        let writing = folder.open_to_write(&limits)?;
        let reading = folder.open_to_read()?;
        let unreadable = |error: rusqlite::Error| folder.unusable(error);
        if let Some(key) = webhooks::missing_key(&writing, &keys).map_err(unreadable)? {
            return Err(OpenError::MissingKey { folder: data_folder.to_owned(), key });
        }
        let schedule = Arc::new(Schedule::load(&writing, clock.now()).map_err(unreadable)?);
        let queues = Arc::new(Queues::load(&writing, limits.queue_bytes).map_err(unreadable)?);
        let status = Arc::new(Status::default());
        let kept = Kept { clock, limits };
        let tasks = Tasks { queues: Arc::clone(&queues), schedule: Arc::clone(&schedule), kept: kept.clone() };
        let reader = Reader::start(reading, &status, folder.lock()).map_err(|error| folder.unusable(error))?;
        let writer = Writer::start(writing, tasks, &status, folder.lock()).map_err(|error| folder.unusable(error))?;
        let notices = Arc::new(Mutex::new(Some(broadcast::Sender::new(NOTICES_LIMIT))));
        Ok(Self { writer, reader, queues, schedule, status, kept, keys, notices })
    }

    /// Waits until the disk has failed, and says how. From then on every call fails: what the file holds is
    /// known again only after it was opened anew, so the process should end.
    pub async fn broken(&self) -> String {
        self.status.broken().await
    }

    /// Why the last commit failed, as on a full disk; none while commits succeed. Writes are tried all the
    /// same, so that it ends by itself.
    pub fn trouble(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.status.trouble()
    }

    /// Writes what was accepted, folds the log into the file and gives the folder free. Consumers then yield
    /// none; a receipt that is still held is stale, and its message comes back at the next opening.
    pub async fn close(&self) {
        self.begin_close();
        self.reader.ended().await;
        self.writer.ended().await;
    }

    /// What the writer has done so far.
    pub fn stats(&self) -> EmbeddedStats {
        self.writer.stats()
    }

    fn begin_close(&self) {
        self.status.close();
        self.reader.close();
        self.writer.close();
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.begin_close();
    }
}
