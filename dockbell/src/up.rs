//! `dockbell up`: all of it in one process.

use std::io;
use std::sync::Arc;

use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_backends::repeat::until_done;
use dockbell_backends::store::PAGE_LIMIT;
use dockbell_backends::{Bus, Store};
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use dockbell_chassis::limits::limited;
use dockbell_chassis::listener::Listener;
use dockbell_console::reseal_page;
use dockbell_deliverer::service::Surroundings;
use dockbell_deliverer::transport::TransportError;
use dockbell_process::{Process, ProcessError};
use dockbell_producer::service::Producer;
use dockbell_proto::secret::Secret;
use dockbell_proto::token::TokenHash;

use crate::console::{Backends, console};
use crate::folder::{FolderError, INGEST_TOKEN, admin_token, kept_keys, token};
use crate::settings::Settings;

/// Why the process could not start or go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("listen")]
    Listen(#[source] io::Error),
    #[error("{0}")]
    Demo(BoxError),
}

/// A process that is set up, before it runs.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) process: Process,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ingest_token: Secret,
    pub(crate) intake_and_api: Listener,
    bus: Arc<dyn Bus>,
    admin_token: TokenHash,
    settings: Settings,
}

impl House {
    /// Opens the backends and the ports. Nothing runs yet.
    pub(crate) async fn set_up(settings: Settings) -> Result<Self, UpError> {
        let mut process = Process::set_up(settings.telemetry.clone(), settings.admin_listen.clone()).await?;
        let (bus, store) = open(&mut process, &settings)?;
        let rng = &mut process.rng;
        let admin_token = admin_token(settings.admin_token.as_ref(), &settings.data, rng)?;
        let ingest_token = token(settings.producer.ingest_token.clone(), &settings.data, INGEST_TOKEN, rng)?;
        let intake_and_api = Listener::bind(settings.listen.clone()).await.map_err(UpError::Listen)?;
        Ok(Self { process, store, ingest_token, intake_and_api, bus, admin_token, settings })
    }

    /// Starts every part and runs until a signal comes or a part fails.
    pub(crate) async fn run(self) -> Result<(), UpError> {
        let Self { mut process, store, ingest_token, intake_and_api, bus, admin_token, settings } = self;
        let (meter, clock) = (process.meter(), Arc::clone(&process.clock));
        let of_tokens = Some(Arc::clone(&store));
        let producer =
            Producer::new((Arc::clone(&bus), Arc::clone(&clock)), settings.producer, ingest_token, &meter, of_tokens);
        let producer = Producer { exports_traces: settings.telemetry.otlp_endpoint.is_some(), ..producer };
        producer.start(&process.lifecycle);
        let rng = process.fork_rng();
        let surroundings = Surroundings { bus: Arc::clone(&bus), store: Arc::clone(&store), clock, rng };
        let operations =
            dockbell_deliverer::service::start(surroundings, &settings.deliverer, &meter, &process.lifecycle)?;
        process.measure(Arc::clone(&bus));
        let (listen, admin) = (intake_and_api.local_addr(), process.admin_address());
        let console = console(
            &mut process,
            (bus, store),
            settings.deliverer,
            operations,
            (admin_token, settings.limits.webhooks),
        );
        let intake = limited(producer.intake(), settings.limits.intake, "intake", &meter);
        let api = limited(dockbell_console::router(console), settings.limits.api, "api", &meter);
        let serving = intake_and_api.serve(intake.merge(api), process.lifecycle.shutdown());
        process.lifecycle.spawn("intake and API", serving);
        let announce = || {
            let data = settings.data.display();
            tracing::info!(%listen, admin.listen = %admin, %data, "dockbell is up; its tokens, unless set, are in the data folder");
        };
        Ok(process.run(announce).await?)
    }
}

/// Opens the servers if they are set, else the data folder.
fn open(process: &mut Process, settings: &Settings) -> Result<Backends, UpError> {
    if let Some(servers) = settings.servers.clone() {
        let keys = process.open_keys(settings.key_file.as_deref())?;
        return Ok((process.open_amqp(servers.amqp), process.open_redis(&servers.redis, keys)?));
    }
    let limits = EmbeddedLimits { queue_bytes: settings.queue_bytes, ..EmbeddedLimits::default() };
    let key_file = match &settings.key_file {
        Some(file) => file.clone(),
        None => kept_keys(&settings.data, &mut process.rng)?,
    };
    let keys = process.open_keys(Some(&key_file))?;
    let embedded = process.open_embedded(&settings.data, limits, keys)?;
    let store: Arc<dyn Store> = Arc::<Embedded>::clone(&embedded);
    // Nobody else reads the file, so that nobody can lack the key.
    process.lifecycle.spawn("sealing", seal_all(Arc::clone(&store), process.lifecycle.shutdown()));
    Ok((embedded, store))
}

/// Seals what an earlier version kept as it was, or what another key seals than the one that does now.
async fn seal_all(store: Arc<dyn Store>, shutdown: Shutdown) -> Result<(), BoxError> {
    let sealing = async {
        let (mut after, mut sealed) = (None, 0);
        loop {
            let page = until_done(
                || reseal_page(&*store, after.clone(), PAGE_LIMIT),
                |error, _| {
                    tracing::warn!(%error, "secrets could not be sealed; it is tried again");
                },
            );
            let (of_page, next) = page.await;
            sealed += of_page;
            after = next;
            if after.is_none() {
                return sealed;
            }
        }
    };
    let sealed = tokio::select! {
        () = shutdown.requested() => return Ok(()),
        sealed = sealing => sealed,
    };
    if sealed > 0 {
        tracing::info!(webhooks = sealed, "secrets were sealed");
    }
    // A part that ends before the process would end it.
    shutdown.requested().await;
    Ok(())
}
