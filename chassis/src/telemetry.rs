//! Logs, traces and metrics of a process: set up once at its start, flushed once at its end.

mod export;
pub(crate) mod filter;
mod log;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tracing::Subscriber;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Reader;
use crate::telemetry::export::Client;
use crate::telemetry::log::Log;

#[cfg(test)]
mod tests;

/// The name under which everything is measured and traced.
const SCOPE: &str = "dockbell";
/// How long the end of the process may take to send what is left. A collector that is away must not
/// delay a restart.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// The upper bounds of the buckets of durations, in seconds: from a quick query to a delivery that had to wait.
pub const SECONDS: [f64; 18] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 60.0, 600.0, 3600.0, 86_400.0];

/// What is logged, traced and measured, and where it goes.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// What the process is called in traces and metrics.
    pub service_name: &'static str,
    /// Base URL of an OTLP/HTTP collector, such as `http://collector:4318`. Its credentials come from the
    /// variable `OTEL_EXPORTER_OTLP_HEADERS`.
    pub otlp_endpoint: Option<String>,
    /// Which log lines are written, such as `info,dockbell_deliverer=debug`. Spans are traced from INFO on,
    /// whatever this says.
    pub log_filter: String,
    /// How log lines are written.
    pub log_format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter cannot be read.
    #[error("read the log filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The collector cannot be addressed. One that is away is no error.
    #[error("prepare the OTLP exporter: {0}")]
    Exporter(String),
    /// The metrics cannot be set up.
    #[error("set up metrics: {0}")]
    Metrics(#[from] OTelSdkError),
    /// The process has telemetry already.
    #[error("install the log subscriber: {0}")]
    AlreadyStarted(#[from] tracing_subscriber::util::TryInitError),
    /// A thread cannot be started.
    #[error("start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl TelemetryConfig {
    /// Logs for people at INFO, and no collector.
    pub fn new(service_name: &'static str) -> Self {
        let log_filter = "info".to_owned();
        Self { service_name, otlp_endpoint: None, log_filter, log_format: LogFormat::default() }
    }

    /// Reads `log.filter`, `log.format` and `telemetry.otlp_endpoint`.
    pub fn read(reader: &mut Reader, service_name: &'static str) -> Self {
        let default = Self::new(service_name);
        let is_filter =
            |text: &str| filter::of_logs::<tracing_subscriber::Registry>(text).is_ok().then(|| text.to_owned());
        let log_filter = reader.get("log.filter", "a filter such as info,dockbell_deliverer=debug", is_filter);
        let log_format = reader.get("log.format", "text or json", LogFormat::parse);
        let is_endpoint = |text: &str| export::is_endpoint(text).then(|| text.to_owned());
        let otlp_endpoint = reader.get("telemetry.otlp_endpoint", export::ENDPOINT_EXPECTED, is_endpoint);
        Self {
            otlp_endpoint,
            log_filter: log_filter.unwrap_or(default.log_filter),
            log_format: log_format.unwrap_or(default.log_format),
            ..default
        }
    }
}

impl LogFormat {
    /// Reads "text" or "json".
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// The telemetry of this process. What is still buffered when it is dropped without [`Telemetry::stop`]
/// may be lost.
#[derive(Debug)]
pub struct Telemetry {
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    registry: Registry,
    log: Log,
    /// Whether there is a collector.
    is_collected: bool,
}

impl Telemetry {
    /// Starts to log, trace and measure. A collector that is away does not matter: what cannot be sent
    /// is dropped, and said once.
    pub fn start(config: TelemetryConfig) -> Result<Self, TelemetryError> {
        let filter = filter::of_logs(&config.log_filter)?;
        let format = config.log_format;
        let telemetry = Self::with_log(config, Log::start(std::io::stderr(), format)?)?;
        let logged = log::layer(telemetry.log.clone(), format).with_filter(filter);
        tracing_subscriber::registry().with(logged).with(telemetry.traced()).try_init()?;
        Ok(telemetry)
    }

    fn with_log(config: TelemetryConfig, log: Log) -> Result<Self, TelemetryError> {
        let resource = resource(config.service_name);
        let registry = Registry::new();
        let scraped =
            opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false).build()?;
        let mut tracers = SdkTracerProvider::builder().with_resource(resource.clone());
        let is_collected = config.otlp_endpoint.is_some();
        let mut meters = SdkMeterProvider::builder().with_resource(resource).with_reader(scraped);
        if let Some(endpoint) = config.otlp_endpoint {
            let client = Client::new(&endpoint)?;
            tracers = tracers.with_batch_exporter(client.span_exporter()?);
            meters = meters.with_reader(PeriodicReader::builder(client.metric_exporter()?).build());
        }
        Ok(Self { tracers: tracers.build(), meters: meters.build(), registry, log, is_collected })
    }

    /// Turns spans into traces. It works without a collector too, so that contexts always travel on.
    fn traced<S>(&self) -> impl Layer<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let tracer = self.tracers.tracer_with_scope(InstrumentationScope::builder(SCOPE).build());
        let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
        layer.with_tracked_inactivity(false).with_filter(filter::of_traces(self.is_collected))
    }

    /// Where instruments are made.
    pub fn meter(&self) -> Meter {
        self.meters.meter(SCOPE)
    }

    /// Writes all metrics in the Prometheus text format, whenever it is called.
    pub fn metrics_text(&self) -> impl Fn() -> String + Clone + Send + Sync + 'static {
        let registry = self.registry.clone();
        move || {
            TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_else(|error| {
                tracing::error!(error = %error, "failed to write the metrics");
                String::new()
            })
        }
    }

    /// Sends what is left, but returns after a few seconds even if the collector or stderr hangs.
    pub fn stop(self) {
        let (sender, done) = mpsc::sync_channel(1);
        let stopping = thread::Builder::new().name("telemetry-stop".to_owned()).spawn(move || {
            // Failures are not told: where they would go has just been closed.
            self.tracers.shutdown_with_timeout(STOP_LIMIT).ok();
            self.meters.shutdown().ok();
            self.log.flush();
            sender.send(()).ok();
        });
        if stopping.is_ok() {
            done.recv_timeout(STOP_LIMIT).ok();
        }
    }
}

/// Who this is. `OTEL_RESOURCE_ATTRIBUTES` can say more.
fn resource(service_name: &'static str) -> Resource {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let instance = format!("{}-{}", host.trim(), std::process::id());
    let version = env!("CARGO_PKG_VERSION");
    let attributes = [KeyValue::new("service.instance.id", instance), KeyValue::new("service.version", version)];
    Resource::builder().with_attributes(attributes).with_service_name(service_name).build()
}
