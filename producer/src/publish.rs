//! Onto the bus: events from the intake, batches from the windows.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::Bus;
use dockbell_backends::bus::{Outgoing, PublishError, Queue};
use dockbell_backends::repeat::until_published;
use dockbell_chassis::failpoint;
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

/// The message that carries a batch to the deliverers. What makes it too large is left out step by step, and
/// the changes say so.
pub fn batch_message(batch: Batch) -> Outgoing {
    let mut message = Message::Batch(batch);
    for shorten in [leave_out_blobs, leave_out_platforms_and_metadata] {
        let outgoing = Outgoing::carrying(&message);
        if outgoing.body.len() <= BATCH_LIMIT {
            return outgoing;
        }
        if let Message::Batch(batch) = &mut message {
            shorten(batch);
        }
    }
    Outgoing::carrying(&message)
}

/// Several tags of one index repeat the blobs of its platforms.
fn leave_out_blobs(batch: &mut Batch) {
    for change in &mut batch.changes {
        change.blobs.clear();
        change.children.iter_mut().for_each(|child| child.blobs.clear());
        change.truncated = true;
    }
}

/// Only a single event can be as large as that, and only one that no registry makes.
fn leave_out_platforms_and_metadata(batch: &mut Batch) {
    batch.changes.iter_mut().for_each(|change| change.children.clear());
    batch.metadata = None;
}

/// Publishes a batch, and repeats that until it is durable. `maybe_repeated` says that its events may have made
/// a batch before. The caller drops the future when it gives up.
pub async fn publish_batch(bus: &Arc<dyn Bus>, metrics: &Metrics, batch: Batch, maybe_repeated: bool) {
    let message = Outgoing { maybe_repeated, ..batch_message(batch) };
    let failed = |error: &PublishError, pause: Duration| {
        metrics.backend_away("publish a batch");
        let after_ms = pause.as_millis();
        tracing::warn!(error = %error, retry.after_ms = after_ms, "a batch could not be published and is kept");
    };
    let publish = |message| async move {
        failpoint::begun("publish begun", bus.publish(Queue::Deliveries, message)).await?;
        failpoint::reach("batch stored");
        Ok(())
    };
    until_published(message, publish, failed).await;
}
