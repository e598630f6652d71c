//! The life of a process: its tasks run until a signal or a failure ends them all.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

#[cfg(test)]
mod tests;

/// Any failure that is only reported.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long an aborted task has to give way. It is dropped at its next `.await`, so only one that blocks
/// its thread needs longer.
const ABORT_LIMIT: Duration = Duration::from_secs(1);
/// Spans of tasks last as long as the process, so they are logged but never traced; see `telemetry`.
pub(crate) const TASK_TARGET: &str = "dockbell_task";

/// The tasks of a process.
#[derive(Default)]
pub struct Lifecycle {
    shutdown: Shutdown,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    running: JoinSet<Result<(), BoxError>>,
    names: HashMap<Id, &'static str>,
}

/// Tells tasks when to stop; clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

/// SIGTERM and SIGINT, which end the process no more once they are caught.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches them from now on. Until then a start that hangs can still be ended by one.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn catch() -> Result<Self, LifecycleError> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }
}

/// Why a process did not end well. It names the first task that failed.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// A task returned an error.
    #[error("run {name}: {source}")]
    Failed {
        /// The task.
        name: &'static str,
        /// What it returned.
        source: BoxError,
    },
    /// A task panicked.
    #[error("run {name}: it panicked: {message}")]
    Panicked {
        /// The task.
        name: &'static str,
        /// What it said.
        message: String,
    },
    /// A task returned although nobody had asked it to.
    #[error("run {name}: it ended before it was asked to")]
    EndedEarly {
        /// The task.
        name: &'static str,
    },
    /// Tasks did not stop within the grace, or before a second signal, and were aborted.
    #[error("stop {} in time", names.join(", "))]
    Aborted {
        /// The tasks.
        names: Vec<&'static str>,
    },
    /// The operating system refuses to deliver signals.
    #[error("listen for signals: {0}")]
    Signals(#[from] std::io::Error),
}

impl Lifecycle {
    /// A process without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// What tasks watch to learn that they must stop.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Starts a task that lives as long as the process.
    ///
    /// One that ends with an error, panics, or ends before shutdown was asked for stops the whole process
    /// with a failure: half a process is worse than none, because nobody restarts it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = Result<(), BoxError>> + Send + 'static) {
        let span = tracing::info_span!(target: TASK_TARGET, "task", task = name);
        let mut tasks = self.tasks();
        let id = tasks.running.spawn(task.instrument(span)).id();
        tasks.names.insert(id, name);
    }

    /// Runs until SIGTERM, SIGINT, a request for shutdown or a failed task; then asks every task to stop,
    /// waits for them up to `grace`, and aborts those that are left. A second signal aborts at once.
    pub async fn run(self, signals: Signals, grace: Duration) -> Result<(), LifecycleError> {
        let Signals { mut terminate, mut interrupt } = signals;
        // Two are all that matter; what comes later finds the channel full and changes nothing.
        let (sender, receiver) = mpsc::channel(2);
        let mut forwarding = JoinSet::new();
        forwarding.spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if sender.try_send(name).is_err() {
                    return;
                }
            }
        });
        self.run_until(grace, receiver).await
    }

    async fn run_until(self, grace: Duration, mut signals: mpsc::Receiver<&'static str>) -> Result<(), LifecycleError> {
        let mut tasks = self.tasks.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut failure = tasks.watch(&self.shutdown, &mut signals).await;
        self.shutdown.request();

        let stopped = async {
            while let Some(ended) = tasks.next_end().await {
                if let Err(error) = ended.judge(Asked::Yes) {
                    tracing::error!(error = %error, "a task failed while it stopped");
                    failure.get_or_insert(error);
                }
            }
        };
        let in_time = tokio::select! {
            () = stopped => true,
            () = sleep(grace) => false,
            Some(signal) = signals.recv() => {
                tracing::warn!(signal, "second signal: aborting what still runs");
                false
            }
        };
        if !in_time {
            let names = tasks.abort().await;
            failure.get_or_insert(LifecycleError::Aborted { names });
        }
        failure.map_or(Ok(()), Err)
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle").field("shutdown", &self.shutdown).finish_non_exhaustive()
    }
}

/// Whether the tasks were asked to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Yes,
    No,
}

/// How one task ended.
struct Ended {
    name: &'static str,
    result: Result<Result<(), BoxError>, JoinError>,
}

impl Ended {
    fn judge(self, asked: Asked) -> Result<(), LifecycleError> {
        let name = self.name;
        match self.result {
            Ok(Ok(())) if asked == Asked::Yes => Ok(()),
            Ok(Ok(())) => Err(LifecycleError::EndedEarly { name }),
            Ok(Err(source)) => Err(LifecycleError::Failed { name, source }),
            Err(error) => Err(LifecycleError::Panicked { name, message: panic_message(error) }),
        }
    }
}

fn panic_message(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "it was aborted".to_owned() };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

impl Tasks {
    /// Returns when the process must stop, with the failure if that is why.
    async fn watch(
        &mut self,
        shutdown: &Shutdown,
        signals: &mut mpsc::Receiver<&'static str>,
    ) -> Option<LifecycleError> {
        loop {
            tokio::select! {
                biased;
                Some(signal) = signals.recv() => {
                    tracing::info!(signal, "shutting down");
                    return None;
                }
                () = shutdown.requested() => {
                    tracing::info!("shutting down as requested");
                    return None;
                }
                Some(ended) = self.next_end() => {
                    let asked = if shutdown.is_requested() { Asked::Yes } else { Asked::No };
                    if let Err(error) = ended.judge(asked) {
                        tracing::error!(error = %error, "shutting down because a task failed");
                        return Some(error);
                    }
                }
            }
        }
    }

    /// `None` when no task is left. Cancelling it loses nothing.
    async fn next_end(&mut self) -> Option<Ended> {
        let joined = self.running.join_next_with_id().await?;
        let (id, result) = match joined {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        Some(Ended { name: self.names.remove(&id).unwrap_or("unnamed"), result })
    }

    /// Aborts what is left and names it.
    async fn abort(&mut self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.names.values().copied().collect();
        names.sort_unstable();
        tracing::error!(tasks = names.join(", "), "aborting tasks that did not stop in time");
        let aborted = async {
            self.running.abort_all();
            while self.running.join_next().await.is_some() {}
        };
        if timeout(ABORT_LIMIT, aborted).await.is_err() {
            tracing::error!("a task blocks its thread; leaving it behind");
            self.running.detach_all();
        }
        names
    }
}

impl Shutdown {
    /// One that nobody asks for, for tests of what watches it.
    pub fn never() -> Self {
        Self::default()
    }

    /// Returns once shutdown is asked for; at once if it was already.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// Whether shutdown was asked for.
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Asks every holder of a clone to stop.
    pub fn request(&self) {
        self.0.cancel();
    }
}
