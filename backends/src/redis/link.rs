//! The one connection that calls share.
//!
//! The client library neither reconnects after time-outs nor when a primary became a replica. Here a
//! connection is lost after three time-outs in a row, at once when it breaks or the server cannot take
//! writes; then calls fail without waiting until the [`Keeper`](super::keeper::Keeper) has another one. After
//! time-outs that is a second later at the earliest, and for a while the next one is lost after one of them, so that
//! a slow server costs one call a second its time.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, FromRedisValue, RedisError, ScriptInvocation, ServerErrorKind};
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

use crate::store::StoreError;

use super::stats::{RedisServerStats, Tally};
use super::trouble::Troubles;

/// How many calls in a row may time out before the connection is given up.
const TIMEOUTS_ALLOWED: u32 = 3;
/// How long after that one is enough.
const PROBATION: Duration = Duration::from_secs(30);
/// What shows that this process is late: a time-out that is looked at so long after its time.
const LATE: Duration = Duration::from_millis(20);
/// How long calls fail at once after time-outs.
pub(super) const REST: Duration = Duration::from_secs(1);
/// What an operator can do when the database is not the one that was known.
const WHAT_TO_DO: &str = "restore it, or restart every process of dockbell to take it as it is";

/// The way to one server.
#[derive(Debug)]
pub(super) struct Link {
    /// What the server is called.
    server: String,
    state: watch::Sender<State>,
    response: Duration,
    /// When a connection was last given up after time-outs.
    timed_out_at: Mutex<Option<Instant>>,
    troubles: Arc<Troubles>,
    tally: Tally,
}

/// Whether there is a connection.
#[derive(Debug, Clone)]
pub(super) enum State {
    Up(Arc<Connected>),
    Down(Lost),
}

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    why: String,
    /// When a new one may be used.
    rests_until: Option<Instant>,
}

pub(super) struct Connected {
    connection: MultiplexedConnection,
    timeouts_in_a_row: AtomicU32,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected").field("timeouts_in_a_row", &self.timeouts_in_a_row).finish_non_exhaustive()
    }
}

/// What an error says about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// The server answered, and may go on to.
    None,
    TimedOut,
    /// It answered that the database is not the one that is meant.
    Estranged,
    /// Nothing more is to be expected of it.
    Lost,
}

impl Link {
    /// A way that is closed until [`Link::open`].
    pub(super) fn new(server: String, response: Duration, troubles: Arc<Troubles>) -> Self {
        let why = "not connected yet".to_owned();
        troubles.report(&server, Some(&why));
        let state = watch::Sender::new(State::Down(Lost { why, rests_until: None }));
        Self { server, state, response, timed_out_at: Mutex::default(), troubles, tally: Tally::default() }
    }

