//! The producer as a part of a process: takes events in, over HTTP and from the bus, and publishes batches.

use std::num::NonZeroU16;
use std::sync::Arc;

use axum::Router;
use dockbell_backends::amqp::AmqpConfig;
use dockbell_backends::redis::RedisConfig;
use dockbell_backends::{Bus, Store};
use dockbell_chassis::config::Reader;
use dockbell_chassis::lifecycle::Lifecycle;
use dockbell_chassis::limits::{Rates, limited};
use dockbell_chassis::listener::{Listener, Place};
use dockbell_chassis::telemetry::TelemetryConfig;
use dockbell_process::command::Failure;
use dockbell_process::limits::Limits;
use dockbell_process::listen::{admin_listen, listen};
use dockbell_process::servers::{read_redis, require_amqp};
use dockbell_process::{Process, ProcessError};
use dockbell_proto::clock::Clock;
use dockbell_proto::secret::Secret;
use opentelemetry::metrics::Meter;

use crate::collect::Collector;
use crate::inbox::Inbox;
use crate::intake::{Intake, router};
use crate::metrics::Metrics;
use crate::settings::{DEFAULT_SOURCE, Settings};
use crate::source::Sources;
use crate::stamp::Stamper;
use crate::tokens::Tokens;

/// How many messages of the inbox are held at most. They leave as soon as their events are published.
const INBOX_PREFETCH: NonZeroU16 = NonZeroU16::MIN.saturating_add(255);

/// What a producer is made of.
#[derive(Debug)]
pub struct Producer {
    /// Where events and batches go.
    pub bus: Arc<dyn Bus>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What it is told.
    pub settings: Settings,
    /// Who may report events.
    pub sources: Arc<Sources>,
    /// What is counted.
    pub metrics: Metrics,
    /// Where it is said who else may report, if anywhere.
    pub store: Option<Arc<dyn Store>>,
    /// Whether spans go anywhere.
    pub exports_traces: bool,
}

impl Producer {
    /// A producer that exports traces. `ingest_token` is the secret of the default source.
    pub fn new(
        (bus, clock): (Arc<dyn Bus>, Arc<dyn Clock>),
        settings: Settings,
        ingest_token: Secret,
        meter: &Meter,
        store: Option<Arc<dyn Store>>,
    ) -> Self {
        let default = settings.default_source(ingest_token);
        let sources = Arc::new(Sources::new(default, settings.sources.clone()));
        Self { bus, clock, settings, sources, metrics: Metrics::new(meter), store, exports_traces: true }
    }

    /// The routes of the intake.
    pub fn intake(&self) -> Router {
        router(Intake {
            sources: Arc::clone(&self.sources),
            bus: Arc::clone(&self.bus),
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
            stamper: Stamper::default(),
            tokens: self.store.clone().map(Tokens::new),
        })
    }

    /// Starts to fill windows.
    pub fn start(&self, lifecycle: &Lifecycle) {
        let collector = Collector {
            bus: Arc::clone(&self.bus),
            sources: Arc::clone(&self.sources),
            clock: Arc::clone(&self.clock),
            policy: self.settings.policy,
            prefetch: self.settings.prefetch,
            metrics: self.metrics.clone(),
            exports_traces: self.exports_traces,
        };
        lifecycle.spawn("producer", collector.run(lifecycle.shutdown()));
        let inbox = Inbox {
            bus: Arc::clone(&self.bus),
            sources: Arc::clone(&self.sources),
            clock: Arc::clone(&self.clock),
            prefetch: INBOX_PREFETCH,
            metrics: self.metrics.clone(),
        };
        lifecycle.spawn("inbox", inbox.run(lifecycle.shutdown()));
    }
}

/// The settings of a process that is a producer and nothing else.
#[derive(Debug)]
pub struct Service {
    listen: Place,
    admin_listen: Place,
    telemetry: TelemetryConfig,
    amqp: AmqpConfig,
    redis: Option<RedisConfig>,
    ingest_token: Secret,
    settings: Settings,
    rates: Rates,
}

impl Service {
    /// Reads the settings. What is wrong is noted in `reader`.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        for section in [
            "data",
            "admin_token",
            "api_url",
            "api_ca_file",
            "api_token",
            "public_url",
            "embedded",
            "secrets",
            "targets",
            "dns",
            "delivery",
            "policy",
            "operations",
        ] {
            reader.leave_to_others(section);
        }
        let (listen, admin_listen) = (listen(reader), admin_listen(reader));
        let telemetry = TelemetryConfig::read(reader, "dockbell-producer");
        let (amqp, rates) = (require_amqp(reader), Limits::read(reader).intake);
        let (settings, redis) = (Settings::read(reader), read_redis(reader));
        if settings.ingest_token.is_none() {
            let problem = format!("is missing: it is the secret that the source {DEFAULT_SOURCE} presents");
            reader.reject("ingest_token", problem);
        }
        let ingest_token = settings.ingest_token.clone()?;
        Some(Self { listen, admin_listen, telemetry, amqp: amqp?, redis, ingest_token, settings, rates })
    }

    /// Runs until a signal comes or a part fails.
    pub async fn run(self) -> Result<(), Failure> {
        self.until_stopped().await.map_err(Failure::failed)
    }

    async fn until_stopped(self) -> Result<(), ProcessError> {
        let exports_traces = self.telemetry.otlp_endpoint.is_some();
        let mut process = Process::set_up(self.telemetry, self.admin_listen).await?;
        let listener = Listener::bind(self.listen).await.map_err(ProcessError::Listen)?;
        let bus = process.open_amqp(self.amqp);
        process.measure(Arc::clone(&bus));
        let clock = Arc::clone(&process.clock);
        let store = self.redis.as_ref().map(|redis| process.reach_redis(redis)).transpose()?;
        let producer = Producer::new((bus, clock), self.settings, self.ingest_token, &process.meter(), store);
        let producer = Producer { exports_traces, ..producer };
        producer.start(&process.lifecycle);
        let (listen, admin) = (listener.local_addr(), process.admin_address());
        let routes = limited(producer.intake(), self.rates, "intake", &process.meter());
        process.lifecycle.spawn("intake", listener.serve(routes, process.lifecycle.shutdown()));
        process.run(|| tracing::info!(%listen, admin.listen = %admin, "dockbell-producer is up")).await
    }
}
