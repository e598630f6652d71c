//! A private `RabbitMQ` node of Debian's `rabbitmq-server`, with a virtual host for each test.

mod faults;
mod frames;
mod link;
mod management;
mod ports;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

pub use self::link::Link;
use self::management::Management;
use self::ports::Ports;
use crate::wait::until;

const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";
const GUARD: &str = include_str!("rabbitmq/guard.sh");

/// A node with folders, ports and an epmd of its own. All of it ends when this is dropped, or with the process.
#[derive(Debug)]
pub struct Node {
    ports: Ports,
    folder: PathBuf,
    management: Management,
    hosts: AtomicU32,
    guard: Mutex<Guard>,
}

#[derive(Debug)]
struct Guard {
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Node {
    /// Returns once the node takes connections.
    ///
    /// # Panics
    /// If it cannot be started; it needs the Debian package rabbitmq-server.
    pub async fn start() -> Self {
        Self::launch(temporary(), Ports::find(), "", &[]).await
    }

    /// As [`Node::start`], with its files in memory, where hardly anybody else writes, and with short logs, so that
    /// what was settled does not take room for long.
    ///
    /// # Panics
    /// If it cannot be started; it needs `/dev/shm`.
    pub async fn start_in_memory() -> Self {
        let folder = TempDir::new_in("/dev/shm").expect("a folder in memory");
        let configuration = "raft.wal_max_size_bytes = 2000000\nraft.segment_max_entries = 512\n";
        Self::launch(folder, Ports::find(), configuration, &[]).await
    }

    /// As [`Node::start`], and the node takes connections over TLS beside plain ones, from clients that show a
    /// certificate of `authority`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start_with_tls(certificate: &Path, key: &Path, authority: &Path) -> Self {
        let ports = Ports::find();
        let configuration = format!(
            "listeners.ssl.1 = 127.0.0.1:{}\nssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = true\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.cacertfile = {}\n",
            ports.tls,
            certificate.display(),
            key.display(),
            authority.display()
        );
        Self::launch(temporary(), ports, &configuration, &[]).await
    }

    /// A node without streams, as one that was upgraded from an earlier release.
    ///
    /// # Panics
    /// As [`Node::start`].
    pub async fn start_without_streams() -> Self {
        let flags = [("RABBITMQ_FEATURE_FLAGS", "quorum_queue,implicit_default_bindings,virtual_host_metadata")];
        Self::launch(temporary(), Ports::find(), "", &flags).await
    }

    async fn launch(folder: TempDir, ports: Ports, configuration: &str, more: &[(&str, &str)]) -> Self {
        assert!(Path::new(SERVER).exists(), "{SERVER} is absent: run scripts/install-test-packages rabbitmq-server");
        let folder = folder.keep();
        fs::create_dir(folder.join("home")).expect("a folder");
        let mut process = guard(&folder, ports, configuration).envs(more.iter().copied()).spawn().expect("sh");
        let commands = process.stdin.take().expect("a standard input");
        let answers = BufReader::new(process.stdout.take().expect("a standard output")).lines();
        let guard = Mutex::new(Guard { commands, answers, _process: process });
        let management = Management::new(ports.management);
        let node = Self { ports, folder, management, hosts: AtomicU32::new(0), guard };
        node.command("start").await;
        node.until_up().await;
        node
    }

    /// The port of AMQP.
    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// The port of AMQP over TLS.
    pub fn tls_port(&self) -> u16 {
        self.ports.tls
    }

    /// The name of the node in its cluster.
    pub fn name(&self) -> String {
        self.ports.node_name()
    }

