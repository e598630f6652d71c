//! The consuming connection, which is replaced as a whole whenever anything about it is in doubt.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lapin::Connection;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::config::{AmqpConfig, Topology};
use super::connect::{self, CallError, Pauses};
use super::sources::Left;
use super::status::{Common, Status};
use super::topology;
use super::trouble::Part;

/// How often the connection is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often a topology that is not as it must be is looked at.
const CHECK: Duration = Duration::from_secs(15);
/// How often what earlier configurations left is looked for while the topology is as it must be. Rarely, because the broker logs each queue that is looked for in vain.
const FIND: Duration = Duration::from_mins(10);
const LAST_WAIT: Duration = Duration::from_secs(1);

/// One life of the consuming connection. What was handed out in an earlier one comes again.
#[derive(Debug, Clone)]
pub(super) struct Incarnation {
    pub(super) number: u64,
    pub(super) connection: Arc<Connection>,
    /// What earlier configurations left, as the latest look found it.
    pub(super) left: Arc<Left>,
    broken: CancellationToken,
}

impl Incarnation {
    /// Makes it be replaced.
    pub(super) fn give_up(&self) {
        self.broken.cancel();
    }

    /// Whether it is being replaced.
    pub(super) fn is_given_up(&self) -> bool {
        self.broken.is_cancelled()
    }

    /// Returns when it is being replaced.
    pub(super) async fn given_up(&self) {
        self.broken.cancelled().await;
    }
}

/// Where the present incarnation is found; none while the broker is away.
pub(super) type Incarnations = watch::Receiver<Option<Incarnation>>;

/// What keeps the consuming connection.
pub(super) struct Supervisor {
    config: Arc<AmqpConfig>,
    present: watch::Sender<Option<Incarnation>>,
    pauses: Pauses,
    status: Arc<Status>,
    /// What the latest look found to be different from what it must be.
    differences: Vec<String>,
    left: Arc<Left>,
    closed: CancellationToken,
    /// Set when every consumer has ended, after `closed`.
    idle: CancellationToken,
}

impl Supervisor {
    pub(super) fn new(pauses: Pauses, (config, status, closed): Common) -> (Incarnations, Self) {
        let (present, incarnations) = watch::channel(None);
        let idle = CancellationToken::new();
        let (differences, left) = (Vec::new(), Arc::default());
        (incarnations, Self { config, present, pauses, status, differences, left, closed, idle })
    }

    /// Is cancelled to let the connection go after the bus was closed.
    pub(super) fn idle(&self) -> CancellationToken {
        self.idle.clone()
    }

    /// Runs until the bus is closed.
    pub(super) async fn run(mut self) {
        let (mut attempt, mut number) = (0, 0);
        let closed = self.closed.clone();
        loop {
            let Some(connected) = closed.run_until_cancelled(self.connect(attempt)).await else { return };
            attempt += 1;
            if let Some(connection) = connected {
                number += 1;
                self.serve(number, connection).await;
            }
            if closed.run_until_cancelled(tokio::time::sleep(self.pauses.next())).await.is_none() {
                return;
            }
        }
    }

