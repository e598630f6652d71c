//! The writer: one thread that owns the one connection that writes, and commits in groups.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::EmbeddedStats;
use super::delayed::{MoveDue, Schedule};
use super::mailbox::Mailbox;
use super::queue::Queues;
use super::status::{Failure, PanicGuard, Status};
use super::sweep::{Kept, Sweep};

/// The most writes of one commit: enough to make the fsync cheap for each, few enough to answer soon.
const GROUP_LIMIT: usize = 256;
/// The most writes that wait for the thread; beyond it callers wait.
const WAITING_LIMIT: usize = 1024;
/// How often what has expired is removed.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How soon after a sweep that left something over the next one follows.
const SWEEP_ON: Duration = Duration::from_millis(100);

/// One write.
pub(super) trait Write: Send {
    /// Does it inside a transaction. It is called again if the transaction was rolled back because of
    /// another write.
    fn run(&mut self, file: &Connection) -> rusqlite::Result<()>;
    /// Takes note that it is durable, or why it is not.
    fn finish(self: Box<Self>, result: Result<(), Failure>);
}

/// What the thread does by itself.
#[derive(Debug)]
pub(super) struct Tasks {
    pub(super) queues: Arc<Queues>,
    pub(super) schedule: Arc<Schedule>,
    pub(super) kept: Kept,
}

/// The way to the writing thread.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    mailbox: Arc<Mailbox<Box<dyn Write>>>,
    status: Arc<Status>,
    counts: Arc<Counts>,
    ended: watch::Receiver<()>,
}

#[derive(Debug, Default)]
struct Counts {
    writes: AtomicU64,
    commits: AtomicU64,
}

impl Writer {
    /// Starts the thread, which holds `lock` until it has ended.
    pub(super) fn start(file: Connection, tasks: Tasks, status: &Arc<Status>, lock: Arc<File>) -> io::Result<Self> {
        let (sender, writes) = mpsc::channel(WAITING_LIMIT);
        let (alive, ended) = watch::channel(());
        let counts = Arc::new(Counts::default());
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let mut thread = Thread {
            file,
            writes,
            tasks,
            swept_at: Instant::now(),
            sweep_again: Arc::default(),
            status: Arc::clone(status),
            counts: Arc::clone(&counts),
        };
        thread::Builder::new().name("dockbell-writer".to_owned()).spawn(move || {
            thread.run(&runtime);
            drop((thread, lock, alive));
        })?;
        Ok(Self { mailbox: Arc::new(Mailbox::new(sender)), status: Arc::clone(status), counts, ended })
    }

    /// Returns what `run` yielded once it is durable and `committed` has taken note. When the future is
    /// dropped the write may still happen, and `committed` with it; if it does not, both are dropped.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        run: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, Failure> {
        self.reserve().await?.write(run, committed).await
    }

    /// A place among the waiting writes. Dropping the future loses nothing.
    pub(super) async fn reserve(&self) -> Result<Place, Failure> {
        self.check()?;
        self.mailbox.reserve().await.map(Place)
    }

    /// Fails if nothing more is taken.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.status.check()
    }

    pub(super) fn stats(&self) -> EmbeddedStats {
        let Counts { writes, commits } = &*self.counts;
        EmbeddedStats { writes: writes.load(Ordering::Relaxed), commits: commits.load(Ordering::Relaxed) }
    }

    pub(super) fn close(&self) {
        self.mailbox.close();
    }

    /// Waits until the thread is gone and the lock with it.
    pub(super) async fn ended(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

/// A place among the waiting writes.
pub(super) struct Place(mpsc::OwnedPermit<Box<dyn Write>>);

impl Place {
    /// See [`Writer::write`].
    pub(super) async fn write<T: Send + 'static>(
        self,
        run: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, Failure> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Box::new(Call { run, committed, value: None, answer: Some(answer) }));
        answered.await.unwrap_or_else(|_| Err(Failure::Unknown("the writer ended before it answered".to_owned())))
    }

    /// The same without waiting.
    pub(super) fn post<T: Send + 'static>(
        self,
        run: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) {
        self.0.send(Box::new(Call { run, committed, value: None, answer: None }));
    }
}

struct Call<T, R, C> {
    run: R,
    committed: C,
    value: Option<T>,
    answer: Option<oneshot::Sender<Result<T, Failure>>>,
}

