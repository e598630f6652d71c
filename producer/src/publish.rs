//! Onto the bus: events from the intake, batches from the windows.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use dockbell_backends::Bus;
use dockbell_backends::bus::{Outgoing, PublishError, Queue};
use dockbell_proto::batch::{BATCH_LIMIT, Batch};
use dockbell_proto::event::Event;
use dockbell_proto::message::Message;

use crate::metrics::Metrics;

/// The header that names the source of an event.
pub const SOURCE_HEADER: &str = "dockbell-source";

/// The message that carries an event to its window.
pub fn event_message(event: &Event) -> Result<Outgoing, serde_json::Error> {
    Ok(Outgoing {
        id: event.id.to_string(),
        key: format!("{}/{}", event.registry, event.repository),
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            (SOURCE_HEADER.to_owned(), event.source.to_string()),
        ],
        body: serde_json::to_vec(event)?.into(),
        maybe_repeated: false,
    })
}

/// The message that carries a batch to the deliverers. Several tags of one index repeat its platforms; if that
/// makes the batch too large, the blobs are left out, and the changes say so.
pub fn batch_message(batch: Batch) -> Outgoing {
    let mut message = Message::Batch(batch);
    let outgoing = Outgoing::carrying(&message);
    if outgoing.body.len() <= BATCH_LIMIT {
        return outgoing;
    }
    if let Message::Batch(batch) = &mut message {
        for change in &mut batch.changes {
            change.blobs.clear();
            change.children.iter_mut().for_each(|child| child.blobs.clear());
            change.truncated = true;
        }
    }
    Outgoing::carrying(&message)
}

/// Publishes a batch, and repeats that until it is durable. The caller drops the future when it gives up.
pub async fn publish_batch(bus: &Arc<dyn Bus>, metrics: &Metrics, batch: Batch) {
    let mut message = batch_message(batch);
    let mut pauses = pauses();
    while let Err(error) = bus.publish(Queue::Deliveries, message.clone()).await {
        metrics.publish_repeated();
        if let PublishError::Unknown(_) = error {
            message.maybe_repeated = true;
        }
        let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
        tracing::warn!(error = %error, retry.after_ms = pause.as_millis(), "a batch could not be published and is kept");
        tokio::time::sleep(pause).await;
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}
