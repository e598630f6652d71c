//! The publishing side: one connection of its own, because an alarm of the broker blocks all of a connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::FutureExt as _;
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
use super::full::Full;
use super::incarnation::Incarnations;
use super::status::{Common, Status};
use super::trouble::Part;

/// Publishes that wait to be written, and are then written together; those behind them wait for a place.
const WAITING: usize = 256;
/// How many of them are taken at once: together with the next constant it bounds what is written ahead.
const LOT: usize = 64;
/// The bytes of bodies that are not confirmed, beyond which no more are written: what is written waits in memory until
/// the broker reads it.
const UNCONFIRMED_BYTES: usize = 16 * 1024 * 1024;
/// How often the connection is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long a publish may hang on a blocked connection before its publisher is told.
const BLOCKED_GRACE: Duration = Duration::from_secs(1);
/// How long the last confirmations are waited for when the bus is closed.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// Who must get a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addressee {
    /// A queue: without one the publish fails.
    Queue,
    /// Whoever listens, if anybody does.
    Anybody,
}

/// A message and where it goes.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) addressee: Addressee,
    pub(super) identity: Identity,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

/// Hands messages to the publishing connection.
#[derive(Debug, Clone)]
pub(super) struct Publisher {
    waiting: mpsc::Sender<(Publish, Answer)>,
    full: Arc<Full>,
    status: Arc<Status>,
}

impl Publisher {
    /// Returns once the broker has confirmed. Dropped before, the message may be published all the same.
    pub(super) async fn publish(&self, publish: Publish) -> Result<(), PublishError> {
        let (answer, result) = oneshot::channel();
        let result = match self.waiting.send((publish, answer)).await {
            Ok(()) => result.await.unwrap_or_else(|_| Err(PublishError::Unknown("the bus was closed".to_owned()))),
            Err(_) => Err(PublishError::Unavailable("the bus is closed".to_owned())),
        };
        self.status.counters.note(&result);
        result
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
    status: Arc<Status>,
    closed: CancellationToken,
}

/// A connection with a channel that confirms.
pub(super) struct Line {
    connection: Connection,
    channel: Arc<Channel>,
}

impl Line {
    pub(super) async fn open(config: &AmqpConfig, attempt: usize) -> Result<Self, CallError> {
        let connection = connect::connect(config, "publisher", attempt).await?;
        let channel = connect::channel(config, &connection).await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        within(config.options().call_timeout, "ask for confirmations", confirming).await?;
        Ok(Self { connection, channel: Arc::new(channel) })
    }
}

/// Why a connection is left.
enum End {
    Broken(String),
    Closed,
}

impl PublisherTask {
    pub(super) fn new(pauses: Pauses, (config, status, closed): Common) -> (Publisher, Self) {
        let (sender, waiting) = mpsc::channel(WAITING);
        let full = Arc::new(Full::default());
        let publisher = Publisher { waiting: sender, full: Arc::clone(&full), status: Arc::clone(&status) };
        (publisher, Self { config, waiting, full, pauses, status, closed })
    }