    async fn connect(&mut self, attempt: usize) -> Option<Connection> {
        let connection = match connect::connect(&self.config, "consumer", attempt).await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "failed to connect for consuming");
                self.away(format!("the broker is away: {error}"));
                return None;
            }
        };
        if let Err(error) = self.establish(&connection).await {
            tracing::error!(%error, "failed to establish the topology");
            self.away(format!("failed to establish the topology: {error}"));
            connect::close(&connection, LAST_WAIT).await;
            return None;
        }
        Some(connection)
    }

    fn away(&self, reason: String) {
        self.status.trouble.set(Part::Consuming, Some(reason));
    }

    /// Makes or looks at the topology, and looks for what earlier configurations left.
    async fn establish(&mut self, connection: &Connection) -> Result<(), CallError> {
        let differences = topology::establish(&self.config, connection).await?;
        let operations = format!("exchange {}: ", self.config.options().names.operations);
        let is_there = !differences.iter().any(|difference| difference.starts_with(&operations));
        self.status.may_announce.store(is_there, Ordering::Relaxed);
        self.find_left(connection, differences).await
    }

    /// Looks again. What is as it must be is not declared again, because that would also bind what a process of a
    /// later configuration has unbound; unless a publish was returned, for which something is missing.
    async fn check(&mut self, connection: &Connection, is_doubtful: bool) -> Result<(), CallError> {
        if self.differences.is_empty() && !is_doubtful {
            self.find_left(connection, Vec::new()).await
        } else {
            self.establish(connection).await
        }
    }

    /// A difference is told, and no reason not to work with what is there.
    async fn find_left(&mut self, connection: &Connection, mut differences: Vec<String>) -> Result<(), CallError> {
        let left = Left::find(&self.config, connection).await?;
        // What is not there yet cannot take the place of what was before.
        if self.config.options().topology == Topology::Declare && differences.is_empty() {
            differences.extend(topology::leave_previous(&self.config, connection, left.previous_shards).await?);
        }
        if left != *self.left {
            let queues: Vec<&str> = left.sources.iter().map(|source| source.name.as_str()).collect();
            tracing::info!(?queues, "queues that earlier configurations left are drained");
            self.left = Arc::new(left);
        }
        if differences != self.differences {
            if differences.is_empty() {
                tracing::info!("the topology is as it must be again");
            } else {
                tracing::error!(?differences, "the topology is not as it must be");
            }
        }
        let told = || format!("the topology is not as it must be: {}", differences.join(", "));
        self.status.trouble.set(Part::Topology, (!differences.is_empty()).then(told));
        self.differences = differences;
        Ok(())
    }

    async fn serve(&mut self, number: u64, connection: Connection) {
        let since = Instant::now();
        let (connection, left, broken) = (Arc::new(connection), Arc::clone(&self.left), CancellationToken::new());
        let incarnation = Incarnation { number, connection, left, broken };
        tracing::debug!(number, "consuming connection is up");
        self.status.counters.consuming_connections.fetch_add(1, Ordering::Relaxed);
        self.status.trouble.set(Part::Consuming, None);
        self.present.send_replace(Some(incarnation.clone()));
        let reason = self.watch(&incarnation).await;
        if !self.closed.is_cancelled() {
            tracing::warn!(number, reason, "the consuming connection is replaced");
        }
        self.away(format!("the consuming connection is replaced: {reason}"));
        self.pauses.stood_for(since.elapsed());
        self.present.send_replace(None);
        incarnation.give_up();
        connect::close(&incarnation.connection, LAST_WAIT).await;
    }

    /// A process of the version before that connects anew binds its queues again.
    fn until_check(&self, is_doubtful: bool) -> Duration {
        let is_steady = self.differences.is_empty() && self.left.previous_shards == 0;
        if is_steady && !is_doubtful { FIND } else { CHECK }
    }

    /// Returns when the incarnation is at its end, and why it is.
    async fn watch(&mut self, incarnation: &Incarnation) -> &'static str {
        let mut look = tokio::time::interval(LOOK);
        let (mut latest, mut is_doubtful) = (Instant::now(), false);
        let status = Arc::clone(&self.status);
        let idle = self.idle.clone();
        loop {
            tokio::select! {
                biased;
                () = idle.cancelled() => return "the bus is closed",
                () = incarnation.given_up() => return "a consumer failed",
                _ = look.tick() => if !incarnation.connection.status().connected() {
                    return "it was lost";
                },
                () = status.returned.notified(), if !is_doubtful => is_doubtful = true,
                () = tokio::time::sleep_until(latest + self.until_check(is_doubtful)) => {
                    let checked = tokio::select! {
                        biased;
                        () = idle.cancelled() => return "the bus is closed",
                        () = incarnation.given_up() => return "a consumer failed",
                        checked = self.check(&incarnation.connection, is_doubtful) => checked,
                    };
                    if checked.is_err() {
                        return "the topology could not be looked at";
                    }
                    (latest, is_doubtful) = (Instant::now(), false);
                    let left = Arc::clone(&self.left);
                    self.present.send_replace(Some(Incarnation { left, ..incarnation.clone() }));
                }
            }
        }
    }
}
