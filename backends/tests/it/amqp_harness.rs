//! AMQP adapters to test, on virtual hosts of a private `RabbitMQ`.

use std::num::NonZeroU16;
use std::sync::Arc;

use async_trait::async_trait;
use dockbell_backends::amqp::{Amqp, AmqpConfig, AmqpError, AmqpOptions};
use dockbell_backends::bus::Bus;
use dockbell_proto::clock::SystemClock;
use dockbell_proto::secret::Secret;
use dockbell_testkit::conformance::bus::{BusHarness, QUEUE_BYTES};
use dockbell_testkit::rabbitmq::{Link, Node};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

pub(crate) fn options(shards: u16) -> AmqpOptions {
    let shards = NonZeroU16::new(shards).unwrap();
    AmqpOptions { shards, queue_bytes: QUEUE_BYTES * u64::from(shards.get()), ..AmqpOptions::default() }
}

pub(crate) async fn open(port: u16, host: &str, options: AmqpOptions) -> Result<Amqp, AmqpError> {
    open_any(&[Node::url(port, host)], options).await
}

/// A bus that may connect to any of several addresses.
pub(crate) async fn open_any(urls: &[String], options: AmqpOptions) -> Result<Amqp, AmqpError> {
    let secrets: Vec<Secret> = urls.iter().map(Secret::new).collect();
    let config = AmqpConfig::new(&secrets, options).unwrap();
    let seed = std::collections::hash_map::RandomState::new();
    let seed = std::hash::BuildHasher::hash_one(&seed, urls);
    Amqp::open(config, Arc::new(SystemClock), StdRng::seed_from_u64(seed)).await
}

/// A bus whose process can be ended without its help: its wire is cut.
pub(crate) struct AmqpBus<'node> {
    node: &'node Node,
    host: String,
    shards: u16,
    link: Link,
    bus: Arc<Amqp>,
}

impl<'node> AmqpBus<'node> {
    /// A bus on a virtual host of its own.
    pub(crate) async fn open(node: &'node Node, shards: u16) -> Self {
        let host = node.virtual_host().await;
        let link = Link::open(node.port()).await;
        let bus = Arc::new(open(link.port(), &host, options(shards)).await.unwrap());
        Self { node, host, shards, link, bus }
    }
}

#[async_trait]
impl BusHarness for AmqpBus<'_> {
    fn bus(&self) -> Arc<dyn Bus> {
        Arc::<Amqp>::clone(&self.bus)
    }

    async fn crash(&mut self) {
        self.link = Link::open(self.node.port()).await;
        self.bus = Arc::new(open(self.link.port(), &self.host, options(self.shards)).await.unwrap());
    }
}
