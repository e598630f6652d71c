//! A real OpenTelemetry collector: `rotel` as a child process that prints the spans it gets.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;

use crate::{free, wait};

/// A collector on a free port of this machine. Dropping it ends it.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    printed: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
    _process: Child,
    _reading: JoinSet<()>,
}

/// A span as the collector prints it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrintedSpan {
    /// The process that it is from.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its trace, in hexadecimal.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// The id of its parent; empty where it has none.
    pub parent: String,
    /// Trace and id of what it links to.
    pub links: HashSet<(String, String)>,
}

impl Collector {
    /// Returns once it takes spans.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start() -> Self {
        let program = program();
        assert!(program.exists(), "{} is absent: run scripts/install-test-collector", program.display());
        let folder = TempDir::new().expect("a temporary folder");
        let (http, grpc) = (free::address().await, free::address().await);
        let mut command = Command::new(program);
        command.args([
            "start",
            "--exporter",
            "blackhole",
            "--debug-log",
            "traces",
            "--debug-log-verbosity",
            "detailed",
        ]);
        command.args(["--otlp-http-endpoint", &http.to_string(), "--otlp-grpc-endpoint", &grpc.to_string()]);
        command.arg("--pid-file").arg(folder.path().join("pid")).env_clear().current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().expect("rotel-agent");
        let printed = Arc::new(Mutex::new(Vec::new()));
        let mut reading = JoinSet::new();
        reading.spawn(read(process.stdout.take().expect("a standard output"), Arc::clone(&printed)));
        wait::until("the collector", || async { TcpStream::connect(http).await.ok() }).await;
        Self { address: http, printed, _folder: folder, _process: process, _reading: reading }
    }

    /// What processes export to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans that it has printed so far.
    pub fn spans(&self) -> Vec<PrintedSpan> {
        let printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut spans, mut service) = (Vec::<PrintedSpan>::new(), String::new());
        let mut linked = None;
        for line in printed.iter() {
            let (name, value) = line.split_once(':').map_or(("", ""), |(name, value)| (name.trim(), value.trim()));
            if name == "-> service.name" {
                value.trim_start_matches("Str(").trim_end_matches(')').clone_into(&mut service);
            } else if line.starts_with("Span #") {
                spans.push(PrintedSpan { service: service.clone(), ..PrintedSpan::default() });
            }
            let Some(span) = spans.last_mut() else { continue };
            match name {
                "Trace ID" => value.clone_into(&mut span.trace),
                "ID" => value.clone_into(&mut span.id),
                "Parent ID" => value.clone_into(&mut span.parent),
                "Name" => value.clone_into(&mut span.name),
                "-> Trace ID" => linked = Some(value.to_owned()),
                "-> ID" => span.links.extend(linked.take().map(|trace| (trace, value.to_owned()))),
                _ => {}
            }
        }
        spans
    }
}

/// Where `scripts/install-test-collector` puts it.
fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-tools/rotel-agent")
}

async fn read(stdout: ChildStdout, into: Arc<Mutex<Vec<String>>>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        into.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}
