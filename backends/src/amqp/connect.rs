//! Connections and channels, each made within a time.

use std::fmt;
use std::time::Duration;

use lapin::protocol::{AMQPError, AMQPSoftError};
use lapin::{Channel, Connection, ConnectionProperties, DefaultConnectionBuilder, ErrorKind};
use rand::RngExt;
use rand::rngs::StdRng;

use super::config::AmqpConfig;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A connection that stands for so long was not refused by something that will refuse the next, as a consumer
/// that may not consume is at once. Not longer: one that is cut every few seconds is to be back at once, too.
const STEADY: Duration = Duration::from_secs(1);
/// Enough doublings to reach the longest pause.
const DOUBLINGS: u32 = 5;

/// A call to the broker that failed. Its connection is not to be used any more.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum CallError {
    #[error("{0}")]
    Refused(#[from] lapin::Error),
    #[error("no answer to {0} within {1:?}")]
    TimedOut(&'static str, Duration),
    /// It closed the connection; the text says what its operator can do.
    #[error("{0}")]
    NoStreams(String),
}

impl CallError {
    /// What the broker said when it refused the call, closing the channel or the connection; none if it did not
    /// answer.
    pub(super) fn refusal(&self) -> Option<&AMQPError> {
        match self {
            Self::Refused(error) => match error.kind() {
                ErrorKind::ProtocolError(refusal) => Some(refusal),
                _ => None,
            },
            Self::TimedOut(..) | Self::NoStreams(_) => None,
        }
    }

    /// Whether the broker refused the call because there is no such queue or exchange.
    pub(super) fn is_not_found(&self) -> bool {
        self.refusal().is_some_and(|refusal| *refusal.kind() == AMQPSoftError::NOTFOUND.into())
    }
}

/// Bounds a call in time: every one of them was seen to hang.
pub(super) async fn within<T>(
    bound: Duration,
    what: &'static str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(bound, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(CallError::TimedOut(what, bound)),
    }
}

/// Connects to the server of the `attempt`th turn. The connection never recovers by itself: it would stay
/// silent where it cannot.
pub(super) async fn connect(config: &AmqpConfig, purpose: &str, attempt: usize) -> Result<Connection, CallError> {
    let name = format!("dockbell {purpose}");
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let builder = DefaultConnectionBuilder::new()?.with_uri(config.server(attempt)).with_properties(properties);
    let builder = builder.with_tls_config(config.tls());
    within(config.options().connect_timeout, "connect", builder.connect()).await
}

/// A channel of its own for one purpose: a refused call closes the channel it was made on.
pub(super) async fn channel(config: &AmqpConfig, connection: &Connection) -> Result<Channel, CallError> {
    within(config.options().call_timeout, "open a channel", connection.create_channel()).await
}

/// Closes what need not be closed, so that a failure means nothing: it is dropped either way.
pub(super) async fn close_channel(config: &AmqpConfig, channel: &Channel) {
    let closing = within(config.options().call_timeout, "close a channel", channel.close(200, "done".into()));
    if let Err(error) = closing.await {
        tracing::debug!(%error, "failed to close a channel");
    }
}

/// Closes a connection within `bound`, which a blocked one would not do by itself.
pub(super) async fn close(connection: &Connection, bound: Duration) {
    if let Err(error) = within(bound, "close", connection.close(200, "done".into())).await {
        tracing::debug!(%error, "failed to close a connection");
    }
}

/// Pauses between attempts: doubling, with full jitter, so that many processes do not come at once.
#[derive(Debug)]
pub(super) struct Pauses {
    rng: StdRng,
    failures: u32,
}

impl Pauses {
    pub(super) fn new(rng: StdRng) -> Self {
        Self { rng, failures: 0 }
    }

    /// Takes note of a connection that stood for `lifetime`. One that breaks soon counts as a failure.
    pub(super) fn stood_for(&mut self, lifetime: Duration) {
        if lifetime >= STEADY {
            self.failures = 0;
        }
    }

    pub(super) fn next(&mut self) -> Duration {
        let longest = (FIRST_PAUSE * 2u32.pow(self.failures.min(DOUBLINGS))).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        longest.mul_f64(self.rng.random_range(0.1..1.0))
    }
}

/// A connection as it stands in logs.
pub(super) struct Shown<'a>(pub(super) &'a Connection);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.0.status();
        f.debug_struct("Connection")
            .field("connected", &status.connected())
            .field("blocked", &status.blocked())
            .finish()
    }
}
