//! AMQP adapters to test, on virtual hosts of a private `RabbitMQ`.

use std::num::NonZeroU16;
use std::sync::Arc;

use async_trait::async_trait;
use dockbell_backends::amqp::{Amqp, AmqpConfig, AmqpOptions};
use dockbell_backends::bus::Bus;
use dockbell_proto::clock::SystemClock;
use dockbell_proto::secret::Secret;
use dockbell_testkit::conformance::bus::{BusHarness, QUEUE_BYTES};
use dockbell_testkit::rabbitmq::{Link, Node};
use dockbell_testkit::wait::DEADLINE;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::timeout;

pub(crate) fn options(shards: u16) -> AmqpOptions {
    AmqpOptions { shards: NonZeroU16::new(shards).unwrap(), queue_bytes: QUEUE_BYTES, ..AmqpOptions::default() }
}

pub(crate) fn start(port: u16, host: &str, options: AmqpOptions) -> Amqp {
    start_any(&[Node::url(port, host)], options)
}

pub(crate) fn start_as(user: &str, port: u16, host: &str, options: AmqpOptions) -> Amqp {
    start_any(&[Node::url_of(user, port, host)], options)
}

/// A bus that may connect to any of several addresses.
pub(crate) fn start_any(urls: &[String], options: AmqpOptions) -> Amqp {
    let secrets: Vec<Secret> = urls.iter().map(Secret::new).collect();
    let config = AmqpConfig::new(&secrets, options).unwrap();
    let seed = std::collections::hash_map::RandomState::new();
    let seed = std::hash::BuildHasher::hash_one(&seed, urls);
    Amqp::start(config, Arc::new(SystemClock), StdRng::seed_from_u64(seed))
}

/// A bus that has nothing to complain of.
pub(crate) async fn open(port: u16, host: &str, options: AmqpOptions) -> Result<Amqp, Arc<str>> {
    open_any(&[Node::url(port, host)], options).await
}

/// As [`start_any`], once it has nothing to complain of.
pub(crate) async fn open_any(urls: &[String], options: AmqpOptions) -> Result<Amqp, Arc<str>> {
    let bus = start_any(urls, options);
    untroubled(&bus).await?;
    Ok(bus)
}

/// Waits until there is no trouble; says which there is when it lasts.
pub(crate) async fn untroubled(bus: &Amqp) -> Result<(), Arc<str>> {
    let mut trouble = bus.trouble();
    let over = timeout(DEADLINE, trouble.wait_for(Option::is_none)).await.is_ok();
    if over { Ok(()) } else { Err(trouble.borrow().clone().unwrap_or_default()) }
}

/// Waits for trouble that is told with `words`.
pub(crate) async fn trouble(bus: &Amqp, words: &str) -> Arc<str> {
    let mut trouble = bus.trouble();
    let is_told = |told: &Option<Arc<str>>| told.as_deref().is_some_and(|told| told.contains(words));
    if let Ok(told) = timeout(DEADLINE, trouble.wait_for(is_told)).await {
        return told.unwrap().clone().unwrap();
    }
    panic!("waited in vain for {words}: {:?}", bus.trouble().borrow());
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