    /// A virtual host that nobody else uses, by its name, with a user of that name.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn virtual_host(&self) -> String {
        let name = format!("test-{}", self.hosts.fetch_add(1, Ordering::Relaxed));
        self.make_virtual_host(&name).await;
        name
    }

    /// The same by a name, such as that of one that was removed.
    pub async fn make_virtual_host(&self, name: &str) {
        self.expect_call("PUT", &format!("/vhosts/{name}"), None).await;
        let rights = json!({ "configure": ".*", "write": ".*", "read": ".*" });
        self.expect_call("PUT", &format!("/permissions/{name}/guest"), Some(rights)).await;
        self.add_user(name, name, (".*", ".*", ".*")).await;
    }

    /// Removes a virtual host with all that stands in it, and its user.
    pub async fn remove_virtual_host(&self, name: &str) {
        // A node that has much to remove may answer late; it goes on with it all the same.
        until("the virtual host to be removed", async || {
            let answer = self.management.call("DELETE", &format!("/vhosts/{name}"), None).await.ok()?;
            matches!(answer.status, 200..300 | 404).then_some(())
        })
        .await;
        self.expect_call("DELETE", &format!("/users/{name}"), None).await;
    }

    /// The URL of a virtual host, through `port`: the node's own or that of a [`Link`].
    pub fn url(port: u16, host: &str) -> String {
        Self::url_of(host, port, host)
    }

    /// As [`Node::url`], for a user whose password is its name.
    pub fn url_of(user: &str, port: u16, host: &str) -> String {
        format!("amqp://{user}:{user}@127.0.0.1:{port}/{host}")
    }

    /// Makes a user, with its name as the password, who may do on a virtual host what matches these patterns.
    pub async fn add_user(&self, host: &str, user: &str, (configure, write, read): (&str, &str, &str)) {
        self.expect_call("PUT", &format!("/users/{user}"), Some(json!({ "password": user, "tags": "" }))).await;
        let rights = json!({ "configure": configure, "write": write, "read": read });
        self.expect_call("PUT", &format!("/permissions/{host}/{user}"), Some(rights)).await;
    }

    /// Closes the connections of a user, and says how many there were. A virtual host's own user has its name.
    pub async fn close_connections(&self, user: &str) -> usize {
        let closed = self.connections(user).await;
        self.expect_call("DELETE", &format!("/connections/username/{user}"), None).await;
        closed
    }

    /// How many connections a user has. Unlike others of the management API, this view is late by no more than a
    /// moment.
    pub async fn connections(&self, user: &str) -> usize {
        let found = self.expect_call("GET", &format!("/connections/username/{user}"), None).await;
        found.as_array().map_or(0, Vec::len)
    }

    /// The consumers of a queue: the tag of each with its prefetch.
    pub async fn consumers(&self, host: &str, queue: &str) -> Vec<(String, u64)> {
        let found = self.expect_call("GET", &format!("/consumers/{host}"), None).await;
        let read = |consumer: &Value| {
            let is_of_queue = consumer.pointer("/queue/name")?.as_str()? == queue;
            let tag = consumer.get("consumer_tag")?.as_str()?.to_owned();
            is_of_queue.then_some((tag, consumer.get("prefetch_count")?.as_u64()?))
        };
        found.as_array().into_iter().flatten().filter_map(read).collect()
    }

    /// Enables a feature of the broker, which cannot be taken back.
    pub async fn enable_feature(&self, flag: &str) {
        self.expect_call("PUT", &format!("/feature-flags/{flag}/enable"), Some(json!({}))).await;
    }

    /// Deletes a queue with all that stands on it.
    pub async fn delete_queue(&self, host: &str, queue: &str) {
        self.expect_call("DELETE", &format!("/queues/{host}/{queue}"), None).await;
    }

    /// Removes a binding, by the key it was made with.
    pub async fn unbind(&self, host: &str, exchange: &str, queue: &str, key: &str) {
        self.expect_call("DELETE", &format!("/bindings/{host}/e/{exchange}/q/{queue}/{key}"), None).await;
    }

    /// Binds a queue to an exchange, as somebody who listens would.
    pub async fn bind(&self, host: &str, exchange: &str, queue: &str, key: &str) {
        let binding = json!({ "routing_key": key });
        self.expect_call("POST", &format!("/bindings/{host}/e/{exchange}/q/{queue}"), Some(binding)).await;
    }

    /// Deletes an exchange with its bindings.
    pub async fn delete_exchange(&self, host: &str, exchange: &str) {
        self.expect_call("DELETE", &format!("/exchanges/{host}/{exchange}"), None).await;
    }

    /// What the management API knows of a queue.
    pub async fn queue(&self, host: &str, queue: &str) -> Value {
        self.expect_call("GET", &format!("/queues/{host}/{queue}"), None).await
    }

    /// What the management API knows of all queues of a virtual host.
    pub async fn queues(&self, host: &str) -> Vec<Value> {
        let found = self.expect_call("GET", &format!("/queues/{host}"), None).await;
        found.as_array().cloned().unwrap_or_default()
    }

    /// Publishes a message as a foreign publisher would, and says whether it was routed.
    pub async fn publish(&self, host: &str, exchange: &str, key: &str, body: &str) -> bool {
        self.publish_with(host, exchange, (key, json!({ "delivery_mode": 2 })), body).await
    }

    /// As [`Node::publish`], with properties as the management API names them.
    pub async fn publish_with(&self, host: &str, exchange: &str, (key, properties): (&str, Value), body: &str) -> bool {
        let message =
            json!({ "properties": properties, "routing_key": key, "payload": body, "payload_encoding": "string" });
        let answer = self.expect_call("POST", &format!("/exchanges/{host}/{exchange}/publish"), Some(message)).await;
        answer.get("routed") == Some(&Value::Bool(true))
    }

    /// The files of the node that hold this text: queues keep messages as they are.
    ///
    /// # Panics
    /// If its folder cannot be read.
    pub fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let (mut folders, mut found) = (vec![self.folder.join("mnesia")], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").map_while(Result::ok) {
                // What is compacted meanwhile is gone.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                } else if fs::read(entry.path()).is_ok_and(|held| holds(&held, text.as_bytes())) {
                    found.push(entry.path());
                }
            }
        }
        found
    }

    async fn command(&self, command: &str) {
        let mut guard = self.guard.lock().await;
        guard.commands.write_all(format!("{command}\n").as_bytes()).await.expect("a guard");
        let answer = guard.answers.next_line().await.expect("a guard");
        assert_eq!(answer.as_deref(), Some(command));
    }

    async fn until_up(&self) {
        until("RabbitMQ", || async {
            let answer = self.management.call("GET", "/health/checks/port-listener/5672", None).await;
            // Any other port than that of the node is reported as missing, by a broker that is up.
            answer.is_ok_and(|answer| matches!(answer.status, 200 | 503)).then_some(())
        })
        .await;
        until("the port of AMQP", || async {
            tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.amqp)).await.ok()
        })
        .await;
    }

    async fn expect_call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.management.call(method, path, body).await.expect("the management API");
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        answer.body
    }
}

