//! The real binary, started as an operator starts it, and ended in every way that a process ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_backends::keyring::Keyring;
use dockbell_proto::clock::SystemClock;
use dockbell_testkit::wait::{self, DEADLINE};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::calls::Caller;

/// The folder and the environment of one Dockbell, which outlive its processes. Dropping it removes the folder.
pub(crate) struct Home {
    folder: TempDir,
    environment: BTreeMap<String, String>,
    /// The size of the file system that its data folder has to itself, if it has one.
    disk: Option<&'static str>,
}

/// A process and what it has written so far. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    stdout: Text,
    stderr: Text,
    is_read: watch::Sender<bool>,
    reading: JoinSet<()>,
}

/// A `dockbell up` that is up. Dropping it kills it.
pub(crate) struct Dockbell {
    pub(crate) caller: Caller,
    process: Process,
}

/// What a process left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The data folder, seen from the folder that every process runs in.
const DATA: [&str; 2] = ["--data", "data"];

type Text = Arc<Mutex<String>>;

impl Home {
    /// Short windows and retries, and receivers on this machine.
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let environment = [
            ("DOCKBELL_LOG_FORMAT", "json"),
            ("DOCKBELL_TARGETS_ALLOW", "127.0.0.0/8"),
            ("DOCKBELL_WINDOW_QUIET", "100ms"),
            ("DOCKBELL_WINDOW_MAX_WAIT", "1s"),
            ("DOCKBELL_DELIVERY_SCHEDULE", "100ms,100ms,100ms"),
            // Nothing of a process that is killed may stay behind.
            ("TMPDIR", folder.path().to_str().unwrap()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { folder, environment, disk: None }
    }

    /// Sets a variable; an empty value unsets it.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Gives the data folder of its next process a file system of this size, which goes with the process. Needs root.
    pub(crate) fn on_disk_of(mut self, size: &'static str) -> Self {
        self.disk = Some(size);
        self
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a file next to the data folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Starts `dockbell up` and returns once it is up.
    pub(crate) async fn up(&self) -> Dockbell {
        let arguments = ["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let process = self.start(&[&arguments[..], &DATA].concat());
        let (intake, admin) = process.addresses().await;
        let admin_token = self.token("DOCKBELL_ADMIN_TOKEN", "admin-token");
        let ingest_token = self.token("DOCKBELL_INGEST_TOKEN", "ingest-token");
        Dockbell { caller: Caller::new((intake.unwrap(), admin), admin_token, ingest_token), process }
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).ended().await
    }

    /// Runs one of our programs to its end.
    pub(crate) async fn run_program(&self, name: &str, arguments: &[&str]) -> Ended {
        self.start_program(name, arguments).ended().await
    }

    /// Runs a command of the operator against `dockbell`, with the token that the data folder keeps.
    pub(crate) async fn operate(&self, dockbell: &Dockbell, arguments: &[&str]) -> Ended {
        let api = ["--api-url", dockbell.caller.intake.as_str()];
        self.run(&[arguments, &DATA, &api].concat()).await
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        self.start_program("dockbell", arguments)
    }

    /// Starts one of our programs, which stand side by side.
    pub(crate) fn start_program(&self, name: &str, arguments: &[&str]) -> Process {
        let program = Path::new(env!("CARGO_BIN_EXE_dockbell")).with_file_name(name);
        assert!(program.exists(), "{} is absent: test the whole workspace", program.display());
        let mut command = match self.disk {
            Some(size) => on_disk_of(size, &program),
            None => Command::new(program),
        };
        command.args(arguments).env_clear().envs(&self.environment).current_dir(self.folder.path());
        Process::start(command)
    }

    /// Opens the data folder, which no process may use meanwhile.
    pub(crate) fn open(&self) -> Embedded {
        let keys = Arc::new(Keyring::read(&self.data().join("keys")).unwrap());
        Embedded::open_sealed(&self.data(), Arc::new(SystemClock), EmbeddedLimits::default(), keys).unwrap()
    }

    fn token(&self, variable: &str, file: &str) -> String {
        let kept = || std::fs::read_to_string(self.data().join(file)).unwrap().trim().to_owned();
        self.environment.get(variable).cloned().unwrap_or_else(kept)
    }
}

impl Process {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (stdout, stderr, is_read) = (Text::default(), Text::default(), watch::Sender::new(true));
        let mut reading = JoinSet::new();
        reading.spawn(read(child.stdout.take().unwrap(), Arc::clone(&stdout), is_read.subscribe()));
        reading.spawn(read(child.stderr.take().unwrap(), Arc::clone(&stderr), is_read.subscribe()));
        Self { child, stdout, stderr, is_read, reading }
    }

    pub(crate) fn stdout(&self) -> String {
        text(&self.stdout)
    }

    pub(crate) fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Reads nothing more of what it writes, until it has ended.
    pub(crate) fn stop_reading(&self) {
        self.is_read.send_replace(false);
    }

    /// Sends a signal, by its name without `SIG`.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().expect("the process runs");
        let kill = format!("kill -{name} {id}");
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    }

