//! Puts a backlog straight on the bus.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::amqp::{Amqp, AmqpConfig, AmqpOptions};
use dockbell_backends::bus::{Bus, Outgoing, Queue};
use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::batch::Batch;
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::ids::WebhookId;
use dockbell_proto::message::Message;
use dockbell_proto::names::Registry;
use dockbell_proto::secret::Secret;
use dockbell_testkit::sample;
use futures_util::future::join_all;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use crate::program::until;
use crate::{flood, sink};

/// Publishers at once: enough to fill the adapter's pipeline.
const PUBLISHERS: usize = 500;
/// The name of this process on the bus follows from it, which need not be unforeseeable.
const SEED: u64 = 1;
/// Longer than a run takes.
const AHEAD: Duration = Duration::from_mins(10);
const PATIENCE: Duration = Duration::from_mins(1);

/// Publishes `count` deliveries to `webhook` about pushes to `repository`, as if they came from their first batches
/// now. Returns once the broker has confirmed all of them.
pub(crate) async fn publish(
    url: &str,
    (webhook, repository): (&str, &str),
    (count, run): (usize, &str),
) -> Result<(), BoxError> {
    let webhook: WebhookId = serde_json::from_value(webhook.into())?;
    let (repository, run) = (repository.to_owned(), run.to_owned());
    let message = move |event| delivery(&webhook, &repository, &sink::tag(event, &run));
    publish_all((url, NonZeroU16::MIN), Queue::Redeliveries, (count, 1), message).await
}

/// Publishes `count` batches, which `batch` makes.
pub(crate) async fn publish_batches(
    place: (&str, NonZeroU16),
    count: usize,
    batch: impl Fn(usize) -> Outgoing + Send + Sync + 'static,
) -> Result<(), BoxError> {
    publish_all(place, Queue::Deliveries, (count, 1), batch).await
}

/// The registry of all that is published.
pub(crate) const REGISTRY: &str = "hub.test";

/// A batch of one tag of a repository of another registry, whose webhooks are looked up and are told nothing.
pub(crate) fn foreign_batch((tag, repository): &(String, String)) -> Outgoing {
    let mut batch = fresh_batch(tag, repository, &[tag]);
    if let Ok(other) = Registry::parse("other.test") {
        batch.registry = other;
    }
    Outgoing::carrying(&Message::Batch(batch))
}

/// A batch of one tag of a repository, as it is published.
pub(crate) fn batch((tag, repository): &(String, String)) -> Outgoing {
    Outgoing::carrying(&Message::Batch(fresh_batch(tag, repository, &[tag])))
}

/// A batch that is fresh whenever it is consumed: what comes late may have come before, and is asked for.
pub(crate) fn fresh_batch(id: &str, repository: &str, tags: &[&str]) -> Batch {
    let (opened_at, closed_at) = (SystemClock.now(), SystemClock.now() + AHEAD);
    Batch { opened_at, closed_at, ..sample::batch(id, repository, tags) }
}

/// Publishes `count` events, `together` of each repository after one another.
pub(crate) async fn publish_events(
    url: &str,
    (repositories, together): (usize, usize),
    (count, run): (usize, &str),
) -> Result<(), BoxError> {
    let run = run.to_owned();
    let message = move |number: usize| event(&sink::tag(number, &run), &flood::name(number / together % repositories));
    publish_all((url, NonZeroU16::MIN), Queue::Events, (count, together), message).await
}

/// An event of this tag, as it is published.
pub(crate) fn event(tag: &str, repository: &str) -> Outgoing {
    let event = sample::event(tag, repository, Some(tag), 0);
    Outgoing {
        id: tag.to_owned(),
        key: format!("{REGISTRY}/{repository}"),
        headers: vec![("dockbell-source".to_owned(), "registry".to_owned())],
        body: serde_json::to_vec(&event).unwrap_or_default().into(),
        maybe_repeated: false,
    }
}

/// Has the exchanges and queues made. Returns once they are there.
pub(crate) async fn declare(url: &str) -> Result<(), BoxError> {
    let bus = connect(url, NonZeroU16::MIN)?;
    until("the queues to be made", PATIENCE, || async { bus.depth(Queue::Deliveries).await.ok() }).await?;
    bus.close().await;
    Ok(())
}

/// A bus that connects in the background.
pub(crate) fn connect(url: &str, shards: NonZeroU16) -> Result<Arc<Amqp>, BoxError> {
    let config = AmqpConfig::new(&[Secret::new(url)], AmqpOptions { shards, ..AmqpOptions::default() })?;
    Ok(Arc::new(Amqp::start(config, Arc::new(SystemClock), StdRng::seed_from_u64(SEED))))
}

/// Publishes them roughly in their order.
/// Publishes messages of all numbers below `count`; each `together` of them stand next to each other on the queue.
async fn publish_all(
    (url, shards): (&str, NonZeroU16),
    queue: Queue,
    (count, together): (usize, usize),
    message: impl Fn(usize) -> Outgoing + Send + Sync + 'static,
) -> Result<(), BoxError> {
    let (bus, message) = (connect(url, shards)?, Arc::new(message));
    let mut publishing = JoinSet::new();
    let publishers = PUBLISHERS.div_ceil(together);
    for first in 0..publishers {
        let (bus, message) = (Arc::clone(&bus), Arc::clone(&message));
        publishing.spawn(async move {
            for group in (0..count).step_by(together).skip(first).step_by(publishers) {
                let numbers = group..count.min(group + together);
                join_all(numbers.map(|number| until_published(&bus, queue, message(number)))).await;
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
pub(crate) async fn until_published(bus: &Amqp, queue: Queue, message: Outgoing) {
    let publish = |message| bus.publish(queue, message);
    dockbell_backends::repeat::until_published(message, publish, |_, _| ()).await;
}