    /// Runs the script. Whether an error means that it had no effect is not known.
    pub(super) async fn call<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        self.with(async |connection| call.invoke_async(connection).await).await
    }

    /// Gives the connection to `ask`, for which the time-out holds.
    pub(super) async fn with<T>(
        &self,
        ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        let connected = match &*self.state.borrow() {
            State::Up(connected) => Arc::clone(connected),
            State::Down(lost) => return Err(StoreError(lost.why.clone())),
        };
        self.with_this(&connected, ask).await
    }

    /// Gives this connection to `ask`, although another one may have taken its place.
    pub(super) async fn with_this<T>(
        &self,
        connected: &Arc<Connected>,
        ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        let mut connection = connected.connection.clone();
        match self.in_time(ask(&mut connection)).await {
            Ok(Ok(answer)) => {
                connected.timeouts_in_a_row.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => {
                self.take_note(connected, harm(&error), &error.to_string());
                Err(StoreError(error.to_string()))
            }
            Err(_) => {
                let why = "no answer in time";
                self.take_note(connected, Harm::TimedOut, why);
                Err(StoreError(why.to_owned()))
            }
        }
    }

    /// What comes of it in time. If it is this process that is late, because it has too much to do, the answer may be here and
    /// nobody has looked yet: then it gets more time.
    async fn in_time<T>(&self, asked: impl Future<Output = T>) -> Result<T, Elapsed> {
        let (began, mut asked) = (Instant::now(), pin!(asked));
        let answered = timeout(self.response, asked.as_mut()).await;
        let late = began.elapsed().saturating_sub(self.response);
        if answered.is_ok() || late < LATE { answered } else { timeout(late * 4, asked).await }
    }

    fn take_note(&self, connected: &Arc<Connected>, harm: Harm, why: &str) {
        match harm {
            Harm::None => connected.timeouts_in_a_row.store(0, Ordering::Relaxed),
            Harm::Estranged => self.report(connected, Some(&format!("{why}; {WHAT_TO_DO}"))),
            Harm::Lost => self.lose(connected, why, None),
            Harm::TimedOut => {
                self.tally.timed_out();
                let before = connected.timeouts_in_a_row.fetch_add(1, Ordering::Relaxed);
                if before + 1 >= self.timeouts_allowed() {
                    *self.timed_out_at() = Some(Instant::now());
                    self.lose(connected, why, Some(Instant::now() + REST));
                }
            }
        }
    }

    fn timeouts_allowed(&self) -> u32 {
        if self.timed_out_at().is_some_and(|at| at.elapsed() < PROBATION) { 1 } else { TIMEOUTS_ALLOWED }
    }

    fn timed_out_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.timed_out_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the connection up, unless that was done already.
    fn lose(&self, connected: &Arc<Connected>, why: &str, rests_until: Option<Instant>) {
        let lost = self.state.send_if_modified(|state| {
            let is_current = state.is(connected);
            if is_current {
                self.troubles.report(&self.server, Some(why));
                *state = State::Down(Lost { why: why.to_owned(), rests_until });
            }
            is_current
        });
        if lost {
            tracing::warn!(server = self.server, error = why, "lost the connection to redis");
        }
    }

    /// Says what is wrong with the server, unless the connection is not that of calls any more.
    pub(super) fn report(&self, connected: &Arc<Connected>, why: Option<&str>) {
        let state = self.state.borrow();
        if state.is(connected) {
            self.troubles.report(&self.server, why);
        }
    }

    /// Uses the connection for calls from now on, but not before those who called may try again.
    pub(super) async fn open(&self, connection: MultiplexedConnection) -> Arc<Connected> {
        let rests_until = match &*self.state.borrow() {
            State::Down(lost) => lost.rests_until,
            State::Up(_) => None,
        };
        if let Some(until) = rests_until {
            tokio::time::sleep_until(until).await;
        }
        let connected = Arc::new(Connected { connection, timeouts_in_a_row: AtomicU32::new(0) });
        self.state.send_replace(State::Up(Arc::clone(&connected)));
        self.tally.connected();
        tracing::info!(server = self.server, "connected to redis");
        connected
    }

    /// Takes note of why there is no connection.
    pub(super) fn stay_down(&self, why: &str) {
        self.state.send_if_modified(|state| {
            self.troubles.report(&self.server, Some(why));
            *state = State::Down(Lost { why: why.to_owned(), rests_until: None });
            true
        });
    }

    pub(super) fn stats(&self) -> RedisServerStats {
        self.tally.read()
    }

    /// Why there is no connection.
    pub(super) fn why_down(&self) -> String {
        match &*self.state.borrow() {
            State::Down(lost) => lost.why.clone(),
            State::Up(_) => "not connected yet".to_owned(),
        }
    }

    /// Says when the connection is another one.
    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Waits until there is none.
    pub(super) async fn down(&self) {
        // It cannot fail: the sender is ours.
        drop(self.state.subscribe().wait_for(|state| matches!(state, State::Down(_))).await);
    }
}

impl State {
    pub(super) fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }

    fn is(&self, connected: &Arc<Connected>) -> bool {
        matches!(self, Self::Up(current) if Arc::ptr_eq(current, connected))
    }
}

fn harm(error: &RedisError) -> Harm {
    if error.is_timeout() {
        return Harm::TimedOut;
    }
    if error.code() == Some("AWAY") {
        return Harm::Estranged;
    }
    let cannot_write = matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::Moved
                | ServerErrorKind::ClusterDown
        )
    );
    if cannot_write || error.is_io_error() || error.is_unrecoverable_error() { Harm::Lost } else { Harm::None }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;
    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_waited_for_longer_by_who_is_late_himself() {
        let link = Link::new("a server".to_owned(), Duration::from_millis(500), Arc::default());
        assert!(link.in_time(sleep(Duration::from_millis(400))).await.is_ok());
        assert!(link.in_time(sleep(Duration::from_millis(600))).await.is_err());
        // Nobody looked at the time-out before 800 ms were over.
        let at_once = advance(Duration::from_millis(800));
        assert!(join(link.in_time(sleep(Duration::from_secs(1))), at_once).await.0.is_ok());
        let at_once = advance(Duration::from_millis(800));
        assert!(join(link.in_time(sleep(Duration::from_millis(2_100))), at_once).await.0.is_err());
    }
}