    /// The most memory that it ever had (`VmHWM`, proc(5)), in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let id = self.child.id().expect("the process runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Ends it as a power cut would. Returns once it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.start_kill().unwrap();
        assert_eq!(self.wait().await.code(), None);
    }

    /// Asks it to end, as an orchestrator would, and it must end well.
    pub(crate) async fn stop_well(self) -> Ended {
        self.signal("TERM").await;
        let ended = self.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Ended {
        let status = self.wait().await;
        self.is_read.send_replace(true);
        while self.reading.join_next().await.is_some() {}
        Ended { code: status.code(), stdout: text(&self.stdout), stderr: text(&self.stderr) }
    }

    async fn wait(&mut self) -> ExitStatus {
        let ended = timeout(DEADLINE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end: {}", text(&self.stderr))).unwrap()
    }

    /// Where it listens, as the log says: for its work, if it does, and for monitors.
    pub(crate) async fn addresses(&self) -> (Option<SocketAddr>, SocketAddr) {
        let told = async || {
            let stderr = self.stderr();
            let mut lines = stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let up = lines.find(|line| {
                line["message"].as_str().is_some_and(|text| text.starts_with("dockbell") && text.contains(" is up"))
            });
            assert!(up.is_some() || self.child.id().is_some(), "it ended: {stderr}");
            let up = up?;
            let address = |name: &str| up[name].as_str().map(|address| address.parse().unwrap());
            Some((address("listen"), address("admin.listen").unwrap()))
        };
        wait::until("a process to be up", told).await
    }
}

/// Runs a program with a file system of its own at the data folder.
fn on_disk_of(size: &str, program: &Path) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("mkdir -p data && mount -t tmpfs -o size={size} none data && exec \"$0\" \"$@\"");
    command.args(["--mount", "sh", "-c", &script]).arg(program);
    command
}

impl Dockbell {
    /// Where what it has at `path` is found from here, if it has file systems of its own.
    pub(crate) fn seen_from_outside(&self, path: &Path) -> PathBuf {
        let root = format!("/proc/{}/root", self.process.child.id().expect("the process runs"));
        Path::new(&root).join(path.strip_prefix("/").unwrap())
    }

    /// Ends it as a power cut would. Returns once it is gone.
    pub(crate) async fn kill(self) {
        self.process.kill().await;
    }

    /// Asks it to end, and it must end well.
    pub(crate) async fn stop_well(self) -> Ended {
        self.process.stop_well().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Ended {
        self.process.ended().await
    }

    /// Reads nothing more of its log, until it has ended.
    pub(crate) fn stop_reading(&self) {
        self.process.stop_reading();
    }

    pub(crate) fn log(&self) -> String {
        self.process.stderr()
    }
}

async fn read(stream: impl AsyncRead + Unpin, into: Text, mut is_read: watch::Receiver<bool>) {
    let mut lines = BufReader::new(stream).split(b'\n');
    while is_read.wait_for(|is_read| *is_read).await.is_ok()
        && let Ok(Some(line)) = lines.next_segment().await
    {
        let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
        into.push_str(&String::from_utf8_lossy(&line));
        into.push('\n');
    }
}

fn text(text: &Text) -> String {
    text.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
