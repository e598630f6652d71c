//! Sends traces and metrics to an OTLP collector, and says when that stops or starts to work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::SpanData;

use crate::crypto::{install_crypto_provider, without_roots};
use crate::telemetry::TelemetryError;

/// What a collector's URL looks like.
pub(super) const ENDPOINT_EXPECTED: &str =
    "an http:// or https:// URL without user name and query, such as http://collector:4318";
/// One request. Exporting runs on threads of its own, so this only bounds how old telemetry gets.
const EXPORT_LIMIT: Duration = Duration::from_secs(5);

/// Whether this can be the base URL of a collector. Errors repeat it, so it must not hold a password.
pub(super) fn is_endpoint(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.contains(['@', '?', '#'])
            && !rest.contains(char::is_whitespace)
    })
}

/// A way to the collector.
pub(super) struct Client {
    base: String,
    http: reqwest::blocking::Client,
}

impl Client {
    pub(super) fn new(endpoint: &str) -> Result<Self, TelemetryError> {
        if !is_endpoint(endpoint) {
            return Err(TelemetryError::Exporter(format!("its endpoint is not {ENDPOINT_EXPECTED}")));
        }
        install_crypto_provider();
        // Building a blocking client inside a runtime panics, so a thread of its own does it.
        let configured = || reqwest::blocking::Client::builder().timeout(EXPORT_LIMIT);
        // Without any root certificates a collector behind http can still be reached.
        let rootless = move || configured().tls_backend_preconfigured(without_roots()).build();
        let client = move || configured().build().or_else(|_| rootless());
        let thread = thread::Builder::new().name("telemetry-start".to_owned()).spawn(client)?;
        let http = thread.join().map_err(|_| TelemetryError::Exporter("the HTTP client panicked".to_owned()))?;
        let http = http.map_err(|error| TelemetryError::Exporter(error.to_string()))?;
        Ok(Self { base: endpoint.trim_end_matches('/').to_owned(), http })
    }

    pub(super) fn span_exporter(&self) -> Result<Reporting<SpanExporter>, TelemetryError> {
        let builder = SpanExporter::builder().with_http().with_http_client(self.http.clone());
        let builder = builder.with_endpoint(format!("{}/v1/traces", self.base)).with_timeout(EXPORT_LIMIT);
        Ok(Reporting::new("traces", builder.with_protocol(Protocol::HttpBinary).build()?))
    }

    pub(super) fn metric_exporter(&self) -> Result<Reporting<MetricExporter>, TelemetryError> {
        let builder = MetricExporter::builder().with_http().with_http_client(self.http.clone());
        let builder = builder.with_endpoint(format!("{}/v1/metrics", self.base)).with_timeout(EXPORT_LIMIT);
        Ok(Reporting::new("metrics", builder.with_protocol(Protocol::HttpBinary).build()?))
    }
}

impl From<ExporterBuildError> for TelemetryError {
    fn from(error: ExporterBuildError) -> Self {
        Self::Exporter(error.to_string())
    }
}

/// An exporter that logs when the collector goes away and when it is back, not every failure between.
#[derive(Debug)]
pub(super) struct Reporting<E> {
    what: &'static str,
    exporter: E,
    is_failing: Arc<AtomicBool>,
}

impl<E> Reporting<E> {
    pub(super) fn new(what: &'static str, exporter: E) -> Self {
        Self { what, exporter, is_failing: Arc::default() }
    }

    pub(super) fn report(&self, result: OTelSdkResult) -> OTelSdkResult {
        let was_failing = self.is_failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_failing => {
                let what = self.what;
                tracing::warn!(error = %error, "failed to send {what}; they are dropped until the collector is back");
            }
            Ok(()) if was_failing => tracing::info!("the collector takes {} again", self.what),
            _ => {}
        }
        result
    }
}

impl opentelemetry_sdk::trace::SpanExporter for Reporting<SpanExporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.report(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl PushMetricExporter for Reporting<MetricExporter> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.report(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
