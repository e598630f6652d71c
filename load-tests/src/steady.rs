//! A steady load on a fleet: on private servers, or on those of an operator who wants to know how Dockbell fares there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use dockbell_chassis::lifecycle::BoxError;
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::redis::RedisServer;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::arrivals::Arrivals;
use crate::fleet::{Fleet, amqp_url};
use crate::flood::{self, Flood};
use crate::plan::Plan;
use crate::program::Program;
use crate::report::{say, tell};
use crate::sink::Sink;
use crate::trial::Outcome;
use crate::usage;

/// The name of the run, by which its events are known.
const RUN: &str = "steady";
const HEAD_START: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// How to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct Steady {
    /// The broker to measure on, with a virtual host that nothing else uses [default: a private one]
    #[arg(long, value_name = "URL", requires = "redis_url")]
    amqp_url: Option<String>,
    /// The store to measure on, with a database that nothing else uses [default: a private one]
    #[arg(long, value_name = "URL", requires = "amqp_url")]
    redis_url: Option<String>,
    /// Events per second
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Repositories, each with one webhook
    #[arg(long, default_value_t = 100)]
    repositories: usize,
    /// What the webhooks get
    #[arg(long, default_value = "dockerhub")]
    format: String,
    #[arg(long, default_value_t = 2)]
    deliverers: usize,
    /// Seconds that are measured
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds before that
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Where a table of latency by the second goes
    #[arg(long, value_name = "FILE", default_value = "target/bench/steady.csv")]
    table: PathBuf,
}

impl Steady {
    /// Measures, prints, and says whether everything arrived, and nothing twice.
    pub(crate) async fn run(&self, folder: &Path, variables: &[(String, String)]) -> Result<bool, BoxError> {
        if let Some((amqp, redis)) = self.amqp_url.as_deref().zip(self.redis_url.as_deref()) {
            return self.play((amqp, redis), folder, variables).await;
        }
        let (node, redis) = (Node::start().await, RedisServer::start().await);
        let host = node.virtual_host().await;
        self.play((&amqp_url(&node, &host), &redis.url()), folder, variables).await
    }

    async fn play(
        &self,
        (amqp, redis): (&str, &str),
        folder: &Path,
        variables: &[(String, String)],
    ) -> Result<bool, BoxError> {
        let sink = Sink::start()?;
        let mut fleet = Fleet::new(amqp, redis, folder)?;
        fleet.set(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let console = fleet.console().await?;
        fleet.until_ready(&console).await?;
        let api = console.address()?;
        let known = fleet.call(api, (Method::GET, "webhooks?limit=1"), None).await?;
        if known.get("items").and_then(Value::as_array).is_none_or(|items| !items.is_empty()) {
            return Err("the store holds webhooks already: measure on a database that nothing else uses".into());
        }
        let mut webhooks = Vec::new();
        // What was made is removed, also if something fails.
        let is_right = self.on_fleet((&fleet, api), (amqp, &sink), &mut webhooks).await;
        for webhook in webhooks {
            fleet.call(api, (Method::DELETE, &format!("webhooks/{webhook}")), None).await?;
        }
        console.kill().await?;
        is_right
    }

    async fn on_fleet(
        &self,
        (fleet, api): (&Fleet, SocketAddr),
        (amqp, sink): (&str, &Sink),
        webhooks: &mut Vec<String>,
    ) -> Result<bool, BoxError> {
        for number in 0..self.repositories {
            let (repository, url) = (flood::name(number), sink.url(number));
            webhooks.push(fleet.add_webhook(api, (&repository, &self.format, &url)).await?.0);
        }
        let mut programs = vec![fleet.producer().await?];
        for _ in 0..self.deliverers {
            programs.push(fleet.deliverer().await?);
        }
        for program in &programs {
            fleet.until_ready(program).await?;
        }
        let is_right = self.measure(amqp, sink, &programs).await?;
        for program in programs {
            program.kill().await?;
        }
        Ok(is_right)
    }

    async fn measure(&self, amqp: &str, sink: &Sink, programs: &[Program]) -> Result<bool, BoxError> {
        let (warm_up, length) = (Duration::from_secs(self.warm_up), Duration::from_secs(self.seconds));
        let plan = Plan { rate: self.rate, repositories: self.repositories, warm_up, length };
        let flood = Flood::connect(amqp).await?;
        let before: Vec<_> = programs.iter().map(used).collect();
        let start = Instant::now() + HEAD_START;
        let arrivals = Arc::new(Arrivals::new(plan, start));
        sink.note_in([(RUN, &arrivals)]);
        let kept = flood.run(&plan, RUN, start).await?;
        let deadline = Instant::now() + LAST_WAIT;
        while !arrivals.is_complete(|_| true) && Instant::now() < deadline {
            sleep(POLL).await;
        }
        let outcome = Outcome { arrivals, kept };
        let summary = tell(RUN, &outcome, |_| true);
        let took = start.elapsed().as_secs_f64();
        for (program, before) in programs.iter().zip(before) {
            let now = used(program);
            let cores = now.cpu.saturating_sub(before.cpu).as_secs_f64() / took;
            let mib = now.peak_memory >> 20;
            say(&format!("  {}: {cores:.2} processors in use, {mib} MiB at most", program.name));
        }
        if let Some(folder) = self.table.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&self.table, outcome.arrivals.by_second(|_| true))?;
        say(&format!("latency by the second: {}", self.table.display()));
        let (lost, repeated) = (summary.due - summary.arrived, outcome.arrivals.repeated());
        let told = json!({ "due": summary.due, "arrived": summary.arrived, "repeated": repeated });
        say(&format!("verified: {told}"));
        Ok(lost == 0 && repeated == 0)
    }
}

fn used(program: &Program) -> usage::Usage {
    program.id().and_then(usage::of).unwrap_or_default()
}
