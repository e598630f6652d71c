//! The one connection that calls share, and its keeper, which makes a new one when it is lost.
//!
//! The client library neither reconnects after time-outs nor when a primary became a replica. Here a
//! connection is lost after three time-outs in a row, at once when it breaks or the server cannot take
//! writes; then calls fail without waiting until the keeper has another one. After time-outs that is a
//! second later at the earliest, so that a slow server costs callers little.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, FromRedisValue, RedisError, ScriptInvocation, ServerErrorKind};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::store::StoreError;

use super::endpoint::{Endpoint, verify};

/// How many calls in a row may time out before the connection is given up.
const TIMEOUTS_ALLOWED: u32 = 3;
/// How long calls fail at once after time-outs.
const REST: Duration = Duration::from_secs(1);
/// The pauses between two tries to connect are short, because one process makes few.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How often an idle connection is asked whether it still reaches a primary.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The way to one server.
#[derive(Debug)]
pub(super) struct Link {
    state: watch::Sender<State>,
    response: Duration,
}

#[derive(Debug, Clone)]
enum State {
    Up(Arc<Connected>),
    Down(Lost),
}

/// Why there is no connection.
#[derive(Debug, Clone)]
struct Lost {
    why: String,
    /// When a new one may be used.
    rests_until: Option<Instant>,
}

struct Connected {
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
    /// Nothing more is to be expected of it.
    Lost,
}

impl Link {
    /// A way that is closed until [`Link::keep`] runs.
    pub(super) fn new(response: Duration) -> Self {
        let lost = Lost { why: "not connected yet".to_owned(), rests_until: None };
        Self { state: watch::Sender::new(State::Down(lost)), response }
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
        let mut connection = connected.connection.clone();
        match timeout(self.response, ask(&mut connection)).await {
            Ok(Ok(answer)) => {
                connected.timeouts_in_a_row.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => {
                self.take_note(&connected, harm(&error), &error.to_string());
                Err(StoreError(error.to_string()))
            }
            Err(_) => {
                let why = "no answer in time";
                self.take_note(&connected, Harm::TimedOut, why);
                Err(StoreError(why.to_owned()))
            }
        }
    }

    fn take_note(&self, connected: &Arc<Connected>, harm: Harm, why: &str) {
        match harm {
            Harm::None => connected.timeouts_in_a_row.store(0, Ordering::Relaxed),
            Harm::Lost => self.lose(connected, why, None),
            Harm::TimedOut => {
                let before = connected.timeouts_in_a_row.fetch_add(1, Ordering::Relaxed);
                if before + 1 >= TIMEOUTS_ALLOWED {
                    self.lose(connected, why, Some(Instant::now() + REST));
                }
            }
        }
    }

    /// Gives the connection up, unless that was done already.
    fn lose(&self, connected: &Arc<Connected>, why: &str, rests_until: Option<Instant>) {
        let lost = self.state.send_if_modified(|state| {
            let is_current = matches!(state, State::Up(current) if Arc::ptr_eq(current, connected));
            if is_current {
                *state = State::Down(Lost { why: why.to_owned(), rests_until });
            }
            is_current
        });
        if lost {
            tracing::warn!(error = why, "lost the connection to redis");
        }
    }

    /// Waits until there is a connection; says why there is none if that takes longer than `patience`.
    pub(super) async fn up(&self, patience: Duration) -> Result<(), String> {
        let mut state = self.state.subscribe();
        let waited = timeout(patience, state.wait_for(|state| matches!(state, State::Up(_)))).await.map(|_| ());
        match (waited, &*self.state.borrow()) {
            (Err(_), State::Down(lost)) => Err(lost.why.clone()),
            _ => Ok(()),
        }
    }

    /// Gives the connection up for good. Nothing may keep it any more.
    pub(super) fn close(&self) {
        self.state.send_replace(State::Down(Lost { why: "the store is closed".to_owned(), rests_until: None }));
    }

    /// Keeps a connection to `endpoint`, for ever. Dropping the future closes nothing and loses nothing.
    pub(super) async fn keep(self: Arc<Self>, endpoint: Endpoint) {
        let mut pauses = pauses();
        loop {
            match endpoint.connect().await {
                Ok(connection) => {
                    let connected = Arc::new(Connected { connection, timeouts_in_a_row: AtomicU32::new(0) });
                    self.rest().await;
                    self.state.send_replace(State::Up(Arc::clone(&connected)));
                    tracing::info!(server = %endpoint, "connected to redis");
                    let began = Instant::now();
                    self.watch(&connected).await;
                    if began.elapsed() > REST {
                        pauses = self::pauses();
                    } else {
                        sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
                    }
                }
                Err(error) => {
                    let rests_until = None;
                    self.state.send_replace(State::Down(Lost { why: error.to_string(), rests_until }));
                    tracing::debug!(server = %endpoint, %error, "failed to connect to redis");
                    sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
                }
            }
        }
    }

    async fn rest(&self) {
        let until = match &*self.state.borrow() {
            State::Down(lost) => lost.rests_until,
            State::Up(_) => None,
        };
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }

    /// Returns when the connection was given up; asks it from time to time, so that this needs no calls.
    async fn watch(&self, connected: &Arc<Connected>) {
        let mut state = self.state.subscribe();
        loop {
            tokio::select! {
                // It cannot fail: the sender is ours.
                _ = state.wait_for(|state| matches!(state, State::Down(_))) => return,
                () = sleep(ASK_EVERY) => {}
            }
            let mut connection = connected.connection.clone();
            match timeout(self.response, verify(&mut connection)).await {
                Ok(Ok(())) => connected.timeouts_in_a_row.store(0, Ordering::Relaxed),
                Ok(Err(error)) => self.take_note(connected, harm(&error), &error.to_string()),
                Err(_) => self.take_note(connected, Harm::TimedOut, "no answer in time"),
            }
        }
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}

fn harm(error: &RedisError) -> Harm {
    if error.is_timeout() {
        return Harm::TimedOut;
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
