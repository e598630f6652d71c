//! A receiver that runs a command for each request that it verified: Debian's `webhook` as a child process.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::{free, wait};

/// Another process may take the free port first.
const STARTS: usize = 5;

/// A receiver on a free port of this machine, with a folder of its own. Dropping it ends and forgets it.
#[derive(Debug)]
pub struct CommandReceiver {
    address: SocketAddr,
    folder: TempDir,
    _process: Child,
}

impl CommandReceiver {
    /// Returns once it answers. `rules` is its configuration, in which [`CommandReceiver::COMMAND`] stands for a command
    /// that notes its arguments.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start(rules: &str) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-tools/webhook/usr/bin/webhook");
        assert!(program.exists(), "{} is absent: run scripts/install-test-receivers", program.display());
        let folder = TempDir::new().expect("a temporary folder");
        let command = folder.path().join("command");
        let noting = format!("#!/bin/sh\necho \"$@\" >>'{}'\n", noted(&folder).display());
        fs::write(&command, noting).expect("a command");
        fs::set_permissions(&command, fs::Permissions::from_mode(0o700)).expect("a command that can be run");
        let rules = rules.replace(Self::COMMAND, &command.display().to_string());
        fs::write(folder.path().join("hooks.json"), rules).expect("rules");
        for _ in 0..STARTS {
            let address = free::address().await;
            let mut process = spawn(&program, folder.path(), address);
            let answered = wait::until("the receiver", || {
                let is_running = process.try_wait().expect("a child process").is_none();
                async move {
                    if is_running { TcpStream::connect(address).await.is_ok().then_some(true) } else { Some(false) }
                }
            });
            if answered.await {
                return Self { address, folder, _process: process };
            }
        }
        panic!("webhook does not start: {}", fs::read_to_string(folder.path().join("log")).unwrap_or_default());
    }

    /// What stands for the command in the rules.
    pub const COMMAND: &'static str = "/usr/local/bin/deploy";

    /// The URL of the rule of this id.
    pub fn url(&self, id: &str) -> String {
        format!("http://{}/hooks/{id}", self.address)
    }

    /// The arguments of each command that was run, in order.
    pub fn commands(&self) -> Vec<String> {
        fs::read_to_string(noted(&self.folder)).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

fn noted(folder: &TempDir) -> PathBuf {
    folder.path().join("noted")
}

fn spawn(program: &Path, folder: &Path, address: SocketAddr) -> Child {
    let log = fs::File::create(folder.join("log")).expect("a log");
    let mut command = Command::new(program);
    command.args(["-hooks", "hooks.json", "-verbose", "-ip", &address.ip().to_string()]);
    command.args(["-port", &address.port().to_string()]);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.kill_on_drop(true).spawn().expect("a child process")
}
