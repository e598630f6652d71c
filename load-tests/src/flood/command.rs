//! `flood`: pushes to a Dockbell that runs elsewhere.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use dockbell_chassis::config::process_environment;
use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::secret::Secret;
use reqwest::Url;
use tokio::time::{Instant, interval};

use super::amqp::Broker;
use super::intake::Intakes;
use super::{Flood, Kept, Sent};
use crate::interrupt::unless_interrupted;
use crate::plan::Plan;
use crate::pushes::Pushes;
use crate::report::say;
use crate::scenario::{Way, within};
use crate::schedule::{Schedule, Shape, Spread};

/// Where the token of the source stands: a command line can be read by everybody on the machine.
const TOKEN: &str = "DOCKBELL_INGEST_TOKEN";
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// Pushes are planned before they are sent.
const MOST: usize = 20_000_000;

/// What to push, and where.
#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
#[derive(Debug, Clone, Args)]
#[command(group(clap::ArgGroup::new("where").required(true).args(["amqp_url", "intake_url"])))]
pub(crate) struct FloodCommand {
    /// The broker, to whose exchange registry.events events are published
    #[arg(long, value_name = "URL")]
    amqp_url: Option<String>,
    /// The intake of a producer, such as http://producer:8080/ingest/registry; may be given several times. The token is
    /// that of the environment variable DOCKBELL_INGEST_TOKEN
    #[arg(long, value_name = "URL")]
    intake_url: Vec<Url>,
    /// Pushes per second
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// For how long
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Repositories, load/app-0 and on
    #[arg(long, default_value_t = 100)]
    repositories: usize,
    /// Deals pushes to repositories by the law of Zipf, with this exponent [default: in turn]
    #[arg(long, value_name = "EXPONENT")]
    zipf: Option<f64>,
    /// Tags of a repository that are pushed again and again [default: each push has one of its own]
    #[arg(long)]
    tags: Option<usize>,
    /// The share of pushes that are multi-arch
    #[arg(long, default_value_t = 0.0)]
    bursts: f64,
    /// Platforms of such a push
    #[arg(long, default_value_t = 2)]
    platforms: usize,
}

impl FloodCommand {
    /// Pushes, prints, and says whether everything was accepted.
    pub(crate) async fn run(self) -> Result<bool, BoxError> {
        self.check()?;
        unless_interrupted(self.push()).await
    }

    async fn push(self) -> Result<bool, BoxError> {
        let (flood, way) = self.open().await?;
        let spread = self.zipf.map_or(Spread::Even, Spread::Zipf);
        let shape = Shape { spread, tags: self.tags, bursts: self.bursts, platforms: self.platforms };
        let schedule = Arc::new(Schedule::new(self.plan(), &shape));
        let (start, began) = (Instant::now(), SystemClock.now());
        let run = format!("r{:x}", began.as_millisecond());
        say(&format!(
            "run {run}: {} pushes in {} s, repositories load/app-0 and on",
            schedule.events().len(),
            self.seconds
        ));
        let (pushes, sent) = (Pushes { schedule, run, began, way }, Arc::<Sent>::default());
        let kept = tokio::select! {
            kept = flood.run(pushes.all(), start, &sent) => kept?,
            () = tell(&sent, start) => Kept::default(),
        };
        let (due, accepted) = (sent.now().0, kept.accepted.len());
        let lag = kept.longest_lag.as_millis();
        let again = kept.repeated.len();
        say(&format!(
            "{due} pushes due, {accepted} accepted, {again} reports made again, generator {lag} ms late at most"
        ));
        if accepted == 0 {
            return Err("nothing was accepted".into());
        }
        Ok(accepted == due)
    }

    async fn open(&self) -> Result<(Flood, Way), BoxError> {
        if let Some(url) = &self.amqp_url {
            let broker = Broker::connect(url).await?;
            broker.expect_exchange().await?;
            return Ok((Flood::Broker(Box::new(broker)), Way::Amqp));
        }
        let token = process_environment().remove(TOKEN).filter(|token| !token.is_empty());
        let token =
            token.ok_or_else(|| format!("--intake-url needs the token of the source in the variable {TOKEN}"))?;
        Ok((Flood::Intakes(Intakes::connect(self.intake_url.clone(), Secret::new(token)).await?), Way::Http))
    }

    fn check(&self) -> Result<(), String> {
        within("--rate", self.rate, 0.01..=100_000.0)?;
        within("--seconds", self.seconds, 1..=86_400)?;
        within("--repositories", self.repositories, 1..=1_000_000)?;
        within("--zipf", self.zipf.unwrap_or(1.0), 0.01..=5.0)?;
        within("--tags", self.tags.unwrap_or(1), 1..=10_000)?;
        within("--bursts", self.bursts, 0.0..=1.0)?;
        within("--platforms", self.platforms, 1..=64)?;
        let pushes = self.plan().events();
        if pushes > MOST {
            return Err(format!("{pushes} pushes are more than {MOST}: lower --rate or --seconds"));
        }
        Ok(())
    }

    fn plan(&self) -> Plan {
        let length = Duration::from_secs(self.seconds);
        Plan { rate: self.rate, repositories: self.repositories, warm_up: Duration::ZERO, length }
    }
}

/// Tells how it goes, every second, without an end.
async fn tell(sent: &Sent, start: Instant) {
    let (mut ticks, mut before) = (interval(TOLD_EVERY), (0, 0));
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let now = sent.now();
        let (due, accepted) = (now.0 - before.0, now.1.saturating_sub(before.1));
        say(&format!("{:>5} s: {due} due, {accepted} accepted", start.elapsed().as_secs()));
        before = now;
    }
}
