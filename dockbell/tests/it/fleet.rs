//! Producers, deliverers and the API as processes of their own, on a broker and a store that they share.

use std::net::SocketAddr;

use dockbell_backends::keyring::new_key;
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::redis::RedisServer;
use dockbell_testkit::wait;
use serde_json::Value;

use crate::calls::Caller;
use crate::process::{Ended, Home, Process};

const ADMIN_TOKEN: &str = "the-admin-token";
const INGEST_TOKEN: &str = "the-ingest-token";

/// What the processes of one fleet share.
pub(crate) struct Fleet<'node> {
    pub(crate) node: &'node Node,
    pub(crate) redis: RedisServer,
    /// The virtual host of this fleet alone.
    pub(crate) host: String,
    home: Home,
}

/// A process that is up. Dropping it kills it.
pub(crate) struct Member {
    pub(crate) caller: Caller,
    process: Process,
}

impl<'node> Fleet<'node> {
    /// A fleet without processes.
    pub(crate) async fn new(node: &'node Node) -> Self {
        let (redis, host) = (RedisServer::start().await, node.virtual_host().await);
        let home = Home::new();
        let keys = home.write("keys", &new_key());
        let home = home
            .with("DOCKBELL_AMQP_URL", &Node::url(node.port(), &host))
            .with("DOCKBELL_REDIS_URL", &redis.url())
            .with("DOCKBELL_ADMIN_TOKEN", ADMIN_TOKEN)
            .with("DOCKBELL_INGEST_TOKEN", INGEST_TOKEN)
            .with("DOCKBELL_SECRETS_KEY_FILE", &keys);
        Self { node, redis, host, home }
    }

    /// Sets a variable for the processes that start from now on; an empty value unsets it.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        Self { home: self.home.with(name, value), ..self }
    }

    pub(crate) async fn producer(&self) -> Member {
        let any_port = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        Member::up(self.home.start_program("dockbell-producer", &any_port)).await
    }

    pub(crate) async fn deliverer(&self) -> Member {
        Member::up(self.home.start_program("dockbell-deliverer", &["--admin-listen", "127.0.0.1:0"])).await
    }

    pub(crate) async fn console(&self) -> Member {
        self.dockbell("console").await
    }

    /// Everything in one process.
    pub(crate) async fn up(&self) -> Member {
        self.dockbell("up").await
    }

    /// Runs a command of the operator against the API of `console`, to its end.
    pub(crate) async fn operate(&self, console: &Member, arguments: &[&str]) -> Ended {
        self.home.run(&[arguments, &["--api-url", &console.caller.intake]].concat()).await
    }

    async fn dockbell(&self, command: &str) -> Member {
        let arguments = [command, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let dockbell = Member::up(self.home.start(&arguments)).await;
        dockbell.until_ready().await;
        dockbell
    }
}

impl Member {
    async fn up(process: Process) -> Self {
        let (listen, admin) = process.addresses().await;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let addresses = (listen.unwrap_or(nowhere), admin);
        Self { caller: Caller::new(addresses, ADMIN_TOKEN.to_owned(), INGEST_TOKEN.to_owned()), process }
    }

    pub(crate) async fn until_ready(&self) {
        self.until_told(|told| told["ready"] == true).await;
    }

    /// Waits until its readiness is as asked for, and returns it.
    pub(crate) async fn until_told(&self, is_right: impl Fn(&Value) -> bool) -> Value {
        let told = async || Some(self.caller.admin("/readyz").await.json()).filter(&is_right);
        wait::until("a readiness", told).await
    }

    /// Ends it as a power cut would. Returns once it is gone.
    pub(crate) async fn kill(self) {
        self.process.kill().await;
    }

    /// Asks it to end, as an orchestrator would, and it must end well.
    pub(crate) async fn stop_well(self) -> Ended {
        self.process.stop_well().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Ended {
        self.process.ended().await
    }

    pub(crate) fn log(&self) -> String {
        self.process.stderr()
    }

    /// The most memory that it ever had, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.process.peak_memory()
    }
}
