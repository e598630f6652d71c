//! The generator: publishes the events of a plan when they are due, whatever becomes of the earlier ones.

use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;
use dockbell_testkit::sample;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::plan::Plan;
use crate::sink;

/// Where others publish their events.
const EXCHANGE: &str = "registry.events";
/// A broker paces each channel by itself.
const CHANNELS: usize = 4;
/// Publishes of one channel that wait for the broker's confirmation; with more it is far behind.
const UNCONFIRMED: usize = 50_000;
const PERSISTENT: u8 = 2;
/// How long the broker may take to confirm what was published last.
const LAST_WAIT: Duration = Duration::from_secs(30);

/// A connection that publishes as a registry does.
pub(crate) struct Flood {
    _connection: Connection,
    channels: Vec<Channel>,
}

/// How well the generator kept to its plan.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kept {
    /// Events that the broker confirmed.
    pub(crate) confirmed: usize,
    /// The longest delay of a publish beyond the time that it was due.
    pub(crate) longest_lag: Duration,
}

impl Flood {
    pub(crate) async fn connect(url: &str) -> Result<Self, BoxError> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let mut channels = Vec::new();
        for _ in 0..CHANNELS {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            channels.push(channel);
        }
        Ok(Self { _connection: connection, channels })
    }

    /// Publishes all events of `plan`, the first one at `start`, and returns once the last is confirmed.
    pub(crate) async fn run(&self, plan: &Plan, run: &str, start: Instant) -> Result<Kept, BoxError> {
        let mut confirming = JoinSet::new();
        let mut confirmations = Vec::new();
        for _ in &self.channels {
            let (sender, receiver) = mpsc::channel(UNCONFIRMED);
            confirming.spawn(confirm(receiver));
            confirmations.push(sender);
        }
        let mut kept = Kept::default();
        let lines = self.channels.iter().zip(&confirmations).cycle();
        for (event, (channel, confirmations)) in (0..plan.events()).zip(lines) {
            let due = start + plan.due(event);
            if due > Instant::now() {
                sleep_until(due).await;
            }
            let confirmation = publish(channel, plan.repository(event), &sink::tag(event, run)).await?;
            confirmations.try_send(confirmation).map_err(|_| "the broker is far behind with its confirmations")?;
            kept.longest_lag = kept.longest_lag.max(due.elapsed());
        }
        drop(confirmations);
        let all = async {
            while let Some(confirmed) = confirming.join_next().await {
                kept.confirmed += confirmed?.map_err(BoxError::from)?;
            }
            Ok::<_, BoxError>(())
        };
        tokio::time::timeout(LAST_WAIT, all).await.map_err(|_| "the broker does not confirm")??;
        Ok(kept)
    }
}

async fn publish(channel: &Channel, repository: usize, tag: &str) -> lapin::Result<PublisherConfirm> {
    let repository = name(repository);
    let event = json!({
        "schema": "dockbell.event/1", "registry": "hub.test", "repository": repository, "tag": tag,
        "digest": sample::digest(1), "media_type": "application/vnd.oci.image.manifest.v1+json", "size": 700,
        "pusher": "load", "id": tag,
    });
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let body = event.to_string().into_bytes();
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    channel.basic_publish(EXCHANGE.into(), repository.into(), options, &body, properties).await
}

/// The repository of this number.
pub(crate) fn name(repository: usize) -> String {
    format!("load/app-{repository}")
}

/// Says how many publishes were confirmed, or that one was not.
async fn confirm(mut confirmations: mpsc::Receiver<PublisherConfirm>) -> Result<usize, String> {
    let mut confirmed = 0;
    while let Some(confirmation) = confirmations.recv().await {
        match confirmation.await {
            Ok(Confirmation::Ack(None)) => confirmed += 1,
            Ok(other) => return Err(format!("the broker did not take an event: {other:?}")),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(confirmed)
}
