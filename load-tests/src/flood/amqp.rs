//! A flood of events that are published to the broker, as others than registries do.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind, PublisherConfirm};
use reqwest::Url;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Due, Kept, Sent};

/// Where others publish their events.
const EXCHANGE: &str = "registry.events";
/// A broker paces each channel by itself.
const CHANNELS: usize = 4;
/// Publishes of one channel that wait for the broker's confirmation; with more it is far behind.
const UNCONFIRMED: usize = 50_000;
const PERSISTENT: u8 = 2;
/// How long a broker may take to take a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the broker may take to take an event, and to confirm what was published last.
const LAST_WAIT: Duration = Duration::from_secs(30);
const BLOCKED: &str = "the broker takes no events any more: has it an alarm of its memory or disk?";

/// A connection that publishes events.
pub(crate) struct Broker {
    connection: Connection,
    channels: Vec<Channel>,
}

/// What waits for its confirmation: the number of a push, if it is the last event of one.
type Published = (Option<usize>, PublisherConfirm);

impl Broker {
    pub(crate) async fn connect(url: &str) -> Result<Self, BoxError> {
        let connecting = Connection::connect(url, ConnectionProperties::default());
        let connection = match timeout(CONNECT, connecting).await {
            Ok(connected) => connected.map_err(|error| unreachable(url, &error))?,
            Err(_) => return Err(unreachable(url, &format!("no answer within {CONNECT:?}"))),
        };
        let mut channels = Vec::new();
        for _ in 0..CHANNELS {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            channels.push(channel);
        }
        Ok(Self { connection, channels })
    }

    /// Says what to do if nobody takes events here.
    pub(crate) async fn expect_exchange(&self) -> Result<(), BoxError> {
        let channel = self.connection.create_channel().await?;
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let found = channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, FieldTable::default());
        let absent =
            |error| format!("the broker has no exchange {EXCHANGE} ({error}): start Dockbell on this virtual host");
        Ok(found.await.map_err(absent)?)
    }

    pub(super) async fn run(
        &self,
        pushes: impl Iterator<Item = Due>,
        start: Instant,
        sent: &Arc<Sent>,
    ) -> Result<Kept, BoxError> {
        let mut confirming = JoinSet::new();
        let mut lines = Vec::new();
        for channel in &self.channels {
            let (sender, receiver) = mpsc::channel(UNCONFIRMED);
            confirming.spawn(confirm(receiver, Arc::clone(sent)));
            lines.push((channel, sender));
        }
        let mut kept = Kept::default();
        for (due, (channel, confirmations)) in pushes.zip(lines.iter().cycle()) {
            let at = start + due.at;
            if at > Instant::now() {
                sleep_until(at).await;
            }
            if !publish(channel, due, confirmations).await? {
                break;
            }
            sent.due.fetch_add(1, Ordering::Relaxed);
            kept.longest_lag = kept.longest_lag.max(at.elapsed());
        }
        drop(lines);
        let all = async {
            while let Some(confirmed) = confirming.join_next().await {
                kept.accepted.extend(confirmed?.map_err(BoxError::from)?);
            }
            Ok::<_, BoxError>(())
        };
        timeout(LAST_WAIT, all).await.map_err(|_| "the broker does not confirm")??;
        Ok(kept)
    }
}

/// Publishes the events of a push. Says whether there is any use in going on: who confirms may have ended with an error.
async fn publish(channel: &Channel, due: Due, confirmations: &mpsc::Sender<Published>) -> Result<bool, BoxError> {
    let last = due.bodies.len().saturating_sub(1);
    for (number, body) in due.bodies.iter().enumerate() {
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let key = due.repository.as_str().into();
        let publishing = channel.basic_publish(EXCHANGE.into(), key, options, body, properties);
        let published = timeout(LAST_WAIT, publishing).await.map_err(|_| BLOCKED)?;
        let confirmation = published.map_err(|error| format!("the broker went away during the load: {error}"))?;
        match confirmations.try_send(((number == last).then_some(due.event), confirmation)) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Ok(false),
            Err(TrySendError::Full(_)) => {
                return Err("the broker is far behind with its confirmations: lower the rate".into());
            }
        }
    }
    Ok(true)
}

/// Says which pushes were confirmed. What a broker refuses because a queue is full is not owed; what nobody is bound to
/// take is an error.
async fn confirm(mut confirmations: mpsc::Receiver<Published>, sent: Arc<Sent>) -> Result<Vec<usize>, String> {
    let mut confirmed = Vec::new();
    while let Some((push, confirmation)) = confirmations.recv().await {
        match confirmation.await {
            Ok(Confirmation::Ack(None)) => {
                sent.accepted.fetch_add(usize::from(push.is_some()), Ordering::Relaxed);
                confirmed.extend(push);
            }
            Ok(Confirmation::Nack(None)) => {}
            Ok(other) => return Err(format!("the broker did not take an event: {other:?}")),
            Err(error) => return Err(format!("the broker does not confirm any more: {error}")),
        }
    }
    Ok(confirmed)
}

/// Says whose broker it is without telling the password.
fn unreachable(url: &str, reason: &dyn fmt::Display) -> BoxError {
    let place = Url::parse(url).ok().and_then(|url| {
        let host = url.host_str()?.to_owned();
        Some(format!("{host}:{}, virtual host {}", url.port().unwrap_or(5672), url.path()))
    });
    let place = place.as_deref().unwrap_or("that URL");
    format!(
        "no connection to the broker at {place}: {reason}. Is it running, and are the user, the password and the virtual \
         host of --amqp-url right?"
    )
    .into()
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broker")
    }
}
