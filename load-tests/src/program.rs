//! One of our programs as a process, with its log in a file.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long a start or an end may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// A process that is up. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    /// Where it listens for its work; none if it does not.
    pub(crate) listen: Option<SocketAddr>,
    /// Where it listens for monitors.
    pub(crate) admin: SocketAddr,
    child: Child,
}

/// What a process is started with.
#[derive(Debug, Clone)]
pub(crate) struct Start<'a> {
    /// The name of the program, which stands beside this one.
    pub(crate) program: &'a str,
    pub(crate) arguments: &'a [&'a str],
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// Where it runs and its log goes.
    pub(crate) folder: &'a Path,
    /// What it and its log are called.
    pub(crate) name: String,
}

impl Program {
    /// Returns once it says that it is up.
    pub(crate) async fn start(start: Start<'_>) -> Result<Self, BoxError> {
        let path = std::env::current_exe()?.with_file_name(start.program);
        if !path.exists() {
            return Err(format!("{} is absent: build the whole workspace", path.display()).into());
        }
        let log = start.folder.join(format!("{}.log", start.name));
        let mut command = Command::new(path);
        command.args(start.arguments).env_clear().envs(start.environment).current_dir(start.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?).kill_on_drop(true);
        // What ends us at a terminal must leave them to whoever cleans up with them.
        command.process_group(0);
        let mut child = command.spawn()?;
        let (listen, admin) = until_up(&mut child, &log).await?;
        Ok(Self { name: start.name, listen, admin, child })
    }

    /// Where it listens for its work, which it must.
    pub(crate) fn address(&self) -> Result<SocketAddr, BoxError> {
        self.listen.ok_or_else(|| format!("{} listens nowhere", self.name).into())
    }

    /// Sends a signal, by its name without `SIG`.
    pub(crate) async fn signal(&self, name: &str) -> Result<(), BoxError> {
        let id = self.child.id().ok_or("the process has ended")?;
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status().await?;
        if status.success() { Ok(()) } else { Err(format!("kill -{name}: {status}").into()) }
    }

    /// Ends it as a power cut would. Returns once it is gone.
    pub(crate) async fn kill(mut self) -> Result<(), BoxError> {
        Ok(self.child.kill().await?)
    }

    /// The number of its process, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }
}

/// Where it listens, as its log says.
async fn until_up(child: &mut Child, log: &PathBuf) -> Result<(Option<SocketAddr>, SocketAddr), BoxError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(log)?;
        if let Some(addresses) = text.lines().find_map(addresses) {
            return Ok(addresses);
        }
        if child.try_wait()?.is_some() || Instant::now() > deadline {
            return Err(format!("a process does not come up: {text}").into());
        }
        sleep(POLL).await;
    }
}

fn addresses(line: &str) -> Option<(Option<SocketAddr>, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    line.get("message")?.as_str()?.contains(" is up").then_some(())?;
    let address = |name: &str| line.get(name)?.as_str()?.parse().ok();
    Some((address("listen"), address("admin.listen")?))
}

/// Waits until `condition` yields a value, and says what was waited for when it does not in time.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    patience: Duration,
    condition: impl Fn() -> F,
) -> Result<T, BoxError> {
    let waiting = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            sleep(POLL).await;
        }
    };
    timeout(patience, waiting).await.map_err(|_| format!("waited {patience:?} in vain for {what}").into())
}
