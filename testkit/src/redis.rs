//! A private Redis: Debian's `redis-server` as a child process, which tests stop, pause and empty.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::{free, wait};

/// Another process may take the free port first.
const STARTS: usize = 5;

/// A Redis on a free port of this machine, with a folder of its own. Dropping it ends and forgets it.
#[derive(Debug)]
pub struct RedisServer {
    address: SocketAddr,
    folder: TempDir,
    options: Vec<String>,
    /// What it asks for, if anything.
    password: Option<String>,
    process: Child,
}

impl RedisServer {
    /// Returns once it answers. It logs every write before it answers it.
    ///
    /// # Panics
    /// If it cannot be started; it needs the Debian package redis-server.
    pub async fn start() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always", "--save", ""]).await
    }

    /// One that also listens for TLS, on the port of [`RedisServer::tls_port`], with `certificate` and `key`.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start_with_tls(certificate: &Path, key: &Path) -> Self {
        let server = Self::start().await;
        let port = free::address().await.port().to_string();
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        let files = ["tls-cert-file", &certificate, "tls-key-file", &key, "tls-auth-clients", "no"];
        let answer = server.run(&[&["CONFIG", "SET"][..], &files, &["tls-port", &port]].concat()).await;
        assert_eq!(answer, "OK");
        server
    }

    /// Takes connections over TLS only from clients that show a certificate of `authority` from now on.
    ///
    /// # Panics
    /// If it does not.
    pub async fn demand_certificates(&self, authority: &Path) {
        let authority = authority.display().to_string();
        let answer = self.run(&["CONFIG", "SET", "tls-ca-cert-file", &authority, "tls-auth-clients", "yes"]).await;
        assert_eq!(answer, "OK");
    }

    /// Where it listens for TLS.
    ///
    /// # Panics
    /// If it does not.
    pub async fn tls_port(&self) -> u16 {
        let answer = self.run(&["CONFIG", "GET", "tls-port"]).await;
        answer.lines().last().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// One that asks for a password.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start_with_password(password: &str) -> Self {
        Self::start_with(&["--appendonly", "yes", "--save", "", "--requirepass", password]).await
    }

    /// A member of a cluster, of which it knows nothing yet.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start_for_cluster() -> Self {
        Self::start_with(&["--cluster-enabled", "yes", "--save", ""]).await
    }

    /// A sentinel that watches `primary` under the name `main`, and needs nobody to agree.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start_sentinel(primary: &Self) -> Self {
        Self::watch(Self::start_with(&["--sentinel"]).await, primary).await
    }

    /// A sentinel like that, which asks for a password.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start_sentinel_with_password(primary: &Self, password: &str) -> Self {
        Self::watch(Self::start_with(&["--sentinel", "--requirepass", password]).await, primary).await
    }

    async fn watch(sentinel: Self, primary: &Self) -> Self {
        let port = primary.address.port().to_string();
        sentinel.run(&["SENTINEL", "MONITOR", "main", &primary.address.ip().to_string(), &port, "1"]).await;
        sentinel.run(&["SENTINEL", "SET", "main", "down-after-milliseconds", "500"]).await;
        if let Some(password) = &primary.password {
            sentinel.run(&["SENTINEL", "SET", "main", "auth-pass", password]).await;
        }
        sentinel
    }

    async fn start_with(options: &[&str]) -> Self {
        let mut folder = TempDir::new().expect("a temporary folder");
        let password = options.iter().skip_while(|&&option| option != "--requirepass").nth(1);
        let password = password.map(|&password| password.to_owned());
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        for _ in 0..STARTS {
            let address = free::address().await;
            let process = spawn(address, &folder, &options);
            let mut server = Self { address, folder, options: options.clone(), password: password.clone(), process };
            if server.answers().await {
                return server;
            }
            folder = server.folder;
        }
        panic!("redis-server does not start");
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    /// Runs a command, and returns what the command line client prints.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn run(&self, words: &[&str]) -> String {
        self.try_run(words).await.expect("a connection to the server")
    }

    /// None if it cannot be reached.
    async fn try_run(&self, words: &[&str]) -> Option<String> {
        let mut command = Command::new("redis-cli");
        command.args(["-h", &self.address.ip().to_string(), "-p", &self.address.port().to_string()]).args(words);
        command.envs(self.password.iter().map(|password| ("REDISCLI_AUTH", password)));
        let output = command.kill_on_drop(true).output();
        let output = tokio::time::timeout(wait::DEADLINE, output).await.expect("an answer").expect("redis-cli");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Ends it without warning.
    ///
    /// # Panics
    /// If it cannot be ended.
    pub async fn kill(&mut self) {
        self.process.kill().await.expect("a process to end");
    }

    /// Starts it again on the same port after [`RedisServer::kill`], with what it had written.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_again(&mut self) {
        self.process = spawn(self.address, &self.folder, &self.options);
        assert!(self.answers().await, "redis-server does not start again");
    }

    /// Starts it again like that, and returns while it still reads what it had written: it takes `each` over a
    /// command, until [`RedisServer::read_on`].
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_again_slowly(&mut self, each: Duration) {
        let delay = ["--key-load-delay".to_owned(), each.as_micros().to_string()];
        self.process = spawn(self.address, &self.folder, &[&self.options[..], &delay].concat());
        let is_reading = || async { (self.try_run(&["PING"]).await?.starts_with("LOADING")).then_some(()) };
        wait::until("a server that reads its files", is_reading).await;
    }

    /// Lets it read on as fast as it can.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn read_on(&self) {
        self.run(&["CONFIG", "SET", "key-load-delay", "0"]).await;
    }

    /// Removes what it has written, while it does not run.
    ///
    /// # Panics
    /// If that fails.
    pub fn lose_data(&self) {
        for entry in fs::read_dir(self.folder.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("a removal");
        }
    }

    /// A copy of what it has written.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn copy_data(&self) -> TempDir {
        let copy = TempDir::new().expect("a temporary folder");
        copy_folder(self.folder.path(), copy.path()).expect("a copy");
        copy
    }

    /// Puts back what [`RedisServer::copy_data`] returned, while it does not run.
    ///
    /// # Panics
    /// If that fails.
    pub fn put_back(&self, copy: &TempDir) {
        self.lose_data();
        copy_folder(copy.path(), self.folder.path()).expect("a copy");
    }

    /// Stops it as it stands: its connections stay open and nothing is answered.
    pub async fn pause(&self) {
        self.signal("STOP").await;
    }

    /// Lets it go on after [`RedisServer::pause`].
    pub async fn resume(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        let id = self.process.id().expect("a running process");
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status().await;
        assert!(status.expect("a shell").success());
    }

    /// Says whether it came up, rather than end at once.
    async fn answers(&mut self) -> bool {
        for _ in 0..wait::DEADLINE.as_millis() / 10 {
            if self.process.try_wait().expect("a child process").is_some() {
                return false;
            }
            if TcpStream::connect(self.address).await.is_ok() && self.run(&["PING"]).await == "PONG" {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain for redis-server");
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let (path, copy) = {
            let entry = entry?;
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            fs::create_dir(&copy)?;
            copy_folder(&path, &copy)?;
        } else {
            fs::copy(path, copy)?;
        }
    }
    Ok(())
}

fn spawn(address: SocketAddr, folder: &TempDir, options: &[String]) -> Child {
    // A sentinel and a member of a cluster write into their configuration.
    let file = folder.path().join("redis.conf");
    if !file.exists() {
        fs::write(&file, "").expect("a configuration");
    }
    let mut command = Command::new("redis-server");
    command.arg(file).args(options);
    command.args(["--bind", &address.ip().to_string(), "--port", &address.port().to_string()]);
    command.arg("--dir").arg(folder.path()).args(["--daemonize", "no"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().expect("redis-server, of the Debian package of that name")
}
