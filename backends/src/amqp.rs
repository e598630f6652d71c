//! The bus on `RabbitMQ`.
//!
//! Two connections: one publishes, because an alarm of the broker blocks all of a connection that does; the
//! other consumes, settles and looks. Either is replaced as a whole whenever it is in doubt.

mod bundle;
mod bundler;
mod config;
mod connect;
mod dead;
mod delay;
mod depth;
mod desk;
mod feed;
mod feeds;
mod flight;
mod full;
mod inbox;
mod incarnation;
mod ledger;
mod names;
mod outbox;
mod parcel;
mod publisher;
mod receipt;
mod shard;
mod sizes;
mod sources;
mod stats;
mod status;
mod strays;
mod topology;
mod trouble;

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use dockbell_proto::clock::Clock;
use dockbell_proto::operations::OperatorEvent;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::config::{AmqpConfig, AmqpConfigError, AmqpOptions, Topology};
pub use self::names::AmqpNames;
pub use self::stats::AmqpStats;
use crate::bus::{Bus, BusError, Consumer, DeadLetter, Depth, Outgoing, PublishError, Queue, Stray};

use self::bundler::Bundler;
use self::connect::{CallError, Pauses};
use self::feeds::Feeds;
use self::inbox::{AmqpConsumer, Inbox};
use self::incarnation::{Incarnation, Incarnations, Supervisor};
use self::outbox::Outbox;
use self::parcel::Parcel;
use self::publisher::PublisherTask;
use self::sizes::Sizes;
use self::sources::Role;
use self::status::Status;

/// How long the consumers may take to tell the broker what is settled when the bus is closed.
const LAST_WAIT: Duration = Duration::from_secs(3);
/// How long a look waits for a broker that is away.
const PATIENCE: Duration = Duration::from_secs(2);

/// The bus on `RabbitMQ`. Dropping it closes it without waiting.
#[derive(Debug)]
pub struct Amqp {
    config: Arc<AmqpConfig>,
    outbox: Outbox,
    incarnations: Incarnations,
    status: Arc<Status>,
    feeds: TaskTracker,
    connections: TaskTracker,
    closed: CancellationToken,
    idle: CancellationToken,
}

impl Amqp {
    /// Connects in the background and keeps trying; consumers wait meanwhile, and publishes are refused as
    /// unavailable. Must be called within a runtime. `rng` spreads the attempts to connect, and names this
    /// process.
    pub fn start(config: AmqpConfig, clock: Arc<dyn Clock>, mut rng: StdRng) -> Self {
        let config = Arc::new(config);
        let (closed, status) = (CancellationToken::new(), Arc::new(Status::at_start()));
        let process: Arc<str> = format!("{:016x}", rng.random::<u64>()).into();
        let mut pauses = || Pauses::new(StdRng::from_rng(&mut rng));
        let common = || (Arc::clone(&config), Arc::clone(&status), closed.clone());
        let (publisher, publishing) = PublisherTask::new(pauses(), common());
        let (incarnations, supervisor) = Supervisor::new(pauses(), common());
        let idle = supervisor.idle();
        let (feeds, connections) = (TaskTracker::new(), TaskTracker::new());
        connections.spawn(publishing.run(incarnations.clone()));
        connections.spawn(supervisor.run());
        let outbox = Outbox {
            config: Arc::clone(&config),
            clock,
            publisher,
            sizes: Arc::new(Sizes::default()),
            process,
            bundler: Bundler::new(connections.clone()),
        };
        Self { config, outbox, incarnations, status, feeds, connections, closed, idle }
    }

    /// Why the bus does not work as it should: a connection is missing, the broker takes no publishes, the
    /// topology differs from what it must be; none while everything works. It ends by itself, so that the process
    /// need not.
    pub fn trouble(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.status.trouble.watch()
    }

    /// What the bus has done so far.
    pub fn stats(&self) -> AmqpStats {
        self.status.counters.stats()
    }

    /// Tells the broker what is settled, waits for publishes under way, and closes the connections; all of it
    /// within seconds, whatever the broker does. What is not settled by then comes back.
    pub async fn close(&self) {
        self.closed.cancel();
        self.feeds.close();
        self.connections.close();
        if tokio::time::timeout(LAST_WAIT, self.feeds.wait()).await.is_err() {
            tracing::warn!("consumers were under way when the bus was closed");
        }
        self.idle.cancel();
        if tokio::time::timeout(2 * LAST_WAIT, self.connections.wait()).await.is_err() {
            tracing::warn!("connections were under way when the bus was closed");
        }
    }

    fn shard(&self, message: &Outgoing) -> u16 {
        shard::shard_of(&message.key, self.config.options().shards)
    }

    fn start_consumer(&self, role: Role, prefetch: NonZeroU16) -> Result<Consumer, BusError> {
        if self.closed.is_cancelled() {
            return Err(BusError::Away("the bus is closed".to_owned()));
        }
        let (inbox, gone) = (Arc::new(Inbox::default()), CancellationToken::new());
        let feeds = Feeds {
            role,
            prefetch,
            inbox: Arc::clone(&inbox),
            outbox: self.outbox.clone(),
            incarnations: self.incarnations.clone(),
            status: Arc::clone(&self.status),
            tasks: self.feeds.clone(),
            gone: gone.clone(),
            closed: self.closed.clone(),
        };
        self.feeds.spawn(feeds.run());
        Ok(Consumer::new(AmqpConsumer::new(inbox, prefetch.get(), self.closed.clone(), gone)))
    }

