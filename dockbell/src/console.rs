//! `dockbell console`: the API as a process of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use dockbell_backends::{Bus, Store};
use dockbell_chassis::config::Reader;
use dockbell_chassis::listener::Listener;
use dockbell_chassis::telemetry::TelemetryConfig;
use dockbell_console::Console;
use dockbell_process::listen::{admin_listen, listen};
use dockbell_process::servers::Servers;
use dockbell_process::{Process, ProcessError};
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::policy::Policy;
use dockbell_proto::secret::Secret;

/// The settings of a process that is the API and nothing else.
#[derive(Debug)]
pub(crate) struct Service {
    listen: SocketAddr,
    admin_listen: SocketAddr,
    telemetry: TelemetryConfig,
    servers: Servers,
    admin_token: Secret,
    rules: Rules,
}

/// Where everything is.
pub(crate) type Backends = (Arc<dyn Bus>, Arc<dyn Store>);

/// Which addresses webhooks may name, and the delivery policy of those that have none of their own.
pub(crate) type Rules = (Arc<AddressPolicy>, Policy);

/// The API of a process.
pub(crate) fn console(
    process: &mut Process,
    (bus, store): Backends,
    (targets, policy): Rules,
    admin_token: Secret,
) -> Console {
    let clock = Arc::clone(&process.clock);
    Console { store, bus, clock, targets, policy, admin_token, rng: Mutex::new(process.fork_rng()) }
}

impl Service {
    /// Reads the settings. What is wrong is noted in `reader`.
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        for section in ["data", "api_url", "embedded", "window", "sources", "ingest_token"] {
            reader.leave_to_others(section);
        }
        let (listen, admin_listen) = (listen(reader), admin_listen(reader));
        let telemetry = TelemetryConfig::read(reader, "dockbell-console");
        let servers = Servers::require(reader);
        let admin_token = reader.text("admin_token").map(Secret::new);
        if admin_token.is_none() {
            reader.reject("admin_token", "is missing: it is what the API asks for");
        }
        let dockbell_deliverer::settings::Settings { targets, policy, .. } =
            dockbell_deliverer::settings::Settings::read(reader);
        Some(Self {
            listen,
            admin_listen,
            telemetry,
            servers: servers?,
            admin_token: admin_token?,
            rules: (targets, policy),
        })
    }

    /// Runs until a signal comes or a part fails.
    pub(crate) async fn run(self) -> Result<(), ProcessError> {
        let mut process = Process::set_up(self.telemetry, self.admin_listen).await?;
        let listener = Listener::bind(self.listen).await.map_err(ProcessError::Listen)?;
        let bus = process.open_amqp(self.servers.amqp);
        let store = process.open_redis(&self.servers.redis)?;
        let console = console(&mut process, (bus, store), self.rules, self.admin_token);
        let (listen, admin) = (listener.local_addr(), process.admin_address());
        let serving = listener.serve(dockbell_console::router(console), process.lifecycle.shutdown());
        process.lifecycle.spawn("API", serving);
        process.run(|| tracing::info!(%listen, admin.listen = %admin, "dockbell console is up")).await
    }
}
