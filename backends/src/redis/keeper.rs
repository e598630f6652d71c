//! The task that keeps the connection of calls: it makes one, and a new one when it is lost, for ever.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use redis::RedisError;
use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::store::StoreError;

use super::endpoint::{Endpoint, late, verify};
use super::link::{Connected, Link, REST};
use super::marker::Marker;
use super::notices::Position;
use super::persistence::Persistence;
use super::scripts::Scripts;
use super::side::Side;

/// The pauses between two tries to connect are short, because one process makes few.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How often a connection is asked whether it still reaches the right database of a primary.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Keeps the connection to one server.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) side: Side,
    pub(super) scripts: Arc<Scripts>,
    pub(super) endpoint: Endpoint,
    /// What the server of settings said at the last connecting.
    pub(super) persistence: watch::Sender<Persistence>,
}

impl Keeper {
    /// Dropping the future closes nothing and loses nothing.
    pub(super) async fn run(self) {
        let mut pauses = pauses();
        loop {
            match self.connect().await {
                Ok(connection) => {
                    let connected = self.link().open(connection).await;
                    let began = Instant::now();
                    self.watch(&connected).await;
                    if began.elapsed() > REST {
                        pauses = self::pauses();
                    } else {
                        sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
                    }
                }
                Err(error) => {
                    self.link().stay_down(&error.to_string());
                    tracing::debug!(server = %self.endpoint, %error, "failed to connect to redis");
                    sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
                }
            }
        }
    }

    fn link(&self) -> &Link {
        &self.side.link
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut connection = self.endpoint.connect().await?;
        if let Some(marker) = &self.side.marker {
            let limit = self.endpoint.timeouts().connect;
            timeout(limit, self.get_to_know(marker, &mut connection)).await.map_err(late)??;
        }
        // A server that is too slow for this would cost those who call their time.
        timeout(self.endpoint.timeouts().response, verify(&mut connection)).await.map_err(late)??;
        Ok(connection)
    }

    /// Asks what there is to know of the server of settings. The marker is claimed once, at the first time.
    async fn get_to_know(&self, marker: &Marker, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        if !marker.is_known() {
            let mut call = self.scripts.claim.prepare_invoke();
            for name in ["marker", "webhooks"] {
                call.key(self.side.key(name));
            }
            call.arg(u8::from(marker.accepts_empty()));
            let (generation, revision) = call.invoke_async(connection).await?;
            marker.know(generation, revision);
        }
        let persistence = Persistence::ask(connection).await;
        if let Some(note) = persistence.note() {
            tracing::warn!(server = %self.endpoint, note, "redis may lose settings");
        }
        self.persistence.send_replace(persistence);
        Ok(())
    }

    /// Returns when the connection was given up; asks it from time to time, so that this needs no calls.
    async fn watch(&self, connected: &Arc<Connected>) {
        loop {
            if self.ask(connected).await.is_ok() {
                self.link().report(connected, None);
            }
            tokio::select! {
                () = self.link().down() => return,
                () = sleep(ASK_EVERY) => {}
            }
        }
    }

    /// Asks whether the server is a primary, and has the database that is known. The link takes note of
    /// what is wrong.
    async fn ask(&self, connected: &Arc<Connected>) -> Result<(), StoreError> {
        self.link().with_this(connected, verify).await?;
        if self.side.marker.is_some() {
            let call = Position::question(&self.side, &self.scripts)?;
            let ask = async |connection: &mut _| call.invoke_async::<Position>(connection).await;
            self.link().with_this(connected, ask).await?;
        }
        Ok(())
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
