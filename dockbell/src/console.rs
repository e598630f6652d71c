//! `dockbell console`: the API as a process of its own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use dockbell_backends::{Bus, Store};
use dockbell_chassis::config::Reader;
use dockbell_chassis::limits::limited;
use dockbell_chassis::listener::{Listener, Place};
use dockbell_chassis::telemetry::TelemetryConfig;
use dockbell_console::{Console, Operators};
use dockbell_deliverer::operations::Operations;
use dockbell_deliverer::service::tell_operators;
use dockbell_deliverer::settings::Settings;
use dockbell_deliverer::transport::TransportError;
use dockbell_process::keys::key_file;
use dockbell_process::limits::Limits;
use dockbell_process::listen::{admin_listen, listen};
use dockbell_process::servers::Servers;
use dockbell_process::{Process, ProcessError};
use dockbell_proto::token::TokenHash;

use crate::settings::AdminToken;

/// The settings of a process that is the API and nothing else.
#[derive(Debug)]
pub(crate) struct Service {
    listen: Place,
    admin_listen: Place,
    telemetry: TelemetryConfig,
    servers: Servers,
    key_file: Option<PathBuf>,
    admin_token: TokenHash,
    rules: Settings,
    limits: Limits,
}

/// Why the API could not start or go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Where everything is.
pub(crate) type Backends = (Arc<dyn Bus>, Arc<dyn Store>);

/// The API of a process, by the same rules as its deliverer.
pub(crate) fn console(
    process: &mut Process,
    (bus, store): Backends,
    rules: Settings,
    operations: Operations,
    (admin_token, webhooks_per_pattern): (TokenHash, usize),
) -> Console {
    let clock = Arc::clone(&process.clock);
    let operators = Operators::new(move |event| operations.tell(event));
    let Settings { targets, allows_skip_verify, policy, public_url, .. } = rules;
    let (takes_callbacks, rng) = (public_url.is_some(), Mutex::new(process.fork_rng()));
    Console {
        store,
        bus,
        operators,
        clock,
        targets,
        allows_skip_verify,
        policy,
        webhooks_per_pattern,
        takes_callbacks,
        admin_token,
        rng,
    }
}

impl Service {
    /// Reads the settings. What is wrong is noted in `reader`.
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        for section in ["data", "api_url", "api_ca_file", "api_token", "embedded", "window", "sources", "ingest_token"]
        {
            reader.leave_to_others(section);
        }
        let (listen, admin_listen) = (listen(reader), admin_listen(reader));
        let telemetry = TelemetryConfig::read(reader, "dockbell-console");
        let servers = Servers::require(reader);
        let key_file = key_file(reader, servers.is_some());
        let admin_token = AdminToken::read(reader).map(|token| token.hash().clone());
        if admin_token.is_none() && !reader.is_given("admin_token") {
            reader.reject("admin_token", "is missing: it is what the API asks for");
        }
        let (rules, limits) = (Settings::read(reader), Limits::read(reader));
        let (servers, admin_token) = (servers?, admin_token?);
        Some(Self { listen, admin_listen, telemetry, servers, key_file, admin_token, rules, limits })
    }

    /// Runs until a signal comes or a part fails.
    pub(crate) async fn run(self) -> Result<(), ServiceError> {
        let mut process = Process::set_up(self.telemetry, self.admin_listen).await?;
        let listener = Listener::bind(self.listen).await.map_err(ProcessError::Listen)?;
        let keys = process.open_keys(self.key_file.as_deref())?;
        let bus = process.open_amqp(self.servers.amqp);
        let store = process.open_redis(&self.servers.redis, keys)?;
        let told_by = (&process.meter(), &process.lifecycle);
        let operations = tell_operators(&bus, &process.clock, &self.rules, told_by)?;
        let console =
            console(&mut process, (bus, store), self.rules, operations, (self.admin_token, self.limits.webhooks));
        let (listen, admin) = (listener.local_addr(), process.admin_address());
        let routes = limited(dockbell_console::router(console), self.limits.api, "api", &process.meter());
        let serving = listener.serve(routes, process.lifecycle.shutdown());
        process.lifecycle.spawn("API", serving);
        Ok(process.run(|| tracing::info!(%listen, admin.listen = %admin, "dockbell console is up")).await?)
    }
}
