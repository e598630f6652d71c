//! The publishing side: one connection of its own, because an alarm of the broker blocks all of a connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Connection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::bus::PublishError;

use super::config::AmqpConfig;
use super::connect::{self, CallError, Pauses, within};
use super::flight::{Answer, Flight, Identity};

/// Publishes that wait to be written; those behind them wait for a place.
const WAITING: usize = 64;
/// How often the connection is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long a publish may hang on a blocked connection before its publisher is told.
const BLOCKED_GRACE: Duration = Duration::from_secs(1);
/// How long a queue counts as full after it refused a message.
const FULL_FOR: Duration = Duration::from_secs(5);
/// How long the last confirmations are waited for when the bus is closed.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// A message and where it goes.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) identity: Identity,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

/// Hands messages to the publishing connection.
#[derive(Debug, Clone)]
pub(super) struct Publisher {
    waiting: mpsc::Sender<(Publish, Answer)>,
    full: Arc<Full>,
}

/// Which queues refused a message lately, by exchange and key.
#[derive(Debug, Default)]
pub(super) struct Full(Mutex<HashMap<(String, String), Instant>>);

impl Full {
    fn note(&self, identity: &Identity, result: &Result<(), PublishError>) {
        let mut full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (identity.exchange.clone(), identity.key.clone());
        match result {
            Err(PublishError::Unavailable(_)) => {
                full.insert(place, Instant::now());
            }
            Ok(()) if !full.is_empty() => {
                full.remove(&place);
            }
            _ => {}
        }
    }

    fn holds_any(&self, matches: impl Fn(&str, &str) -> bool) -> bool {
        let full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        full.iter().any(|((exchange, key), since)| since.elapsed() < FULL_FOR && matches(exchange, key))
    }

    fn forget(&self, matches: impl Fn(&str, &str) -> bool) {
        let mut full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        full.retain(|(exchange, key), _| !matches(exchange, key));
    }

    fn holds(&self, exchange: &str, key: &str) -> bool {
        let full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !full.is_empty()
            && full.get(&(exchange.to_owned(), key.to_owned())).is_some_and(|since| since.elapsed() < FULL_FOR)
    }
}

impl Publisher {
    /// Returns once the broker has confirmed. Dropped before, the message may be published all the same.
    pub(super) async fn publish(&self, publish: Publish) -> Result<(), PublishError> {
        let closed = || PublishError::Unavailable("the bus is closed".to_owned());
        let (answer, result) = oneshot::channel();
        self.waiting.send((publish, answer)).await.map_err(|_| closed())?;
        result.await.unwrap_or_else(|_| Err(PublishError::Unknown("the bus was closed".to_owned())))
    }

    /// Whether the queue behind `exchange` and `key` refused a message within the last seconds.
    pub(super) fn is_full(&self, exchange: &str, key: &str) -> bool {
        self.full.holds(exchange, key)
    }

    /// Whether one of the queues behind the exchanges and keys that match refused a message within the last seconds.
    pub(super) fn is_any_full(&self, matches: impl Fn(&str, &str) -> bool) -> bool {
        self.full.holds_any(matches)
    }

    /// The queues behind the exchanges and keys that match were seen to have room again.
    pub(super) fn note_room(&self, matches: impl Fn(&str, &str) -> bool) {
        self.full.forget(matches);
    }
}

/// What keeps the publishing connection.
pub(super) struct PublisherTask {
    config: Arc<AmqpConfig>,
    waiting: mpsc::Receiver<(Publish, Answer)>,
    full: Arc<Full>,
    pauses: Pauses,
    closed: CancellationToken,
}

/// A connection with a channel that confirms.
pub(super) struct Line {
    connection: Connection,
    channel: Channel,
}

impl Line {
    pub(super) async fn open(config: &AmqpConfig, attempt: usize) -> Result<Self, CallError> {
        let connection = connect::connect(config, "publisher", attempt).await?;
        let channel = connect::channel(config, &connection).await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        within(config.options().call_timeout, "ask for confirmations", confirming).await?;
        Ok(Self { connection, channel })
    }
}

/// Why a connection is left.
enum End {
    Broken(String),
    Closed,
}

impl PublisherTask {
    pub(super) fn new(config: Arc<AmqpConfig>, pauses: Pauses, closed: CancellationToken) -> (Publisher, Self) {
        let (sender, waiting) = mpsc::channel(WAITING);
        let full = Arc::new(Full::default());
        let publisher = Publisher { waiting: sender, full: Arc::clone(&full) };
        (publisher, Self { config, waiting, full, pauses, closed })
    }

