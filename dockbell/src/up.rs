//! `dockbell up`: all of it in one process.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockbell_backends::embedded::{Embedded, EmbeddedLimits, OpenError};
use dockbell_backends::{Bus, Store};
use dockbell_chassis::admin::{self, Readiness};
use dockbell_chassis::lifecycle::{BoxError, Lifecycle, LifecycleError};
use dockbell_chassis::listener::Listener;
use dockbell_chassis::telemetry::{Telemetry, TelemetryError};
use dockbell_console::Console;
use dockbell_deliverer::attempt::Attempter;
use dockbell_deliverer::directory::Directory;
use dockbell_deliverer::pull::Deliverer;
use dockbell_deliverer::settle::Settler;
use dockbell_deliverer::transport::{Transport, TransportError};
use dockbell_deliverer::under_way::UnderWay;
use dockbell_producer::collect::Collector;
use dockbell_producer::intake::{Intake, router as intake_router};
use dockbell_producer::source::Sources;
use dockbell_producer::stamp::Stamper;
use dockbell_proto::clock::{Clock, SystemClock};
use dockbell_proto::secret::Secret;
use opentelemetry::metrics::Meter;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::timeout;

use crate::settings::Settings;
use crate::tokens::{ADMIN_TOKEN, INGEST_TOKEN, TokenError, token};
use crate::watch::{Depths, watch};

/// How long everything may take to stop. The parts have shorter bounds of their own.
const GRACE: Duration = Duration::from_secs(20);

/// How long closing the data folder may take, on a disk that hangs.
const CLOSE_TIME: Duration = Duration::from_secs(10);