fn holds(held: &[u8], text: &[u8]) -> bool {
    held.windows(text.len()).any(|window| window == text)
}

fn temporary() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

fn guard(folder: &Path, ports: Ports, more: &str) -> Command {
    fs::write(folder.join("enabled_plugins"), "[rabbitmq_management].").expect("a file");
    let configuration = format!(
        "listeners.tcp.1 = 127.0.0.1:{}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}\n\
         disk_free_limit.absolute = 50MB\nlog.console = false\n{more}",
        ports.amqp, ports.management
    );
    fs::write(folder.join("rabbitmq.conf"), configuration).expect("a file");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", GUARD]).envs(environment(folder, ports)).env("FOLDER", folder);
    // A runner that ends a test ends its process group; the guard must outlive it to clean up.
    command.process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn environment(folder: &Path, ports: Ports) -> Vec<(&'static str, String)> {
    let path = |name: &str| folder.join(name).display().to_string();
    vec![
        ("HOME", path("home")),
        ("LANG", "C.UTF-8".to_owned()),
        ("ERL_CRASH_DUMP_BYTES", "0".to_owned()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("ERL_EPMD_PORT", ports.epmd.to_string()),
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
        ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
        ("RABBITMQ_DIST_PORT", ports.distribution.to_string()),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")),
        ("RABBITMQ_GENERATED_CONFIG_DIR", path("schema")),
        ("RABBITMQ_LOG_BASE", path("log")),
        ("RABBITMQ_MNESIA_BASE", path("mnesia")),
        ("RABBITMQ_NODENAME", ports.node_name()),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_NODE_PORT", ports.amqp.to_string()),
        ("RABBITMQ_PID_FILE", path("pid")),
        // Busy waiting of idle schedulers would take the time of the tests.
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none".to_owned(),
        ),
    ]
}
