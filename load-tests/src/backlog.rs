//! Puts a backlog of waiting deliveries of one webhook straight on the bus.

use std::sync::Arc;

use dockbell_backends::amqp::{Amqp, AmqpConfig, AmqpOptions};
use dockbell_backends::bus::{Bus, Outgoing, Queue};
use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::ids::WebhookId;
use dockbell_proto::message::Message;
use dockbell_proto::secret::Secret;
use dockbell_testkit::sample;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use crate::sink;

/// Publishers at once: enough to fill the adapter's pipeline.
const PUBLISHERS: usize = 500;
/// The name of this process on the bus follows from it, which need not be unforeseeable.
const SEED: u64 = 1;

/// Publishes `count` deliveries to `webhook` about pushes to `repository`, as if they came from their first batches
/// now. Returns once the broker has confirmed all of them.
pub(crate) async fn publish(
    url: &str,
    (webhook, repository): (&str, &str),
    (count, run): (usize, &str),
) -> Result<(), BoxError> {
    let config = AmqpConfig::new(&[Secret::new(url)], AmqpOptions::default())?;
    let bus = Arc::new(Amqp::start(config, Arc::new(SystemClock), StdRng::seed_from_u64(SEED)));
    let mut publishing = JoinSet::new();
    for first in 0..PUBLISHERS {
        let (bus, repository, run) = (Arc::clone(&bus), repository.to_owned(), run.to_owned());
        let webhook: WebhookId = serde_json::from_value(webhook.into())?;
        publishing.spawn(async move {
            for event in (first..count).step_by(PUBLISHERS) {
                until_published(&bus, delivery(&webhook, &repository, &sink::tag(event, &run))).await;
            }
        });
    }
    while let Some(published) = publishing.join_next().await {
        published?;
    }
    bus.close().await;
    Ok(())
}

fn delivery(webhook: &WebhookId, repository: &str, tag: &str) -> Outgoing {
    let mut content = sample::batch(tag, repository, &[tag]);
    // Custody counts from here.
    (content.opened_at, content.closed_at) = (SystemClock.now(), SystemClock.now());
    Outgoing::carrying(&Message::Delivery(sample::delivery(webhook, &content)))
}

/// The bus connects in the background, so the first publishes may come too early.
async fn until_published(bus: &Amqp, message: Outgoing) {
    let publish = |message| bus.publish(Queue::Redeliveries, message);
    dockbell_backends::repeat::until_published(message, publish, |_, _| ()).await;
}
