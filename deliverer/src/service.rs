//! The deliverer as a part of a process: delivers batches, and what waits for a further attempt.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use dockbell_backends::store::claims::Holder;
use dockbell_backends::{Bus, Store};
use dockbell_chassis::config::Reader;
use dockbell_chassis::lifecycle::Lifecycle;
use dockbell_chassis::listener::Place;
use dockbell_chassis::telemetry::TelemetryConfig;
use dockbell_process::command::Failure;
use dockbell_process::keys::key_file;
use dockbell_process::listen::admin_listen;
use dockbell_process::servers::Servers;
use dockbell_process::{Process, ProcessError};
use dockbell_proto::clock::Clock;
use opentelemetry::metrics::Meter;
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::attempt::Attempter;
use crate::burial::Burials;
use crate::chance::Chance;
use crate::directory::Directory;
use crate::fleet::Fleet;
use crate::hosts::Hosts;
use crate::lane::Lanes;
use crate::line::Line;
use crate::metrics::Metrics;
use crate::operations::Operations;
use crate::pull::{Deliverer, Silence};
use crate::settings::Settings;
use crate::settle::Settler;
use crate::transport::names::Names;
use crate::transport::{Outside, Transport, TransportError};
use crate::under_way::UnderWay;
use crate::unrecorded::Unrecorded;

/// What a deliverer works with.
#[derive(Debug)]
pub struct Surroundings {
    /// Where batches come from and retries wait.
    pub bus: Arc<dyn Bus>,
    /// Where webhooks are and attempts are recorded.
    pub store: Arc<dyn Store>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where chance comes from.
    pub rng: StdRng,
}

/// Starts to deliver. Returns where operators are told, for other parts of the process that have something to tell.
pub fn start(
    surroundings: Surroundings,
    settings: &Settings,
    meter: &Meter,
    lifecycle: &Lifecycle,
) -> Result<Operations, TransportError> {
    let Surroundings { bus, store, clock, mut rng } = surroundings;
    let holder = Holder::from_random(rng.random());
    let receivers = Outside { proxy: settings.proxy.clone(), ..outside(settings) };
    let transport = Transport::new(&receivers, &settings.targets, settings.deadlines, Arc::clone(&clock))?;
    let directory = Arc::new(Directory::new(Arc::clone(&store)));
    let follow = Arc::clone(&directory).follow(store.changes(), lifecycle.shutdown());
    lifecycle.spawn("webhook directory", follow);
    let operations = tell_operators(&bus, &clock, settings, (meter, lifecycle))?;
    let settler = Settler {
        operations: operations.clone(),
        bus,
        store,
        directory: Arc::clone(&directory),
        policy: settings.policy.clone(),
        unrecorded: Unrecorded::default(),
        line: Line::default(),
        burials: Burials::default(),
        clock: Arc::clone(&clock),
        metrics: Metrics::new(meter),
        told_at: Mutex::default(),
    };
    let deliverer = Arc::new(Deliverer {
        attempter: Attempter {
            directory,
            policy: Arc::clone(&settings.targets),
            allows_skip_verify: settings.allows_skip_verify,
            transport,
            public_url: settings.public_url.clone(),
            clock,
        },
        settler,
        lanes: Lanes::default(),
        hosts: Hosts::default(),
        fleet: Fleet::default(),
        chance: Chance::new(rng),
        under_way: UnderWay::default(),
        holder,
        silence: Silence::default(),
    });
    lifecycle.spawn("deliverer of batches", Arc::clone(&deliverer).pull(settings.fresh, lifecycle.shutdown()));
    lifecycle.spawn("deliverer of retries", Arc::clone(&deliverer).pull(settings.waiting, lifecycle.shutdown()));
    lifecycle.spawn("late records", Arc::clone(&deliverer).catch_up(lifecycle.shutdown()));
    lifecycle.spawn("tidying of lanes", deliverer.tidy(lifecycle.shutdown()));
    Ok(operations)
}

/// Starts to tell operators what is told to the value returned: on `bus`, and at the URL of the settings. A process that
/// delivers has it from [`start`].
pub fn tell_operators(
    bus: &Arc<dyn Bus>,
    clock: &Arc<dyn Clock>,
    settings: &Settings,
    (meter, lifecycle): (&Meter, &Lifecycle),
) -> Result<Operations, TransportError> {
    let target = (settings.operations.clone(), &outside(settings));
    let (operations, telling) = Operations::new(Arc::clone(bus), clock, target, meter)?;
    lifecycle.spawn("operator events", telling.run(lifecycle.shutdown()));
    Ok(operations)
}

/// What is asked for the addresses of receivers, and vouches for them. The proxy is for what owners set: operators are
/// reached directly.
fn outside(settings: &Settings) -> Outside {
    let names = Arc::new(Names::new(settings.name_servers.clone()));
    Outside { names, roots: settings.roots.clone(), proxy: None }
}

/// The settings of a process that is a deliverer and nothing else.
#[derive(Debug)]
pub struct Service {
    admin_listen: Place,
    telemetry: TelemetryConfig,
    servers: Servers,
    key_file: Option<PathBuf>,
    settings: Settings,
}

/// Why a deliverer could not start or go on.
#[derive(Debug, thiserror::Error)]
enum ServiceError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl Service {
    /// Reads the settings. What is wrong is noted in `reader`.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        for section in [
            "listen",
            "tls",
            "data",
            "admin_token",
            "api_url",
            "api_ca_file",
            "api_token",
            "limits",
            "embedded",
            "window",
            "sources",
            "ingest_token",
        ] {
            reader.leave_to_others(section);
        }
        let admin_listen = admin_listen(reader);
        let telemetry = TelemetryConfig::read(reader, "dockbell-deliverer");
        let servers = Servers::require(reader);
        let (key_file, settings) = (key_file(reader, servers.is_some()), Settings::read(reader));
        Some(Self { admin_listen, telemetry, servers: servers?, key_file, settings })
    }

    /// Runs until a signal comes or a part fails.
    pub async fn run(self) -> Result<(), Failure> {
        self.until_stopped().await.map_err(Failure::failed)
    }

    async fn until_stopped(mut self) -> Result<(), ServiceError> {
        let mut process = Process::set_up(self.telemetry, self.admin_listen).await?;
        // Deliverers come and go by themselves.
        self.servers.redis.accepts_empty = false;
        let keys = process.open_keys(self.key_file.as_deref())?;
        let surroundings = Surroundings {
            bus: process.open_amqp(self.servers.amqp),
            store: process.open_redis(&self.servers.redis, keys)?,
            clock: Arc::clone(&process.clock),
            rng: process.fork_rng(),
        };
        drop(start(surroundings, &self.settings, &process.meter(), &process.lifecycle)?);
        let admin = process.admin_address();
        Ok(process.run(|| tracing::info!(admin.listen = %admin, "dockbell-deliverer is up")).await?)
    }
}
