//! The fleet of a scenario with its webhooks, and how what was made for it is removed.

use std::net::SocketAddr;
use std::path::Path;

use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::secret::Secret;
use dockbell_proto::signature::SigningSecret;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::Value;

use super::gauge::Watched;
use super::servers::Servers;
use crate::fleet::{Fleet, INGEST_TOKEN};
use crate::flood::amqp::Broker;
use crate::flood::intake::Intakes;
use crate::flood::{self, Flood};
use crate::program::Program;
use crate::scenario::{Scenario, Way};
use crate::sink::Sink;

/// Calls of the API that are made at once.
const CALLS: usize = 16;
/// What the names of our webhooks begin with, as those of our repositories do.
const NAMED: &str = "load/app-";

/// A fleet of which only the console is there yet.
#[derive(Debug)]
pub(crate) struct Stage {
    fleet: Fleet,
    console: Program,
    api: SocketAddr,
}

/// What works on the load.
#[derive(Debug)]
pub(crate) struct Crew {
    producers: Vec<Program>,
    deliverers: Vec<Program>,
    /// By the number of the webhook.
    pub(crate) secrets: Vec<SigningSecret>,
}

impl Stage {
    /// Starts the console, and refuses a store that others use.
    pub(crate) async fn open(
        servers: &Servers,
        folder: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, BoxError> {
        let mut fleet = Fleet::new(&servers.amqp, &servers.redis, folder)?;
        let variables: Vec<_> = variables.into_iter().collect();
        fleet.set(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let console = fleet.console().await?;
        fleet.until_ready(&console).await?;
        let stage = Self { api: console.address()?, fleet, console };
        if !stage.page("webhooks?limit=1").await?.is_empty() {
            return Err(
                "the store holds webhooks already: run on a database that nothing else uses, such as the number \
                        at the end of redis://store:6379/5"
                    .into(),
            );
        }
        Ok(stage)
    }

    /// Makes the webhooks, and starts the others. What is made stays if it fails.
    pub(crate) async fn crew(&self, scenario: &Scenario, sink: &Sink) -> Result<Crew, BoxError> {
        let (webhooks, format) = (&scenario.webhooks, scenario.webhooks.format.as_str());
        let add = |number: usize| {
            let (repository, url) = (flood::name(number / webhooks.per_repository), sink.url(number));
            async move { self.fleet.add_webhook(self.api, (&repository, format, &url)).await }
        };
        let made: Vec<_> = stream::iter(0..scenario.webhooks()).map(add).buffered(CALLS).try_collect().await?;
        let secrets = made.iter().map(|(_, secret)| SigningSecret::parse(secret)).collect::<Result<_, _>>()?;
        let (mut producers, mut deliverers) = (Vec::new(), Vec::new());
        for _ in 0..scenario.fleet.producers {
            producers.push(self.fleet.producer().await?);
        }
        for _ in 0..scenario.fleet.deliverers {
            deliverers.push(self.fleet.deliverer().await?);
        }
        for program in producers.iter().chain(&deliverers) {
            self.fleet.until_ready(program).await?;
        }
        Ok(Crew { producers, deliverers, secrets })
    }

    /// Removes the webhooks.
    pub(crate) async fn clear(&self) -> Result<(), BoxError> {
        let path = "webhooks?limit=100";
        loop {
            let ours: Vec<String> = self.page(path).await?.iter().filter_map(our_id).collect();
            if ours.is_empty() {
                return Ok(());
            }
            let remove = |id: String| async move {
                self.fleet.call(self.api, (Method::DELETE, &format!("webhooks/{id}")), None).await.map(drop)
            };
            stream::iter(ours).map(remove).buffer_unordered(CALLS).try_collect::<()>().await?;
        }
    }

    /// Ends the console.
    pub(crate) async fn end(self) -> Result<(), BoxError> {
        self.console.kill().await
    }

    /// What the processes are called and which they are.
    pub(crate) fn processes(&self, crew: &Crew) -> Vec<Watched> {
        let programs = crew.producers.iter().chain(&crew.deliverers).chain([&self.console]);
        let named = |program: &Program| {
            let name = program.name.strip_prefix("dockbell-").unwrap_or(&program.name);
            // The console's program has the name of the product, and its number.
            let name = if name.starts_with(|letter: char| letter.is_ascii_digit()) { "console" } else { name };
            Some(Watched { name: name.to_owned(), process: program.id()? })
        };
        programs.filter_map(named).collect()
    }

    async fn page(&self, path: &str) -> Result<Vec<Value>, BoxError> {
        let found = self.fleet.call(self.api, (Method::GET, path), None).await?;
        let items = found.get("items").and_then(Value::as_array).cloned();
        items.ok_or_else(|| "the API lists no webhooks".into())
    }
}

impl Crew {
    /// The way in.
    pub(crate) async fn flood(&self, way: Way, servers: &Servers) -> Result<Flood, BoxError> {
        if way == Way::Amqp {
            return Ok(Flood::Broker(Box::new(Broker::connect(&servers.amqp).await?)));
        }
        let url = |producer: &Program| Ok(format!("http://{}/ingest/registry", producer.address()?).parse()?);
        let urls = self.producers.iter().map(url).collect::<Result<_, BoxError>>()?;
        Ok(Flood::Intakes(Intakes::connect(urls, Secret::new(INGEST_TOKEN)).await?))
    }

    /// Ends them.
    pub(crate) async fn end(self) -> Result<(), BoxError> {
        for program in self.producers.into_iter().chain(self.deliverers) {
            program.kill().await?;
        }
        Ok(())
    }
}

fn our_id(webhook: &Value) -> Option<String> {
    webhook.get("name")?.as_str()?.starts_with(NAMED).then_some(())?;
    Some(webhook.get("id")?.as_str()?.to_owned())
}
