use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::KeyValue;
use tokio::time::Instant;
use tracing::{debug, error, info, subscriber, warn};

use super::*;
use crate::config::Sources;

/// An output that tests can read.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `act` logs.
fn logged(filter: &str, format: LogFormat, act: impl FnOnce()) -> String {
    let output = Captured::default();
    let log = Log::start(output.clone(), format).unwrap();
    let layer = log::layer(log.clone(), format).with_filter(filter::of_logs(filter).unwrap());
    subscriber::with_default(tracing_subscriber::registry().with(layer), act);
    log.flush();
    let bytes = output.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

const EVIL: &str = "a\u{1b}[2J\r\nERROR forged\t\u{9b}31m\u{7f}";

#[test]
fn control_characters_cannot_forge_lines_or_command_terminals() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let text = logged("info", format, || {
            let _span = tracing::info_span!("evil", span.field = %EVIL).entered();
            info!(quoted = EVIL, shown = %EVIL, "{EVIL}");
        });
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.contains("forged"), "{line:?}");
        if format == LogFormat::Json {
            let parsed: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(parsed["message"], EVIL);
            assert_eq!(parsed["shown"], EVIL);
        }
    }
}

#[test]
fn libraries_are_quiet_whatever_the_filter_says() {
    let text = logged("trace,hyper=trace,lapin::channel=debug", LogFormat::Text, || {
        debug!(target: "hyper::proto", "canary");
        info!(target: "hyper_util::client", "canary");
        info!(target: "amq_protocol::frame", "canary");
        warn!(target: "lapin::channel", "canary");
        info!(target: "reqwest::connect", "canary");
        info!(target: "redis", "canary");
        info!(target: "h2::codec", "canary");
        info!(target: "rustls::client", "canary");
        warn!(target: "redis", "connection lost");
        error!(target: "lapin::channel", "canary");
        debug!("ours");
    });
    assert!(!text.contains("canary"), "{text}");
    assert!(["connection lost", "ours"].iter().all(|line| text.contains(line)), "{text}");
}

#[test]
fn an_output_that_refuses_lines_is_survived() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let log = Log::start(Broken, LogFormat::Text).unwrap();
    let layer = log::layer(log.clone(), LogFormat::Text);
    subscriber::with_default(tracing_subscriber::registry().with(layer), || info!("lost"));
    log.flush();
    log.flush();
}

#[test]
fn an_output_that_hangs_blocks_nobody_and_the_loss_is_counted() {
    const LINES: usize = 10_000;
    let (mut reader, writer) = io::pipe().unwrap();
    let log = Log::start(writer, LogFormat::Text).unwrap();
    let layer = log::layer(log.clone(), LogFormat::Text);
    // Nobody reads the pipe yet, and it holds only a part of this.
    subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for number in 0..LINES {
            info!(number, "a line that is long enough to fill a pipe together with the others");
        }
    });
    drop(log);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let lost = text.lines().find_map(|line| line.strip_prefix("WARN ")?.split_once(" log lines were lost"));
    let lost: usize = lost.unwrap().0.parse().unwrap();
    assert!(lost > 0);
    assert_eq!(text.lines().filter(|line| line.contains("number=")).count() + lost, LINES);
}

fn silent(config: TelemetryConfig) -> Telemetry {
    Telemetry::with_log(config, Log::start(io::sink(), LogFormat::Text).unwrap()).unwrap()
}

#[test]
fn metrics_are_scraped_without_a_collector() {
    let telemetry = silent(TelemetryConfig::new("dockbell-test"));
    let counter = telemetry.meter().u64_counter("dockbell_attempts").with_description("POSTs").build();
    counter.add(3, &[KeyValue::new("outcome", "accepted")]);
    let text = telemetry.metrics_text()();
    assert!(text.contains("# HELP dockbell_attempts_total POSTs"), "{text}");
    assert!(text.contains("dockbell_attempts_total{outcome=\"accepted\"} 3"), "{text}");
    assert!(text.contains("service_name=\"dockbell-test\""), "{text}");
}

