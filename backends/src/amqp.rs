//! The bus on `RabbitMQ`.
//!
//! Two connections: one publishes, because an alarm of the broker blocks all of a connection that does; the
//! other consumes, settles and looks. Either is replaced as a whole whenever it is in doubt.

mod config;
mod connect;
mod dead;
mod delay;
mod depth;
mod feed;
mod flight;
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
mod topology;

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dockbell_proto::clock::Clock;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::config::{AmqpConfig, AmqpConfigError, AmqpOptions, Topology};
pub use self::names::AmqpNames;
use crate::bus::{Bus, BusError, Consumer, DeadLetter, Depth, Outgoing, PublishError, Queue};

use self::connect::{CallError, Pauses};
use self::feed::Feed;
use self::inbox::{AmqpConsumer, Inbox};
use self::incarnation::{Incarnation, Incarnations, Supervisor};
use self::outbox::Outbox;
use self::parcel::Parcel;
use self::publisher::{Line, PublisherTask};
use self::sizes::Sizes;
use self::topology::TopologyError;

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
    feeds: TaskTracker,
    connections: TaskTracker,
    closed: CancellationToken,
    idle: CancellationToken,
}

/// Why the bus cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmqpError {
    /// The broker is away; try again later.
    #[error("the broker is away: {0}")]
    Away(String),
    /// The broker's exchanges and queues are not as they must be; its operator must act.
    #[error("the topology is not as it must be: {0}")]
    Topology(String),
}

impl Amqp {
    /// Connects, and returns once the exchanges and queues are as they must be. `rng` spreads the attempts to
    /// connect, and names this process.
    pub async fn open(config: AmqpConfig, clock: Arc<dyn Clock>, mut rng: StdRng) -> Result<Self, AmqpError> {
        let config = Arc::new(config);
        let away = |error: CallError| AmqpError::Away(error.to_string());
        let first = connect::connect(&config, "consumer", 0).await.map_err(away)?;
        topology::establish(&config, &first).await.map_err(|error| match error {
            TopologyError::Call(CallError::TimedOut(..)) => AmqpError::Away(error.to_string()),
            error => AmqpError::Topology(error.to_string()),
        })?;
        let line = Line::open(&config, 0).await.map_err(away)?;
        let closed = CancellationToken::new();
        let process: Arc<str> = format!("{:016x}", rng.random::<u64>()).into();
        let mut pauses = || Pauses::new(StdRng::from_rng(&mut rng));
        let (publisher, publishing) = PublisherTask::new(Arc::clone(&config), pauses(), closed.clone());
        let (incarnations, supervisor) = Supervisor::new(Arc::clone(&config), pauses(), closed.clone());
        let idle = supervisor.idle();
        let (feeds, connections) = (TaskTracker::new(), TaskTracker::new());
        connections.spawn(publishing.run(line));
        connections.spawn(supervisor.run(first));
        let outbox =
            Outbox { config: Arc::clone(&config), clock, publisher, sizes: Arc::new(Sizes::default()), process };
        Ok(Self { config, outbox, incarnations, feeds, connections, closed, idle })
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

    /// Each shard may hold `prefetch` messages ready, so that one busy shard can use all of it; no more than
    /// `prefetch` of all shards are handed out.
    async fn consume(&self, queue: Queue, prefetch: NonZeroU16) -> Result<Consumer, BusError> {
        if self.closed.is_cancelled() {
            return Err(BusError::Away("the bus is closed".to_owned()));
        }
        let (inbox, gone) = (Arc::new(Inbox::default()), CancellationToken::new());
        for shard in 0..self.config.options().shards.get() {
            let feed = Feed {
                queue,
                shard,
                prefetch,
                inbox: Arc::clone(&inbox),
                outbox: self.outbox.clone(),
                incarnations: self.incarnations.clone(),
                gone: gone.clone(),
                closed: self.closed.clone(),
            };
            self.feeds.spawn(feed.run());
        }
        Ok(Consumer::new(AmqpConsumer::new(inbox, prefetch.get(), self.closed.clone(), gone)))
    }

    async fn consume_inbox(&self, _prefetch: NonZeroU16) -> Result<Option<Consumer>, BusError> {
        Ok(None)
    }

    /// True for some seconds after the broker refused a message for `queue`, unless a look at its depth finds
    /// room before. One full shard suffices.
    fn is_full(&self, queue: Queue) -> bool {
        self.outbox.is_full(queue)
    }

    async fn depth(&self, queue: Queue) -> Result<Depth, BusError> {
        let incarnation = self.incarnation().await?;
        let looking = depth::depth(&self.config, &incarnation.connection, &self.outbox.sizes, queue);
        let depth = looking.await.map_err(|error| away(&error))?;
        self.outbox.note_depth(queue, depth);
        Ok(depth)
    }

    async fn dead_letters(&self, position: u64, limit: u32) -> Result<Vec<DeadLetter>, BusError> {
        let incarnation = self.incarnation().await?;
        dead::letters(&self.config, &incarnation.connection, position, limit).await.map_err(|error| away(&error))
    }
}
