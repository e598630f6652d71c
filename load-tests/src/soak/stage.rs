//! The fleet of a soak with its servers, and the ways to them on which faults happen.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;
use dockbell_testkit::proxy::Proxy;
use dockbell_testkit::rabbitmq::{Link, Node};
use dockbell_testkit::redis::RedisServer;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::fault::{Fault, up_to};
use crate::fleet::Fleet;
use crate::program::Program;

const PRODUCERS: usize = 2;
const DELIVERERS: usize = 3;
/// A broker that is killed earlier breaks its youngest queues.
const QUEUES_MATURE: Duration = Duration::from_secs(12);
/// All that takes long is shortened, so that much happens within minutes.
const VARIABLES: [(&str, &str); 8] = [
    ("DOCKBELL_WINDOW_QUIET", "100ms"),
    ("DOCKBELL_WINDOW_MAX_WAIT", "500ms"),
    ("DOCKBELL_DELIVERY_TIMEOUT", "5s"),
    ("DOCKBELL_DELIVERY_CONNECT_TIMEOUT", "2s"),
    ("DOCKBELL_DELIVERY_SCHEDULE", "1s,2s,4s,8s,8s,8s,8s,8s,8s,8s,8s,8s,8s,8s,8s,8s,8s,8s,8s,8s"),
    ("DOCKBELL_DELIVERY_PREFETCH", "128"),
    ("DOCKBELL_POLICY_COOLDOWN", "3s"),
    ("DOCKBELL_POLICY_LONGEST_COOLDOWN", "12s"),
];

/// Everything that a fault may befall.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    pub(crate) console: Program,
    pub(crate) producers: Vec<Program>,
    pub(crate) deliverers: Vec<Program>,
    pub(crate) node: Node,
    pub(crate) host: String,
    settings: RedisServer,
    counters: RedisServer,
    to_broker: Link,
    to_settings: Proxy,
    mature: Instant,
    addresses: watch::Sender<Addresses>,
}

/// Where the processes listen that are up now.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    pub(crate) intakes: Vec<SocketAddr>,
    pub(crate) console: SocketAddr,
}

impl Stage {
    /// A fleet that is ready, and where to find it.
    pub(crate) async fn build(
        folder: &Path,
        variables: &[(String, String)],
    ) -> Result<(Self, watch::Receiver<Addresses>), BoxError> {
        let (node, settings, counters) = (Node::start().await, RedisServer::start().await, RedisServer::start().await);
        let host = node.virtual_host().await;
        let (to_broker, to_settings) = (Link::open(node.port()).await, Proxy::start(settings.addr()).await);
        let redis_url = format!("redis://{}/", to_settings.addr());
        let mut fleet = Fleet::new(&Node::url(to_broker.port(), &host), &redis_url, folder)?;
        fleet.set(VARIABLES);
        fleet.set([("DOCKBELL_REDIS_COUNTERS_URL", counters.url().as_str())]);
        fleet.set(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let console = fleet.console().await?;
        fleet.until_ready(&console).await?;
        let (mut producers, mut deliverers) = (Vec::new(), Vec::new());
        for _ in 0..PRODUCERS {
            producers.push(fleet.producer().await?);
        }
        for _ in 0..DELIVERERS {
            deliverers.push(fleet.deliverer().await?);
        }
        let (addresses, told) = watch::channel(addresses_of(&producers, &console)?);
        let mature = Instant::now() + QUEUES_MATURE;
        let stage = Self {
            fleet,
            console,
            producers,
            deliverers,
            node,
            host,
            settings,
            counters,
            to_broker,
            to_settings,
            mature,
            addresses,
        };
        stage.until_ready().await?;
        Ok((stage, told))
    }

    /// Every process that there is.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &Program> {
        [&self.console].into_iter().chain(&self.producers).chain(&self.deliverers)
    }

    /// Waits until every process is ready.
    pub(crate) async fn until_ready(&self) -> Result<(), BoxError> {
        for program in self.programs() {
            self.fleet.until_ready(program).await?;
        }
        Ok(())
    }

    /// Lets a fault happen and be over, within `longest` if it lasts.
    pub(crate) async fn suffer(&mut self, fault: Fault, longest: Duration, rng: &mut StdRng) -> Result<(), BoxError> {
        let time = up_to(longest, rng);
        let (producer, deliverer) = (rng.random_range(0..PRODUCERS), rng.random_range(0..DELIVERERS));
        match fault {
            Fault::KillProducer => self.replace_producer(producer).await?,
            Fault::KillDeliverer => {
                self.deliverers.remove(deliverer).kill().await?;
                self.deliverers.insert(deliverer, self.fleet.deliverer().await?);
            }
            Fault::KillConsole => {
                let console = self.fleet.console().await?;
                std::mem::replace(&mut self.console, console).kill().await?;
                self.addresses.send_replace(addresses_of(&self.producers, &self.console)?);
            }
            Fault::FreezeProducer => freeze(self.producers.get(producer), time).await?,
            Fault::FreezeDeliverer => freeze(self.deliverers.get(deliverer), time).await?,
            Fault::KillBroker => {
                sleep_until(self.mature).await;
                self.node.kill().await;
                sleep(time).await;
                self.node.restart().await;
            }
            Fault::CloseConnections => drop(self.node.close_connections(&self.host).await),
            Fault::HalfOpenBroker => {
                self.to_broker.freeze_present();
                sleep(time).await;
            }
            Fault::MemoryAlarm => {
                self.node.set_memory_alarm(true).await;
                sleep(time).await;
                self.node.set_memory_alarm(false).await;
            }
            of_redis => self.suffer_of_redis(of_redis, time).await,
        }
        Ok(())
    }

    async fn suffer_of_redis(&mut self, fault: Fault, time: Duration) {
        match fault {
            Fault::KillRedis => {
                self.settings.kill().await;
                sleep(time).await;
                self.settings.start_again().await;
            }
            Fault::PauseRedis => {
                self.settings.pause().await;
                sleep(time).await;
                self.settings.resume().await;
            }
            Fault::ReadOnlyRedis => {
                // A replica of nobody takes no writes, and keeps what it has.
                self.settings.run(&["REPLICAOF", "127.0.0.1", "1"]).await;
                sleep(time).await;
                self.settings.run(&["REPLICAOF", "NO", "ONE"]).await;
            }
            Fault::HalfOpenRedis => {
                self.to_settings.hold_present();
                sleep(time).await;
                self.to_settings.release();
            }
            _ => drop(self.counters.run(&["FLUSHALL"]).await),
        }
    }

    async fn replace_producer(&mut self, producer: usize) -> Result<(), BoxError> {
        self.producers.remove(producer).kill().await?;
        self.producers.insert(producer, self.fleet.producer().await?);
        self.addresses.send_replace(addresses_of(&self.producers, &self.console)?);
        Ok(())
    }
}

fn addresses_of(producers: &[Program], console: &Program) -> Result<Addresses, BoxError> {
    let intakes = producers.iter().map(Program::address).collect::<Result<_, _>>()?;
    Ok(Addresses { intakes, console: console.address()? })
}

async fn freeze(program: Option<&Program>, time: Duration) -> Result<(), BoxError> {
    let program = program.ok_or("there must be processes")?;
    program.signal("STOP").await?;
    sleep(time).await;
    program.signal("CONT").await
}
