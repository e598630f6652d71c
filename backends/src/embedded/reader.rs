//! The reader: one thread with a connection that cannot write.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::mailbox::Mailbox;
use super::status::{Failure, PanicGuard, Status};

/// The most reads that wait for the thread; beyond it callers wait.
const WAITING_LIMIT: usize = 256;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The way to the reading thread.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    mailbox: Arc<Mailbox<Read>>,
    status: Arc<Status>,
    ended: watch::Receiver<()>,
}

impl Reader {
    /// Starts the thread, which holds `lock` until it has ended.
    pub(super) fn start(file: Connection, status: &Arc<Status>, lock: Arc<File>) -> io::Result<Self> {
        let (sender, mut reads) = mpsc::channel::<Read>(WAITING_LIMIT);
        let (alive, ended) = watch::channel(());
        let guard = PanicGuard::new(status, "its reader panicked");
        thread::Builder::new().name("dockbell-reader".to_owned()).spawn(move || {
            while let Some(read) = reads.blocking_recv() {
                read(&file);
            }
            drop((guard, file, lock, alive));
        })?;
        Ok(Self { mailbox: Arc::new(Mailbox::new(sender)), status: Arc::clone(status), ended })
    }

    /// Returns what `read` finds. Everything that was durable when it was called is seen.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (answer, answered) = oneshot::channel();
        // Whoever asked may have stopped waiting.
        self.reserve().await?.post(read, |result| drop(answer.send(result)));
        answered.await.unwrap_or_else(|_| Err(Failure::NotStored("the reader ended before it answered".to_owned())))
    }

    /// A place among the waiting reads. Dropping the future loses nothing.
    pub(super) async fn reserve(&self) -> Result<Place, Failure> {
        self.status.check()?;
        let permit = self.mailbox.reserve().await?;
        Ok(Place { permit, status: Arc::clone(&self.status) })
    }

    pub(super) fn close(&self) {
        self.mailbox.close();
    }

    /// Waits until the thread is gone.
    pub(super) async fn ended(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

/// A place among the waiting reads.
pub(super) struct Place {
    permit: mpsc::OwnedPermit<Read>,
    status: Arc<Status>,
}

impl Place {
    /// Gives what `read` finds to `done`, on the reading thread.
    pub(super) fn post<T: 'static>(
        self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        done: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) {
        let status = self.status;
        self.permit.send(Box::new(move |file| {
            let found = status.check_disk().and_then(|()| read(file).map_err(|error| status.judge(&error)));
            done(found);
        }));
    }
}
