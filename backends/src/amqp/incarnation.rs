//! The consuming connection, which is replaced as a whole whenever anything about it is in doubt.

use std::sync::Arc;
use std::time::Duration;

use lapin::Connection;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::config::AmqpConfig;
use super::connect::{self, Pauses};
use super::topology;

/// How often the connection is looked at.
const LOOK: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_secs(1);

/// One life of the consuming connection. What was handed out in an earlier one comes again.
#[derive(Debug, Clone)]
pub(super) struct Incarnation {
    pub(super) number: u64,
    pub(super) connection: Arc<Connection>,
    broken: CancellationToken,
}

impl Incarnation {
    /// Makes it be replaced.
    pub(super) fn give_up(&self) {
        self.broken.cancel();
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
    closed: CancellationToken,
    /// Set when every consumer has ended, after `closed`.
    idle: CancellationToken,
}

impl Supervisor {
    pub(super) fn new(config: Arc<AmqpConfig>, pauses: Pauses, closed: CancellationToken) -> (Incarnations, Self) {
        let (present, incarnations) = watch::channel(None);
        let idle = CancellationToken::new();
        (incarnations, Self { config, present, pauses, closed, idle })
    }

    /// Is cancelled to let the connection go after the bus was closed.
    pub(super) fn idle(&self) -> CancellationToken {
        self.idle.clone()
    }

    /// Runs until the bus is closed. `first` has its topology already.
    pub(super) async fn run(mut self, first: Connection) {
        let mut number = 1;
        let mut next = Some(first);
        loop {
            let Some(connection) = next.take() else {
                let Some(pause) = self.closed.run_until_cancelled(tokio::time::sleep(self.pauses.next())).await else {
                    return;
                };
                let () = pause;
                next = self.closed.clone().run_until_cancelled(self.connect(number)).await.flatten();
                number += 1;
                continue;
            };
            let since = Instant::now();
            let broken = CancellationToken::new();
            let incarnation = Incarnation { number, connection: Arc::new(connection), broken };
            tracing::debug!(number, "consuming connection is up");
            self.present.send_replace(Some(incarnation.clone()));
            self.watch(&incarnation).await;
            self.pauses.stood_for(since.elapsed());
            self.present.send_replace(None);
            incarnation.give_up();
            connect::close(&incarnation.connection, LAST_WAIT).await;
            if self.closed.is_cancelled() {
                return;
            }
        }
    }

    async fn connect(&self, number: u64) -> Option<Connection> {
        let attempt = usize::try_from(number).unwrap_or_default();
        let connection = match connect::connect(&self.config, "consumer", attempt).await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "failed to connect for consuming");
                return None;
            }
        };
        match topology::establish(&self.config, &connection).await {
            Ok(()) => Some(connection),
            Err(error) => {
                tracing::error!(%error, "failed to establish the topology");
                connect::close(&connection, LAST_WAIT).await;
                None
            }
        }
    }

    /// Returns when the incarnation is at its end.
    async fn watch(&self, incarnation: &Incarnation) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = incarnation.given_up() => {
                    tracing::warn!(number = incarnation.number, "gave up the consuming connection");
                    return;
                }
                () = self.idle.cancelled() => return,
                _ = look.tick() => if !incarnation.connection.status().connected() {
                    tracing::warn!(number = incarnation.number, "lost the consuming connection");
                    return;
                }
            }
        }
    }
}
