//! One run of a fleet of its own under a plan: what both halves of a comparison are.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::redis::RedisServer;
use reqwest::Method;
use tokio::time::{Instant, sleep};

use crate::arrivals::Arrivals;
use crate::fleet::{Fleet, amqp_url};
use crate::flood::amqp::Broker;
use crate::flood::{self, Flood, Kept};
use crate::plan::Plan;
use crate::program::Program;
use crate::sink::{Behaviour, Sink};

/// One POST per event, and a small one.
const FORMAT: &str = "dockerhub";
/// Small windows, so that what is measured is not them, and the same for all that is compared.
pub(crate) const WINDOWS: [(&str, &str); 2] = [("DOCKBELL_WINDOW_QUIET", "20ms"), ("DOCKBELL_WINDOW_MAX_WAIT", "50ms")];
/// How long such a window waits for another event.
pub(crate) const QUIET: Duration = Duration::from_millis(20);
const DELIVERERS: usize = 2;
/// A start in the future leaves the generator time to be there.
const HEAD_START: Duration = Duration::from_millis(200);
/// How long after the last event what is due may still arrive.
const LAST_WAIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// The servers and receivers that all runs share.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) node: &'a Node,
    pub(crate) redis: &'a RedisServer,
    pub(crate) sink: &'a Sink,
    pub(crate) folder: &'a Path,
    /// Variables for all processes.
    pub(crate) variables: &'a [(String, String)],
}

/// A fleet that is up, on a virtual host and an empty store of its own.
#[derive(Debug)]
pub(crate) struct Crew {
    fleet: Fleet,
    pub(crate) host: String,
    /// Their ids, by their numbers.
    pub(crate) webhooks: Vec<String>,
    pub(crate) console: Program,
    pub(crate) producer: Program,
    pub(crate) deliverers: Vec<Program>,
}

impl Crew {
    /// How many deliveries wait for a webhook, as its page says.
    pub(crate) async fn waiting(&self, webhook: &str) -> Result<u64, BoxError> {
        let path = format!("webhooks/{webhook}");
        let shown = self.fleet.call(self.console.address()?, (Method::GET, &path), None).await?;
        let waiting = shown.pointer("/health/waiting").and_then(serde_json::Value::as_u64);
        waiting.ok_or_else(|| "a webhook does not show how many deliveries wait for it".into())
    }
}

/// What a fleet is made of, besides its console and producer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Make<'a> {
    /// Each has one webhook, which accepts.
    pub(crate) repositories: usize,
    /// What the webhooks get.
    pub(crate) format: &'a str,
    pub(crate) deliverers: usize,
    pub(crate) variables: &'a [(&'a str, &'a str)],
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) kept: Kept,
}

impl Ground<'_> {
    /// A fleet with a webhook on each of as many repositories, all of which accept.
    pub(crate) async fn crew(
        &self,
        name: &str,
        repositories: usize,
        variables: &[(&str, &str)],
    ) -> Result<Crew, BoxError> {
        self.crew_of(name, Make { repositories, format: FORMAT, deliverers: DELIVERERS, variables }).await
    }

    /// A fleet that is made like this.
    pub(crate) async fn crew_of(&self, name: &str, make: Make<'_>) -> Result<Crew, BoxError> {
        self.redis.run(&["FLUSHALL"]).await;
        let host = self.node.virtual_host().await;
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let mut fleet = Fleet::new(&amqp_url(self.node, &host), &self.redis.url(), &folder)?;
        fleet.set(WINDOWS);
        fleet.set(make.variables.iter().copied());
        fleet.set(self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let console = fleet.console().await?;
        fleet.until_ready(&console).await?;
        self.sink.behave(Vec::new());
        let mut webhooks = Vec::new();
        for number in 0..make.repositories {
            let repository = flood::name(number);
            let (id, _) =
                fleet.add_webhook(console.address()?, (&repository, make.format, &self.sink.url(number))).await?;
            webhooks.push(id);
        }
        let producer = fleet.producer().await?;
        let mut deliverers = Vec::new();
        for _ in 0..make.deliverers {
            deliverers.push(fleet.deliverer().await?);
        }
        for program in deliverers.iter().chain([&producer]) {
            fleet.until_ready(program).await?;
        }
        Ok(Crew { fleet, host, webhooks, console, producer, deliverers })
    }

    /// Ends a fleet, and what it left in the broker.
    pub(crate) async fn end(&self, crew: Crew) -> Result<(), BoxError> {
        let Crew { host, console, producer, deliverers, .. } = crew;
        for program in [console, producer].into_iter().chain(deliverers) {
            program.kill().await?;
        }
        self.node.remove_virtual_host(&host).await;
        Ok(())
    }

    /// Plays a plan, with webhooks that behave like this, and waits for what the repositories that count are owed.
    /// The arrivals of other runs are noted meanwhile. How latency went, second by second, is left in the folder.
    pub(crate) async fn play(
        &self,
        crew: &Crew,
        run: (&str, Plan),
        receivers: (Vec<Behaviour>, &[(&str, &Arc<Arrivals>)]),
        counts: impl Fn(usize) -> bool,
    ) -> Result<Outcome, BoxError> {
        self.play_on(&crew.host, run, receivers, counts).await
    }

    /// The same for whoever works on this virtual host.
    pub(crate) async fn play_on(
        &self,
        host: &str,
        (run, plan): (&str, Plan),
        (behaviours, others): (Vec<Behaviour>, &[(&str, &Arc<Arrivals>)]),
        counts: impl Fn(usize) -> bool,
    ) -> Result<Outcome, BoxError> {
        let flood = Flood::Broker(Box::new(Broker::connect(&amqp_url(self.node, host)).await?));
        let start = Instant::now() + HEAD_START;
        let arrivals = Arc::new(Arrivals::new(plan, start));
        self.sink.behave(behaviours);
        self.sink.note_in(others.iter().copied().chain([(run, &arrivals)]));
        let kept = flood.run(flood::singles(plan, run), start, &Arc::default()).await?;
        let deadline = Instant::now() + LAST_WAIT;
        while !arrivals.is_complete(&counts) && Instant::now() < deadline {
            sleep(POLL).await;
        }
        std::fs::write(self.folder.join(format!("{run}.csv")), arrivals.by_second(&counts))?;
        Ok(Outcome { arrivals, kept })
    }
}