    /// Runs until the bus is closed.
    pub(super) async fn run(mut self, first: Line) {
        let (mut line, mut attempt) = (Some(first), 0);
        while !self.closed.is_cancelled() {
            if let Some(line) = line.take() {
                let since = Instant::now();
                let end = self.serve(&line).await;
                self.pauses.stood_for(since.elapsed());
                if let End::Broken(reason) = end {
                    tracing::warn!(reason, line = ?connect::Shown(&line.connection), "lost the publishing connection");
                }
            }
            attempt += 1;
            let (config, pause) = (Arc::clone(&self.config), self.pauses.next());
            let connecting = async move {
                tokio::time::sleep(pause).await;
                Line::open(&config, attempt).await
            };
            match self.refuse_during(connecting).await {
                Some(Ok(opened)) => line = Some(opened),
                Some(Err(error)) => tracing::warn!(%error, "failed to connect for publishing"),
                None => return,
            }
        }
    }

    /// Waits, and meanwhile tells publishers that the broker is away. None when the bus is closed.
    async fn refuse_during<T>(&mut self, wait: impl Future<Output = T>) -> Option<T> {
        let mut wait = std::pin::pin!(wait);
        loop {
            tokio::select! {
                biased;
                () = self.closed.cancelled() => return None,
                result = &mut wait => return Some(result),
                waiting = self.waiting.recv() => {
                    let (_, answer) = waiting?;
                    // A publisher that stopped waiting does not want to know.
                    drop(answer.send(Err(PublishError::Unavailable("the broker is away".to_owned()))));
                }
            }
        }
    }

    async fn serve(&mut self, line: &Line) -> End {
        let mut flight = Flight::default();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            let has_room = flight.len() < usize::from(self.config.options().in_flight.get()) && !flight.must_settle();
            let is_blocked = line.connection.status().blocked();
            tokio::select! {
                biased;
                () = self.closed.cancelled() => break End::Closed,
                progress = flight.progress() => match progress {
                    Ok(()) => self.tell(&mut flight),
                    Err(error) => break End::Broken(error.to_string()),
                },
                _ = look.tick() => if let Some(end) = self.look(line, &mut flight) { break end },
                waiting = self.waiting.recv(), if has_room || is_blocked => match waiting {
                    Some((publish, answer)) => {
                        if let Err(error) = self.send(line, &mut flight, publish, answer).await {
                            break End::Broken(error.to_string());
                        }
                    }
                    None => break End::Closed,
                },
            }
        };
        if matches!(end, End::Closed) {
            self.finish(line, &mut flight).await;
        }
        flight.give_up(Duration::ZERO, "the connection was lost");
        end
    }

    fn tell(&self, flight: &mut Flight) {
        for landed in flight.landed() {
            self.full.note(&landed.identity, &landed.result);
            landed.tell();
        }
    }

    /// What is written to a blocked connection is kept by the operating system and published when the alarm
    /// is over, so a blocked connection stays, and nothing more is written to it.
    fn look(&self, line: &Line, flight: &mut Flight) -> Option<End> {
        let status = line.connection.status();
        if !status.connected() {
            return Some(End::Broken("it was closed".to_owned()));
        }
        if status.blocked() {
            flight.give_up(BLOCKED_GRACE, "the broker blocks publishers");
            return None;
        }
        let overdue = flight.give_up(self.config.options().confirm_timeout, "the broker did not confirm");
        (overdue > 0).then(|| End::Broken("a publish was not confirmed in time".to_owned()))
    }

    async fn send(&self, line: &Line, flight: &mut Flight, publish: Publish, answer: Answer) -> Result<(), CallError> {
        if line.connection.status().blocked() {
            // A publisher that stopped waiting does not want to know.
            drop(answer.send(Err(PublishError::Unavailable("the broker blocks publishers".to_owned()))));
            return Ok(());
        }
        let Publish { identity, properties, body } = publish;
        let place = (ShortString::from(identity.exchange.as_str()), ShortString::from(identity.key.as_str()));
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let writing = line.channel.basic_publish(place.0, place.1, options, &body, properties);
        match within(BLOCKED_GRACE, "publish", writing).await {
            Ok(confirm) => flight.add(identity, answer, confirm),
            Err(error) => {
                // A publisher that stopped waiting does not want to know.
                drop(answer.send(Err(PublishError::Unknown(error.to_string()))));
                // Its confirmation is lost, and with it what lapin would attach to it.
                return Err(error);
            }
        }
        Ok(())
    }

    /// Waits for what is under way, but not for an alarm to end.
    async fn finish(&self, line: &Line, flight: &mut Flight) {
        let landing = async {
            while flight.len() > 0 && !line.connection.status().blocked() {
                if flight.progress().await.is_err() {
                    break;
                }
                self.tell(flight);
            }
        };
        if tokio::time::timeout(LAST_WAIT, landing).await.is_err() {
            tracing::warn!("publishes were under way when the bus was closed");
        }
        connect::close(&line.connection, LOOK).await;
    }
}