    /// Runs until the bus is closed. It begins once there is a first of the `incarnations`, which has made the
    /// exchanges that messages are published to.
    pub(super) async fn run(mut self, mut incarnations: Incarnations) {
        let established = async {
            // Who keeps them ends when the bus is closed.
            incarnations.wait_for(Option::is_some).await.ok();
        };
        if self.refuse_during(established).await.is_none() {
            return;
        }
        let mut attempt = 0;
        loop {
            let config = Arc::clone(&self.config);
            match self.refuse_during(Line::open(&config, attempt)).await {
                Some(Ok(line)) => self.keep(&line).await,
                Some(Err(error)) => {
                    tracing::warn!(%error, "failed to connect for publishing");
                    self.status.trouble.set(Part::Publishing, Some(format!("the broker is away: {error}")));
                }
                None => return,
            }
            attempt += 1;
            let pause = self.pauses.next();
            if self.refuse_during(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Publishes over a connection to its end.
    async fn keep(&mut self, line: &Line) {
        let since = Instant::now();
        self.status.counters.publishing_connections.fetch_add(1, Ordering::Relaxed);
        self.status.trouble.set(Part::Publishing, None);
        let end = self.serve(line).await;
        self.pauses.stood_for(since.elapsed());
        self.note_blocked(false);
        let reason = match end {
            End::Broken(reason) => reason,
            End::Closed => "the bus is closed".to_owned(),
        };
        if !self.closed.is_cancelled() {
            tracing::warn!(reason, line = ?connect::Shown(&line.connection), "lost the publishing connection");
        }
        self.status.trouble.set(Part::Publishing, Some(format!("the publishing connection is replaced: {reason}")));
    }

    fn note_blocked(&self, is_blocked: bool) {
        if self.status.counters.is_blocked.swap(is_blocked, Ordering::Relaxed) != is_blocked {
            let told = is_blocked.then(|| "the broker takes no publishes, because of an alarm of its own".to_owned());
            self.status.trouble.set(Part::Blocked, told);
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
        let (mut flight, mut lot) = (Flight::default(), Vec::new());
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            let is_blocked = line.connection.status().blocked();
            let room = if is_blocked { LOT } else { self.room(&flight) };
            tokio::select! {
                biased;
                () = self.closed.cancelled() => break End::Closed,
                progress = flight.progress() => match progress {
                    Ok(()) => self.tell(&mut flight),
                    Err(error) => break End::Broken(error.to_string()),
                },
                _ = look.tick() => if let Some(end) = self.look(line, &mut flight) { break end },
                count = self.waiting.recv_many(&mut lot, room), if room > 0 => {
                    if count == 0 {
                        break End::Closed;
                    }
                    lot.drain(..).for_each(|(publish, answer)| send(line, &mut flight, publish, answer));
                }
            }
        };
        if matches!(end, End::Closed) {
            self.finish(line, &mut flight).await;
        }
        flight.give_up(Duration::ZERO, "the connection was lost");
        end
    }

    /// How many more may be written.
    fn room(&self, flight: &Flight) -> usize {
        if flight.must_settle() || flight.bytes() >= UNCONFIRMED_BYTES {
            return 0;
        }
        usize::from(self.config.options().in_flight.get()).saturating_sub(flight.len()).min(LOT)
    }

    fn tell(&self, flight: &mut Flight) {
        for landed in flight.landed() {
            if matches!(landed.result, Err(PublishError::Unroutable(_))) {
                self.status.returned.notify_one();
            }
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
        self.note_blocked(status.blocked());
        if status.blocked() {
            flight.give_up(BLOCKED_GRACE, "the broker blocks publishers");
            flight.forgive();
            return None;
        }
        let overdue = flight.give_up(self.config.options().confirm_timeout, "the broker did not confirm");
        overdue.then(|| End::Broken("a publish was not confirmed in time".to_owned()))
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

/// Begins to write a publish, unless the connection is blocked.
fn send(line: &Line, flight: &mut Flight, publish: Publish, answer: Answer) {
    if line.connection.status().blocked() {
        // A publisher that stopped waiting does not want to know.
        drop(answer.send(Err(PublishError::Unavailable("the broker blocks publishers".to_owned()))));
        return;
    }
    let Publish { identity, properties, body, addressee } = publish;
    let (exchange, key) = (ShortString::from(identity.exchange.as_str()), ShortString::from(identity.key.as_str()));
    let options = BasicPublishOptions { mandatory: addressee == Addressee::Queue, ..BasicPublishOptions::default() };
    let (channel, bytes) = (Arc::clone(&line.channel), body.len());
    let writing = async move { channel.basic_publish(exchange, key, options, &body, properties).await };
    flight.add(identity, answer, (bytes, writing.boxed()));
}