impl<T, R, C> Write for Call<T, R, C>
where
    T: Send,
    R: FnMut(&Connection) -> rusqlite::Result<T> + Send,
    C: FnOnce(&T) + Send,
{
    fn run(&mut self, file: &Connection) -> rusqlite::Result<()> {
        self.value = Some((self.run)(file)?);
        Ok(())
    }

    /// What `run` and `committed` hold is settled or dropped before the caller learns of the result.
    fn finish(self: Box<Self>, result: Result<(), Failure>) {
        let Self { run, committed, value, answer } = *self;
        let never_run = || Failure::NotStored("the write was not made".to_owned());
        let answered = result.and_then(|()| value.ok_or_else(never_run)).inspect(committed);
        drop(run);
        // Whoever asked may have stopped waiting; the write stands all the same.
        drop(answer.map(|answer| answer.send(answered)));
    }
}

/// Why a group was not committed.
enum Lost {
    /// One of the writes failed; the others may succeed without it.
    ToOne(Failure),
    /// The file cannot be written, because another program has locked it or the disk failed.
    ToAll(Failure),
}

struct Thread {
    file: Connection,
    writes: mpsc::Receiver<Box<dyn Write>>,
    tasks: Tasks,
    swept_at: Instant,
    sweep_again: Arc<AtomicBool>,
    status: Arc<Status>,
    counts: Arc<Counts>,
}

impl Thread {
    fn run(&mut self, runtime: &Runtime) {
        let guard = PanicGuard::new(&self.status, "its writer panicked");
        while let Some(group) = self.next_group(runtime) {
            self.commit(group);
        }
        drop(guard);
        self.fold();
    }

    /// The writes that wait, after the thread's own that are due; none once the store is closed and
    /// everything that was accepted is done.
    fn next_group(&mut self, runtime: &Runtime) -> Option<Vec<Box<dyn Write>>> {
        let deadline = self.next_sweep().min(self.tasks.schedule.next_at());
        let first = match runtime.block_on(async { timeout_at(deadline, self.writes.recv()).await }) {
            Ok(write) => Some(write?),
            Err(_elapsed) => None,
        };
        let mut group = self.due_tasks();
        group.extend(first);
        while group.len() < GROUP_LIMIT
            && let Ok(write) = self.writes.try_recv()
        {
            group.push(write);
        }
        Some(group)
    }

    fn due_tasks(&mut self) -> Vec<Box<dyn Write>> {
        let mut group: Vec<Box<dyn Write>> = Vec::new();
        let now = Instant::now();
        let Tasks { queues, schedule, kept } = &self.tasks;
        if schedule.is_due() {
            group.push(Box::new(MoveDue::new(Arc::clone(queues), Arc::clone(schedule))));
        }
        if self.next_sweep() <= now {
            group.push(Box::new(Sweep::new(kept.clone(), Arc::clone(&self.sweep_again))));
            self.swept_at = now;
        }
        group
    }

    fn next_sweep(&self) -> Instant {
        self.swept_at + if self.sweep_again.load(Ordering::Relaxed) { SWEEP_ON } else { SWEEP_EVERY }
    }

    /// Commits the writes as one, or, if one of them fails, each on its own: a publish that no longer fits
    /// must not keep the acks from being written that make room for it.
    fn commit(&mut self, mut group: Vec<Box<dyn Write>>) {
        if group.is_empty() {
            return;
        }
        let result = match self.commit_together(&mut group) {
            Ok(()) => {
                self.counts.commits.fetch_add(1, Ordering::Relaxed);
                self.counts.writes.fetch_add(group.len() as u64, Ordering::Relaxed);
                Ok(())
            }
            Err(Lost::ToOne(_)) if group.len() > 1 => {
                for write in group {
                    self.commit(vec![write]);
                }
                return;
            }
            Err(Lost::ToOne(failure) | Lost::ToAll(failure)) => Err(failure),
        };
        self.status.committed(&result);
        for write in group {
            write.finish(result.clone());
        }
    }

    fn commit_together(&mut self, group: &mut [Box<dyn Write>]) -> Result<(), Lost> {
        self.status.check_disk().map_err(Lost::ToAll)?;
        let to_all = |error| Lost::ToAll(self.status.judge(&error));
        let transaction = self.file.transaction_with_behavior(TransactionBehavior::Immediate).map_err(to_all)?;
        let run = group.iter_mut().try_for_each(|write| write.run(&transaction));
        run.and_then(|()| transaction.commit()).map_err(|error| match self.status.judge(&error) {
            failure @ Failure::NotStored(_) => Lost::ToOne(failure),
            failure => Lost::ToAll(failure),
        })
    }

    /// Folds the log into the file. A broken file is left as it is, for the next opening to recover.
    fn fold(&mut self) {
        let folded = match self.status.check_disk() {
            Ok(()) => self.file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())),
            Err(_) => self.file.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop),
        };
        if let Err(error) = folded {
            // Nothing is lost: the log is read at the next opening.
            tracing::warn!(%error, "failed to fold the log of the embedded store into its file");
        }
    }
}
