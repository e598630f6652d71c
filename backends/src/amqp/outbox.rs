//! Where messages go: to a queue, to wait, to the dead letters.

use std::sync::Arc;
use std::time::Duration;

use dockbell_proto::clock::Clock;

use crate::bus::{Depth, PublishError, Queue};

use super::bundler::Bundler;
use super::config::AmqpConfig;
use super::delay::{SHORTEST, STEPS, Step, Wait, steps_for, wait_for};
use super::flight::Identity;
use super::names::{INBOX_KEY, delay_key, shard_key};
use super::parcel::{Death, Parcel};
use super::publisher::{Addressee, Publish, Publisher};
use super::sizes::Sizes;

/// How many of the shortest steps must refuse before what could wait is better given up: by default no retry waits
/// for less than the longest of them.
const SHORT_STEPS: usize = 2;

/// Publishes parcels.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    pub(super) config: Arc<AmqpConfig>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) publisher: Publisher,
    pub(super) sizes: Arc<Sizes>,
    /// Tells this process apart from others and from earlier ones.
    pub(super) process: Arc<str>,
    pub(super) bundler: Bundler,
}

impl Outbox {
    pub(super) async fn publish(&self, queue: Queue, shard: u16, parcel: Parcel) -> Result<(), PublishError> {
        let exchange = self.config.options().names.exchange(queue).to_owned();
        self.sizes.note(queue, parcel.body.len());
        self.send(exchange, shard_key(shard), parcel, None).await
    }

    /// Publishes what is to appear after `delay`. A queue that refused a message lately takes no delayed ones
    /// either, because they would come to stand before it.
    pub(super) async fn publish_after(
        &self,
        queue: Queue,
        shard: u16,
        mut parcel: Parcel,
        delay: Duration,
    ) -> Result<(), PublishError> {
        if self.publisher.is_full(self.config.options().names.exchange(queue), &shard_key(shard)) {
            return Err(PublishError::Unavailable("the queue is full".to_owned()));
        }
        if !delay.is_zero() {
            parcel.due = Some((Parcel::not_before(self.clock.as_ref(), delay), self.process.to_string()));
        }
        match wait_for(delay) {
            Wait::WithConsumer => self.wait(queue, shard, parcel, delay).await,
            Wait::OnStep(..) => self.bundler.wait(self, (queue, shard), parcel).await,
        }
    }

    /// Lets a parcel that knows when it is due wait for `remaining`, or for a part of it: on the longest step that
    /// has room, or with the consumer if none is short enough.
    pub(super) async fn wait(
        &self,
        queue: Queue,
        shard: u16,
        parcel: Parcel,
        remaining: Duration,
    ) -> Result<(), PublishError> {
        let mut refused = None;
        for (step, length) in steps_for(remaining) {
            let (exchange, key) = (&self.config.options().names.delay, delay_key(step, queue, shard));
            // The shortest is asked in any case: nothing is left but to refuse.
            if step != SHORTEST && self.publisher.is_full(exchange, &key) {
                continue;
            }
            self.sizes.note(queue, parcel.body.len());
            match self.send(exchange.clone(), key.clone(), parcel.clone(), Some(length)).await {
                Err(refusal @ PublishError::Unavailable(_)) if self.publisher.is_full(exchange, &key) => {
                    refused = Some(refusal);
                }
                done => return done,
            }
        }
        match refused {
            Some(refusal) => Err(refusal),
            None => self.publish(queue, shard, parcel).await,
        }
    }

    pub(super) async fn bury(&self, queue: Queue, mut parcel: Parcel, reason: String) -> Result<(), PublishError> {
        let queue = queue.as_str().to_owned();
        parcel.due = None;
        parcel.death = Some(Death { queue: queue.clone(), reason, at: self.clock.now() });
        self.send(self.config.options().names.dead.clone(), queue, parcel, None).await
    }

    /// Tells whoever listens; nobody need.
    pub(super) async fn announce(&self, key: String, parcel: Parcel) -> Result<(), PublishError> {
        let properties = parcel.properties();
        let identity = Identity { id: parcel.id, exchange: self.config.options().names.operations.clone(), key };
        let publish = Publish { identity, properties, body: parcel.body, addressee: Addressee::Anybody };
        self.publisher.publish(publish).await
    }

    /// Publishes an event without knowing its shard: to the only one, or to where a producer finds its key. Not
    /// over the exchange that others use, which would take it back to the strays if its binding is missing.
    pub(super) async fn publish_as_others_do(&self, parcel: Parcel) -> Result<(), PublishError> {
        let options = self.config.options();
        let key = if options.shards.get() == 1 { shard_key(0) } else { INBOX_KEY.to_owned() };
        self.sizes.note(Queue::Events, parcel.body.len());
        self.send(options.names.exchange(Queue::Events).to_owned(), key, parcel, None).await
    }

    /// Whether a message for `queue` was refused within the last seconds, by a shard of it, or by each of the shortest
    /// steps of one: what a longer one refuses waits on those.
    pub(super) fn is_full(&self, queue: Queue) -> bool {
        let options = self.config.options();
        let names = &options.names;
        let refused = |step: &Step, shard| self.publisher.is_full(&names.delay, &delay_key(*step, queue, shard));
        let mut shards = 0..options.shards.get();
        self.publisher.is_any_full(|exchange, _| exchange == names.exchange(queue))
            || shards.any(|shard| STEPS.iter().take(SHORT_STEPS).all(|step| refused(step, shard)))
    }

    /// Takes note of a look at `queue`: what is together well below the bound of one queue fills none of them.
    pub(super) fn note_depth(&self, queue: Queue, depth: Depth) {
        if depth.bytes > self.config.options().queue_bytes / 2 {
            return;
        }
        let names = &self.config.options().names;
        // Only a look at the redeliveries counts what waits on the steps.
        let has_steps = queue == Queue::Redeliveries;
        self.publisher
            .note_room(|exchange, _| exchange == names.exchange(queue) || (has_steps && exchange == names.delay));
    }

    async fn send(
        &self,
        exchange: String,
        key: String,
        parcel: Parcel,
        expiration: Option<Duration>,
    ) -> Result<(), PublishError> {
        let mut properties = parcel.properties();
        if let Some(expiration) = expiration {
            properties = properties.with_expiration(expiration.as_millis().to_string().into());
        }
        let identity = Identity { id: parcel.id, exchange, key };
        let publish = Publish { identity, properties, body: parcel.body, addressee: Addressee::Queue };
        self.publisher.publish(publish).await
    }
}