    async fn incarnation(&self) -> Result<Incarnation, BusError> {
        let mut incarnations = self.incarnations.clone();
        let present = tokio::time::timeout(PATIENCE, incarnations.wait_for(Option::is_some)).await;
        let away = || BusError::Away("there is no connection".to_owned());
        present.ok().and_then(|present| present.ok()?.clone()).ok_or_else(away)
    }
}

impl Drop for Amqp {
    fn drop(&mut self) {
        self.closed.cancel();
        self.idle.cancel();
    }
}

fn away(error: &CallError) -> BusError {
    BusError::Away(error.to_string())
}

#[async_trait]
impl Bus for Amqp {
    async fn publish(&self, queue: Queue, message: Outgoing) -> Result<(), PublishError> {
        let shard = self.shard(&message);
        self.outbox.publish(queue, shard, Parcel::new(message)?).await
    }

    async fn publish_after(&self, queue: Queue, message: Outgoing, delay: Duration) -> Result<(), PublishError> {
        let shard = self.shard(&message);
        self.outbox.publish_after(queue, shard, Parcel::new(message)?, delay).await
    }

    async fn bury(&self, queue: Queue, message: Outgoing, reason: String) -> Result<(), PublishError> {
        self.outbox.bury(queue, Parcel::new(message)?, reason).await
    }

    /// It is published to a topic exchange under its kind, persistent, and confirmed also where no queue is bound.
    async fn announce(&self, event: &OperatorEvent) -> Result<(), PublishError> {
        if !self.status.may_announce.load(Ordering::Relaxed) {
            let exchange = &self.config.options().names.operations;
            return Err(PublishError::Unavailable(format!("the exchange {exchange} is not known to be there")));
        }
        let message = Outgoing::announcing(event);
        let key = message.key.clone();
        let announced = self.outbox.announce(key, Parcel::new(message)?).await;
        if matches!(announced, Err(PublishError::Unknown(_))) {
            // The exchange may have been deleted: it is looked for before the next.
            self.status.may_announce.store(false, Ordering::Relaxed);
            self.status.returned.notify_one();
        }
        announced
    }

    /// Each queue of the broker may have `prefetch` messages ready here, so that one busy shard can use all of it;
    /// no more than `prefetch` of all of them are handed out.
    async fn consume(&self, queue: Queue, prefetch: NonZeroU16) -> Result<Consumer, BusError> {
        self.start_consumer(Role::Work(queue), prefetch)
    }

    /// Always some: with one shard it drains what came while there were more.
    async fn consume_inbox(&self, prefetch: NonZeroU16) -> Result<Option<Consumer>, BusError> {
        self.start_consumer(Role::Inbox, prefetch).map(Some)
    }

    /// True for some seconds after the broker refused a message for `queue`, unless a look at its depth finds
    /// room before. One full shard suffices; of what messages wait on, the shortest steps of one must all be full.
    fn is_full(&self, queue: Queue) -> bool {
        self.outbox.is_full(queue)
    }

    async fn depth(&self, queue: Queue) -> Result<Depth, BusError> {
        let incarnation = self.incarnation().await?;
        let looking = depth::depth(&self.config, &incarnation, &self.outbox.sizes, queue);
        let depth = looking.await.map_err(|error| away(&error))?;
        self.outbox.note_depth(queue, depth);
        Ok(depth)
    }

    async fn dead_letters(&self, position: u64, limit: u32) -> Result<Vec<DeadLetter>, BusError> {
        let incarnation = self.incarnation().await?;
        let now = self.outbox.clock.now();
        let reading = dead::letters(&self.config, &incarnation.connection, position, limit, now);
        reading.await.map_err(|error| away(&error))
    }

    async fn revive(&self, letter: &DeadLetter) -> Result<(), PublishError> {
        let DeadLetter { queue, id, headers, body, .. } = letter.clone();
        // The key of a letter is not kept. Of what goes to no window, any shard will do.
        let message = Outgoing { key: id.clone(), id, headers, body, maybe_repeated: true };
        match queue {
            Queue::Events => self.outbox.publish_as_others_do(Parcel::new(message)?).await,
            Queue::Deliveries | Queue::Redeliveries => self.publish(queue, message).await,
        }
    }

    /// They are got and given back, which keeps their order, makes them absent for whoever looks at the same time,
    /// and flags them as redelivered.
    async fn unrouted(&self, limit: u32) -> Result<Vec<Stray>, BusError> {
        let incarnation = self.incarnation().await?;
        strays::look(&self.config, &incarnation.connection, limit).await.map_err(|error| away(&error))
    }

    async fn replay_unrouted(&self, limit: u32) -> Result<u32, BusError> {
        let incarnation = self.incarnation().await?;
        strays::replay(&self.outbox, &incarnation.connection, limit).await
    }
}