#[test]
fn contexts_travel_on_without_a_collector() {
    let telemetry = silent(TelemetryConfig::new("dockbell-test"));
    subscriber::with_default(tracing_subscriber::registry().with(telemetry.traced()), || {
        let (traceparent, _) = tracing::info_span!("a").in_scope(crate::trace::current_context);
        assert_eq!(traceparent.len(), 55, "{traceparent}");
    });
}

/// Paths of the requests that arrive in the meantime.
fn collector() -> (String, mpsc::Receiver<String>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/", socket.local_addr().unwrap());
    let (sender, receiver) = mpsc::sync_channel(10);
    thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap();
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            sender.send(head.lines().next().unwrap_or_default().to_owned()).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        }
    });
    (endpoint, receiver)
}

#[tokio::test]
async fn stopping_sends_what_is_left_to_the_collector() {
    let (endpoint, requests) = collector();
    let telemetry = silent(TelemetryConfig { otlp_endpoint: Some(endpoint), ..TelemetryConfig::new("dockbell-test") });
    subscriber::with_default(tracing_subscriber::registry().with(telemetry.traced()), || {
        tracing::info_span!("a").in_scope(|| {});
    });
    telemetry.meter().u64_counter("a").build().add(1, &[]);
    telemetry.stop();
    let mut paths: Vec<String> = requests.try_iter().collect();
    paths.sort_unstable();
    // The exporter may repeat a request whose answer it did not get.
    paths.dedup();
    assert_eq!(paths, ["POST /v1/metrics HTTP/1.1", "POST /v1/traces HTTP/1.1"]);
}

#[test]
fn a_collector_that_is_away_is_told_once_until_it_is_back() {
    let exporter = export::Reporting::new("traces", ());
    let text = logged("info", LogFormat::Text, || {
        let failure = || Err(OTelSdkError::InternalFailure("refused".to_owned()));
        for result in [Ok(()), failure(), failure(), Ok(()), Ok(()), failure()] {
            exporter.report(result).ok();
        }
    });
    let seen: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(seen, ["WARN", "INFO", "WARN"], "{text}");
}

#[tokio::test]
async fn a_collector_that_hangs_does_not_delay_the_end() {
    // It accepts in its backlog and never answers.
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    let telemetry = silent(TelemetryConfig { otlp_endpoint: Some(endpoint), ..TelemetryConfig::new("dockbell-test") });
    subscriber::with_default(tracing_subscriber::registry().with(telemetry.traced()), || {
        tracing::info_span!("a").in_scope(|| {});
    });
    telemetry.meter().u64_counter("a").build().add(1, &[]);
    let start = Instant::now();
    telemetry.stop();
    assert!(start.elapsed() < STOP_LIMIT + Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn telemetry_starts_once_and_stops() {
    let telemetry = Telemetry::start(TelemetryConfig::new("dockbell-test")).unwrap();
    info!("started");
    let again = Telemetry::start(TelemetryConfig::new("dockbell-test")).unwrap_err();
    assert!(matches!(again, TelemetryError::AlreadyStarted(_)), "{again}");
    telemetry.stop();
}

#[test]
fn settings_of_telemetry_are_checked() {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let wrong = [
        ("DOCKBELL_LOG_FILTER", "a=b=c"),
        ("DOCKBELL_LOG_FORMAT", "xml"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:pass@collector"),
    ];
    let mut reader = Reader::new(Sources { environment: wrong.into_iter().map(own).collect(), ..Sources::default() });
    TelemetryConfig::read(&mut reader, "dockbell-test");
    let told = reader.finish().unwrap_err().to_string();
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(!told.contains("user:pass"), "{told}");

    let right = [
        ("DOCKBELL_LOG_FILTER", "info,dockbell=debug"),
        ("DOCKBELL_LOG_FORMAT", "json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
    ];
    let mut reader = Reader::new(Sources { environment: right.into_iter().map(own).collect(), ..Sources::default() });
    let config = TelemetryConfig::read(&mut reader, "dockbell-test");
    reader.finish().unwrap();
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.otlp_endpoint.as_deref(), Some("http://collector:4318"));
}