/// Why the process could not start or go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpError {
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("set up telemetry")]
    Telemetry(#[from] TelemetryError),
    #[error("listen")]
    Listen(#[source] io::Error),
    #[error("configure the default source")]
    Source,
    #[error(transparent)]
    Stopped(#[from] LifecycleError),
    #[error("{0}")]
    Demo(BoxError),
}

/// A process that is set up, before it runs.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ingest_token: Secret,
    pub(crate) intake_and_api: Listener,
    admin: Listener,
    embedded: Arc<Embedded>,
    telemetry: Telemetry,
    admin_token: Secret,
    rng: StdRng,
    settings: Settings,
}

impl House {
    /// Opens the data folder and the ports. Nothing runs yet.
    pub(crate) async fn set_up(settings: Settings) -> Result<Self, UpError> {
        let telemetry = Telemetry::start(settings.telemetry.clone())?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut rng: StdRng = rand::make_rng();
        let limits = EmbeddedLimits { queue_bytes: settings.queue_bytes, ..EmbeddedLimits::default() };
        let embedded = Arc::new(Embedded::open(&settings.data, Arc::clone(&clock), limits)?);
        let admin_token = token(settings.admin_token.clone(), &settings.data, ADMIN_TOKEN, &mut rng)?;
        let ingest_token = token(settings.producer.ingest_token.clone(), &settings.data, INGEST_TOKEN, &mut rng)?;
        let intake_and_api = Listener::bind(settings.listen).await.map_err(UpError::Listen)?;
        let admin = Listener::bind(settings.admin_listen).await.map_err(UpError::Listen)?;
        let store: Arc<dyn Store> = embedded.clone();
        let lifecycle = Lifecycle::new();
        Ok(Self {
            lifecycle,
            store,
            clock,
            ingest_token,
            intake_and_api,
            admin,
            embedded,
            telemetry,
            admin_token,
            rng,
            settings,
        })
    }

    /// Starts every part and runs until a signal comes or a part fails.
    pub(crate) async fn run(mut self) -> Result<(), UpError> {
        let bus: Arc<dyn Bus> = self.embedded.clone();
        let meter = self.telemetry.meter();
        let readiness = Readiness::new();
        let component = readiness.component("embedded");
        self.start_producer(&bus, &meter)?;
        self.start_deliverer(&bus, &meter)?;
        self.announce();
        let api = intake_router(self.intake(&bus, &meter)?).merge(dockbell_console::router(self.console(&bus)));
        let admin_routes = admin::router(readiness, self.telemetry.metrics_text());
        let (shutdown, admin_shutdown) = (self.lifecycle.shutdown(), self.lifecycle.shutdown());
        self.lifecycle.spawn("intake and API", self.intake_and_api.serve(api, shutdown));
        self.lifecycle.spawn("health and metrics", self.admin.serve(admin_routes, admin_shutdown));
        let depths = Depths::new(&meter);
        let watching = watch(Arc::clone(&self.embedded), component, depths, self.lifecycle.shutdown());
        self.lifecycle.spawn("embedded store", watching);
        let stopped = self.lifecycle.run(GRACE).await;
        if timeout(CLOSE_TIME, self.embedded.close()).await.is_err() {
            tracing::warn!("the data folder could not be closed in time; it is recovered at the next start");
        }
        self.telemetry.stop();
        Ok(stopped?)
    }

    fn announce(&self) {
        tracing::info!(
            listen = %self.intake_and_api.local_addr(),
            admin.listen = %self.admin.local_addr(),
            data = %self.settings.data.display(),
            "dockbell is up; its tokens, unless set, are in the data folder"
        );
    }

    fn sources(&self) -> Result<Arc<Sources>, UpError> {
        let settings = &self.settings.producer;
        let default = settings.default_source(self.ingest_token.clone()).ok_or(UpError::Source)?;
        Ok(Arc::new(Sources::new(default, settings.sources.clone())))
    }

    fn intake(&self, bus: &Arc<dyn Bus>, meter: &Meter) -> Result<Intake, UpError> {
        Ok(Intake {
            sources: self.sources()?,
            bus: Arc::clone(bus),
            clock: Arc::clone(&self.clock),
            metrics: dockbell_producer::metrics::Metrics::new(meter),
            stamper: Stamper::default(),
        })
    }

    fn console(&mut self, bus: &Arc<dyn Bus>) -> Console {
        Console {
            store: Arc::clone(&self.store),
            bus: Arc::clone(bus),
            clock: Arc::clone(&self.clock),
            policy: Arc::clone(&self.settings.deliverer.policy),
            admin_token: self.admin_token.clone(),
            rng: Mutex::new(StdRng::from_rng(&mut self.rng)),
        }
    }

    fn start_producer(&self, bus: &Arc<dyn Bus>, meter: &Meter) -> Result<(), UpError> {
        let settings = &self.settings.producer;
        let collector = Collector {
            bus: Arc::clone(bus),
            sources: self.sources()?,
            clock: Arc::clone(&self.clock),
            policy: settings.policy,
            prefetch: settings.prefetch,
            metrics: dockbell_producer::metrics::Metrics::new(meter),
        };
        self.lifecycle.spawn("producer", collector.run(self.lifecycle.shutdown()));
        Ok(())
    }

    fn start_deliverer(&mut self, bus: &Arc<dyn Bus>, meter: &Meter) -> Result<(), UpError> {
        let directory = Arc::new(Directory::new(Arc::clone(&self.store)));
        let follow = Arc::clone(&directory).follow(self.store.changes(), self.lifecycle.shutdown());
        self.lifecycle.spawn("webhook directory", follow);
        let rng = Mutex::new(StdRng::from_rng(&mut self.rng));
        let settings = &self.settings.deliverer;
        let transport = Transport::new(&settings.policy, settings.deadlines, Arc::clone(&self.clock))?;
        let deliverer = Arc::new(Deliverer {
            attempter: Attempter {
                directory,
                policy: Arc::clone(&settings.policy),
                transport,
                clock: Arc::clone(&self.clock),
            },
            settler: Settler {
                bus: Arc::clone(bus),
                store: Arc::clone(&self.store),
                clock: Arc::clone(&self.clock),
                metrics: dockbell_deliverer::metrics::Metrics::new(meter),
            },
            schedule: settings.schedule.clone(),
            rng,
            under_way: UnderWay::default(),
        });
        self.lifecycle
            .spawn("deliverer of batches", Arc::clone(&deliverer).pull(settings.fresh, self.lifecycle.shutdown()));
        self.lifecycle.spawn("deliverer of retries", deliverer.pull(settings.waiting, self.lifecycle.shutdown()));
        Ok(())
    }
}
