//! A process from its start to its end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::amqp::{Amqp, AmqpConfig};
use dockbell_backends::embedded::{Embedded, EmbeddedLimits, OpenError};
use dockbell_backends::keyring::{Keyring, KeyringError};
use dockbell_backends::redis::{RedisConfig, RedisConfigError, RedisStore};
use dockbell_backends::{Bus, Store};
use dockbell_chassis::admin::{self, Readiness};
use dockbell_chassis::lifecycle::{Lifecycle, LifecycleError, Signals};
use dockbell_chassis::listener::{Listener, Place};
use dockbell_chassis::telemetry::{Telemetry, TelemetryConfig, TelemetryError};
use dockbell_proto::clock::{Clock, SystemClock};
use opentelemetry::metrics::Meter;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::timeout;

use crate::depth::Depths;
use crate::keys::{self, KEY_FILE};
use crate::numbers;
use crate::watch::{Opened, watch};

/// How long everything may take to stop. The parts have shorter bounds of their own; the longest is that of an attempt,
/// which may take a minute.
const GRACE: Duration = Duration::from_secs(75);
/// How long closing a backend may take: a disk can hang, a broker be silent.
const CLOSE_TIME: Duration = Duration::from_secs(10);

/// How many files may be open, if the operating system lets us.
const OPEN_FILES: u64 = 65_536;

/// Why a process could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The data folder cannot be used.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The store cannot work as it is configured.
    #[error("configure the store: {0}")]
    Redis(#[from] RedisConfigError),
    /// The keys that seal secrets cannot be used.
    #[error("use the setting {KEY_FILE}")]
    Keys(#[from] KeyringError),
    /// Logs, traces or metrics cannot be set up.
    #[error("set up telemetry")]
    Telemetry(#[from] TelemetryError),
    /// An address cannot be listened on.
    #[error("listen")]
    Listen(#[source] io::Error),
    /// A part ended, failed, or did not stop.
    #[error(transparent)]
    Stopped(#[from] LifecycleError),
}

/// A process that is being set up. Nothing of it runs before [`Process::run`].
#[derive(Debug)]
pub struct Process {
    /// The tasks.
    pub lifecycle: Lifecycle,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Chance, seeded by the operating system.
    pub rng: StdRng,
    telemetry: Telemetry,
    admin: Listener,
    opened: Vec<Opened>,
}

/// What each attempt, connection and request needs is a file descriptor; services commonly start with 1,024 of them,
/// although they may have more.
fn raise_open_files() {
    match rlimit::increase_nofile_limit(OPEN_FILES) {
        Ok(limit) => tracing::debug!(limit, "so many files may be open"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
}

impl Process {
    /// Starts to log, and takes the address of health and metrics.
    pub async fn set_up(telemetry: TelemetryConfig, admin: Place) -> Result<Self, ProcessError> {
        let telemetry = Telemetry::start(telemetry)?;
        raise_open_files();
        let admin = Listener::bind(admin).await.map_err(ProcessError::Listen)?;
        let (clock, rng) = (Arc::new(SystemClock), rand::make_rng());
        Ok(Self { lifecycle: Lifecycle::new(), clock, rng, telemetry, admin, opened: Vec::new() })
    }

    /// The address of health and metrics, with its real port.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// Where to measure.
    pub fn meter(&self) -> Meter {
        self.telemetry.meter()
    }

    /// A generator for one part of the process.
    pub fn fork_rng(&mut self) -> StdRng {
        StdRng::from_rng(&mut self.rng)
    }

    /// The keys that seal secrets. Their file is followed; without one nothing is sealed, which a warning recalls.
    pub fn open_keys(&self, file: Option<&Path>) -> Result<Arc<Keyring>, ProcessError> {
        let Some(file) = file else {
            tracing::warn!("the secrets of webhooks are kept in redis as they are, because {KEY_FILE} is not set");
            return Ok(Arc::new(Keyring::none()));
        };
        let keys = Arc::new(Keyring::read(file)?);
        self.lifecycle.spawn("file of keys", keys::follow(Arc::clone(&keys), self.lifecycle.shutdown()));
        Ok(keys)
    }

    /// Opens the data folder as both bus and store.
    pub fn open_embedded(
        &mut self,
        folder: &Path,
        limits: EmbeddedLimits,
        keys: Arc<Keyring>,
    ) -> Result<Arc<Embedded>, ProcessError> {
        let embedded = Arc::new(Embedded::open_sealed(folder, Arc::clone(&self.clock), limits, keys)?);
        self.opened.push(Opened::Embedded(Arc::clone(&embedded)));
        Ok(embedded)
    }

    /// Starts to connect to the broker, for ever; readiness tells whether it is there.
    pub fn open_amqp(&mut self, config: AmqpConfig) -> Arc<dyn Bus> {
        let rng = self.fork_rng();
        let amqp = Arc::new(Amqp::start(config, Arc::clone(&self.clock), rng));
        numbers::of_amqp(&self.meter(), &amqp);
        self.opened.push(Opened::Amqp(Arc::clone(&amqp)));
        amqp
    }

    /// Starts to connect to the store, for ever; readiness tells whether it is there.
    pub fn open_redis(&mut self, config: &RedisConfig, keys: Arc<Keyring>) -> Result<Arc<dyn Store>, ProcessError> {
        let redis = Arc::new(RedisStore::start_sealed(config, Arc::clone(&self.clock), keys)?);
        numbers::of_redis(&self.meter(), &redis);
        self.opened.push(Opened::Redis(Arc::clone(&redis)));
        Ok(redis)
    }

    /// Starts to connect to a store that this process can do without: readiness says nothing of it. It holds no secrets of
    /// webhooks that this process reads.
    pub fn reach_redis(&self, config: &RedisConfig) -> Result<Arc<dyn Store>, ProcessError> {
        let redis = Arc::new(RedisStore::start(config, Arc::clone(&self.clock))?);
        numbers::of_redis(&self.meter(), &redis);
        Ok(redis)
    }

    /// Measures how much stands on the queues, which costs the broker a look at each.
    pub fn measure(&self, bus: Arc<dyn Bus>) {
        let measuring = Depths::new(&self.meter()).follow(bus, self.lifecycle.shutdown());
        self.lifecycle.spawn("depth of queues", measuring);
    }

    /// Runs until a signal comes or a part fails, then stops everything and closes what was opened, in the order
    /// of its opening. `announce` is called once signals are caught.
    pub async fn run(self, announce: impl FnOnce()) -> Result<(), ProcessError> {
        let Self { lifecycle, telemetry, admin, opened, .. } = self;
        let readiness = Readiness::new();
        for backend in &opened {
            let component = readiness.component(backend.name());
            lifecycle.spawn("watch over a backend", watch(backend.clone(), component, lifecycle.shutdown()));
        }
        let routes = admin::router(readiness, telemetry.metrics_text());
        lifecycle.spawn("health and metrics", admin.serve(routes, lifecycle.shutdown()));
        let signals = Signals::catch()?;
        announce();
        let stopped = lifecycle.run(signals, GRACE).await;
        for backend in opened {
            if timeout(CLOSE_TIME, backend.close()).await.is_err() {
                tracing::warn!(backend = backend.name(), "it could not be closed in time; nothing is lost by that");
            }
        }
        telemetry.stop();
        Ok(stopped?)
    }
}
