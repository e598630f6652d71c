//! A real registry to push to: Debian's `docker-registry` as a child process, pushed to by `skopeo`.

mod layout;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::registry::layout::{Layout, Platforms};
use crate::{free, wait};

#[cfg(test)]
mod tests;

/// Another process may take the free port first.
const STARTS: usize = 5;

/// A registry on a free port of this machine, with a folder of its own. Dropping it ends and forgets it.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    folder: TempDir,
    pushes: AtomicU64,
    _process: Child,
}

/// Where a registry reports pushes.
#[derive(Debug, Clone)]
pub struct Reporting {
    /// What it POSTs to.
    pub url: String,
    /// What it shows as `Authorization: Bearer …`.
    pub token: String,
    /// Whether a report names the blobs and manifests that a manifest refers to.
    pub include_references: bool,
}

impl Registry {
    /// Whether `docker-registry` and `skopeo` are installed: tests that need them are skipped, and say so,
    /// where they are not.
    pub fn is_installed() -> bool {
        let programs = ["docker-registry", "skopeo"];
        let starts = |program: &&str| {
            let mut command = std::process::Command::new(program);
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        };
        programs.iter().all(starts)
    }

    /// Returns once the registry answers.
    ///
    /// # Panics
    /// If it cannot be started; it needs the Debian packages docker-registry and skopeo.
    pub async fn start(reporting: &Reporting) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        for _ in 0..STARTS {
            let address = free::address().await;
            let mut process = spawn(folder.path(), address, reporting);
            let answered = wait::until("the registry", || {
                let is_running = process.try_wait().expect("a child process").is_none();
                async move { if is_running { is_up(address).await.then_some(true) } else { Some(false) } }
            });
            if answered.await {
                return Self { address, folder, pushes: AtomicU64::new(0), _process: process };
            }
        }
        panic!("docker-registry does not start: {}", log_of(folder.path()));
    }

    /// Where it listens; this is also the host in its reports.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Pushes an image for one platform, and returns the digest of its manifest. Every push has a content
    /// of its own.
    ///
    /// # Panics
    /// If the push fails.
    pub async fn push_single(&self, repository: &str, tag: &str) -> String {
        self.push(repository, tag, Platforms::One).await
    }

    /// Pushes an image for two platforms, and returns the digest of its index. The registry reports three
    /// manifests and six blobs.
    ///
    /// # Panics
    /// If the push fails.
    pub async fn push_multi_arch(&self, repository: &str, tag: &str) -> String {
        self.push(repository, tag, Platforms::Two).await
    }

    async fn push(&self, repository: &str, tag: &str, platforms: Platforms) -> String {
        let number = self.pushes.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.path().join(format!("image-{number}"));
        let layout = Layout::write(&folder, tag, platforms, &format!("push {number}")).expect("an OCI layout");
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false"]);
        if platforms == Platforms::Two {
            command.arg("--all");
        }
        command.arg(format!("oci:{}:{tag}", folder.display()));
        command.arg(format!("docker://{}/{repository}:{tag}", self.address));
        let output = command.kill_on_drop(true).output().await.expect("skopeo");
        assert!(output.status.success(), "skopeo: {}", String::from_utf8_lossy(&output.stderr));
        layout.digest
    }
}

fn spawn(folder: &Path, address: SocketAddr, reporting: &Reporting) -> Child {
    let config = folder.join("config.yml");
    fs::write(&config, configuration(folder, address, reporting)).expect("a configuration");
    let log = fs::File::create(log_path(folder)).expect("a log");
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.kill_on_drop(true).spawn().expect("docker-registry, of the Debian package of that name")
}

/// JSON, which is YAML too and needs no care with quotes.
///
/// Source: <https://distribution.github.io/distribution/about/configuration/>.
fn configuration(folder: &Path, address: SocketAddr, reporting: &Reporting) -> String {
    let endpoint = serde_json::json!({
        "name": "dockbell",
        "url": reporting.url,
        "headers": { "Authorization": [format!("Bearer {}", reporting.token)] },
        "timeout": "3s",
        "threshold": 5,
        "backoff": "1s",
    });
    let configuration = serde_json::json!({
        "version": 0.1,
        "log": { "level": "info" },
        "storage": { "filesystem": { "rootdirectory": folder.join("storage") }, "delete": { "enabled": true } },
        "http": { "addr": address, "secret": "the same for every process" },
        "notifications": {
            "events": { "includereferences": reporting.include_references },
            "endpoints": [endpoint],
        },
    });
    configuration.to_string()
}

async fn is_up(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /v2/ HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer.contains(" 200 "))
    };
    ask.await.unwrap_or(false)
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("registry.log")
}

fn log_of(folder: &Path) -> String {
    fs::read_to_string(log_path(folder)).unwrap_or_default()
}
