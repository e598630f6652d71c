//! Soaks a fleet: steady load while faults come at random, and then a table of what was kept.

mod ailing;
mod book;
mod fault;
mod judge;
mod load;
mod resources;
mod stage;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::signature::SigningSecret;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use self::ailing::{Case, Owner, WELL, ail};
use self::book::Book;
use self::fault::{Deck, Fault, up_to};
use self::judge::{Evidence, Verdict};
use self::load::Reporter;
use self::resources::Held;
use self::stage::Stage;
use crate::flood;
use crate::report::say;
use crate::sink::Sink;

/// All changes at once, with their digests, orders and events.
const FORMAT: &str = "batch";
/// The share of the time in which only receivers ail.
const CALM: f64 = 0.25;
/// Before the resources are looked at for the first time.
const WARM_UP: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(6);
/// How long what is owed may still take after the end of all trouble.
const QUIESCE: Duration = Duration::from_mins(5);
/// The broker's counts are this old at most.
const COUNTED_EVERY: Duration = Duration::from_secs(6);
/// How long a kill waits for something that it hits.
const KILLS_WAIT: Duration = Duration::from_secs(2);
/// Twice as long as deliverers keep connections that nobody uses, of which there are many after a backlog.
const IDLE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);
const PROBE: Duration = Duration::from_secs(30);

/// How to soak.
#[derive(Debug, Clone, Args)]
pub(crate) struct Soak {
    /// Minutes of trouble
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// The order of the faults; one that is printed plays them again
    #[arg(long)]
    seed: Option<u64>,
    /// The most seconds that a fault of the fleet lasts, which is longer than it takes to be noticed
    #[arg(long, default_value_t = 12.0)]
    longest: f64,
    /// Repositories, each with a webhook and a reporter
    #[arg(long, default_value_t = 12)]
    repositories: usize,
    /// Events per second over all repositories
    #[arg(long, default_value_t = 40.0)]
    rate: f64,
}

/// A soak that is going on.
struct Going {
    stage: Stage,
    sink: Arc<Sink>,
    book: Arc<Book>,
    webhooks: Vec<String>,
    started: Instant,
    faults: Vec<(Fault, Instant, Instant)>,
    under_way: Vec<usize>,
}

impl Soak {
    /// Soaks, prints the table, and says whether everything was kept.
    pub(crate) async fn run(&self, folder: &Path, variables: &[(String, String)]) -> Result<bool, BoxError> {
        let seed = self.seed.unwrap_or_else(|| SystemClock.now().as_microsecond().unsigned_abs());
        say(&format!("seed {seed}"));
        let (stage, addresses) = Stage::build(folder, variables).await?;
        let mut going = self.begin(stage).await?;
        let (end, is_over) = watch::channel(false);
        let mut reporting = JoinSet::new();
        for repository in 0..self.repositories {
            #[expect(clippy::cast_precision_loss, reason = "there are few repositories")]
            let pace = Duration::from_secs_f64(self.repositories as f64 / self.rate);
            let (book, addresses, is_over) = (Arc::clone(&going.book), addresses.clone(), is_over.clone());
            reporting.spawn(Reporter { book, repository, pace, addresses, is_over }.report(going.stage.fleet.clone()));
        }
        sleep(WARM_UP).await;
        let before = resources::most(going.stage.programs()).ok_or("a process ended by itself")?;
        let mut ailing = JoinSet::new();
        let owner = Owner {
            started: going.started,
            fleet: going.stage.fleet.clone(),
            addresses,
            webhooks: going.webhooks.clone(),
        };
        ailing.spawn(ail(Arc::clone(&going.sink), owner, seed, is_over));
        let time = Duration::from_secs_f64(60.0 * self.minutes);
        sleep(time.mul_f64(CALM)).await;
        let calm_until = Instant::now();
        let longest = Duration::from_secs_f64(self.longest);
        going.suffer((time.mul_f64(1.0 - CALM), longest), seed).await?;
        end.send_replace(true);
        let ailments = ailing.join_next().await.ok_or("receivers ail")??;
        while let Some(reported) = reporting.join_next().await {
            reported??;
        }
        let evidence = going.end((before, calm_until, ailments)).await?;
        Ok(table(&evidence))
    }

    /// Makes a webhook on each repository, and one on all of them.
    async fn begin(&self, stage: Stage) -> Result<Going, BoxError> {
        let sink = Arc::new(Sink::start()?);
        sink.behave(vec![WELL; self.repositories + 1]);
        let (mut webhooks, mut secrets) = (Vec::new(), Vec::new());
        for number in 0..=self.repositories {
            let pattern = if number < self.repositories { flood::name(number) } else { "*".to_owned() };
            let members = (pattern.as_str(), FORMAT, sink.url(number));
            let (id, secret) =
                stage.fleet.add_webhook(stage.console.address()?, (members.0, members.1, &members.2)).await?;
            webhooks.push(id);
            secrets.push(SigningSecret::parse(&secret)?);
        }
        let book = Arc::new(Book::new(secrets));
        sink.tell(vec![Arc::clone(&book) as _]);
        let (faults, under_way) = (Vec::new(), Vec::new());
        Ok(Going { stage, sink, book, webhooks, started: Instant::now(), faults, under_way })
    }
}

impl Going {
    /// Lets faults of the fleet happen for `time`, one after the other, none for longer than `longest`.
    async fn suffer(&mut self, (time, longest): (Duration, Duration), seed: u64) -> Result<(), BoxError> {
        // Not the chances of the receivers.
        let (mut rng, mut deck) = (StdRng::seed_from_u64(seed.wrapping_add(1)), Deck::new(&Fault::ALL));
        let end = Instant::now() + time;
        while Instant::now() < end {
            let Some(fault) = deck.draw(&mut rng) else { break };
            let from = Instant::now();
            if fault == Fault::KillDeliverer {
                let under_way = self.requests_under_way().await;
                self.under_way.push(under_way);
            }
            say(&format!("{:>6.1} s: {fault:?}", self.started.elapsed().as_secs_f64()));
            self.stage.suffer(fault, longest, &mut rng).await?;
            self.faults.push((fault, from, Instant::now()));
            sleep(up_to(LONGEST_PAUSE, &mut rng)).await;
        }
        Ok(())
    }

    /// How many requests are under way, as soon as some are.
    async fn requests_under_way(&self) -> usize {
        let patience = Instant::now() + KILLS_WAIT;
        loop {
            let under_way = self.sink.under_way();
            if under_way > 0 || Instant::now() > patience {
                return under_way;
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Heals everything, waits for what is owed, and collects the evidence.
    async fn end(
        self,
        (before, calm_until, ailments): (BTreeMap<String, Held>, Instant, Vec<Case>),
    ) -> Result<Evidence, BoxError> {
        self.stage.until_ready().await?;
        let all = self.webhooks.len() - 1;
        let probes = self.probe(all).await?;
        let (faults, under_way) = (self.faults.clone(), self.under_way.clone());
        let mut evidence = Evidence {
            pages: self.book.read(Clone::clone),
            all,
            faults,
            ailments,
            under_way,
            reconnects: self.reconnects().await?,
            calm_until,
            probes,
            unwell: Vec::new(),
            disabled: self.unwell().await?.1,
            left: BTreeMap::new(),
            before,
            after: BTreeMap::new(),
        };
        let healed = Instant::now();
        while healed.elapsed() < QUIESCE {
            evidence.pages = self.book.read(Clone::clone);
            evidence.left = self.left().await;
            if evidence.is_quiet() {
                break;
            }
            sleep(COUNTED_EVERY).await;
        }
        say(&format!("quiet {:.0?} after the end of all trouble", healed.elapsed()));
        evidence.unwell = self.unwell().await?.0;
        let settled = Instant::now() + IDLE;
        loop {
            evidence.after = resources::most(self.stage.programs()).ok_or("a process ended by itself")?;
            if evidence.grown().is_empty() || Instant::now() > settled {
                return Ok(evidence);
            }
            sleep(POLL).await;
        }
    }

    /// Pushes once to every repository, and says how long it took to reach the webhook that never ails.
    async fn probe(&self, all: usize) -> Result<Vec<Option<Duration>>, BoxError> {
        let intake =
            self.stage.producers.first().and_then(|producer| producer.listen).ok_or("there must be producers")?;
        let mut events = Vec::new();
        for repository in 0..all {
            let event = self.book.enter(&flood::name(repository), |number| format!("probe-{number}"));
            let tag = format!("probe-{event}");
            while !self.stage.fleet.report(intake, &load::push((repository, &tag), event)).await? {
                sleep(POLL).await;
            }
            self.book.accepted(event);
            events.push(event);
        }
        let latencies = || {
            let latency = |event: &usize| self.book.read(|pages| pages.events.get(*event)?.latency(all));
            events.iter().map(latency).collect::<Vec<_>>()
        };
        let deadline = Instant::now() + PROBE;
        while latencies().iter().any(Option::is_none) && Instant::now() < deadline {
            sleep(POLL).await;
        }
        Ok(latencies())
    }

    /// Connections to the broker that living processes made beyond their first to each end.
    async fn reconnects(&self) -> Result<u64, BoxError> {
        let mut reconnects = 0;
        for program in self.stage.programs() {
            let metrics = self.stage.fleet.admin(program, "/metrics").await?;
            let counts = metrics.lines().filter(|line| line.starts_with("dockbell_amqp_connections_total"));
            let counts = counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
            reconnects += counts.map(|count| count.saturating_sub(1)).sum::<u64>();
        }
        Ok(reconnects)
    }

    async fn left(&self) -> BTreeMap<String, u64> {
        let queues = self.stage.node.queues(&self.stage.host).await;
        let count = |queue: &Value| Some((queue.get("name")?.as_str()?.to_owned(), queue.get("messages")?.as_u64()?));
        queues.iter().filter_map(count).collect()
    }

    /// Webhooks that are disabled, or whose last attempt failed, in words, and the numbers of the disabled ones.
    async fn unwell(&self) -> Result<(Vec<String>, Vec<usize>), BoxError> {
        let (mut unwell, mut disabled, console) = (Vec::new(), Vec::new(), self.stage.console.address()?);
        for (number, webhook) in self.webhooks.iter().enumerate() {
            let shown = self.stage.fleet.call(console, (Method::GET, &format!("webhooks/{webhook}")), None).await?;
            let failures = shown.pointer("/health/consecutive_failures").and_then(Value::as_u64).unwrap_or(u64::MAX);
            if shown.get("enabled") != Some(&Value::Bool(true)) {
                unwell.push(format!("webhook {number} is disabled"));
                disabled.push(number);
            } else if failures > 0 {
                unwell.push(format!("webhook {number} has {failures} failures"));
            }
        }
        Ok((unwell, disabled))
    }
}

/// Prints the table, and says whether everything was kept and could have been broken.
fn table(evidence: &Evidence) -> bool {
    let lines = evidence.judge();
    for line in &lines {
        say(&line.to_string());
    }
    lines.iter().all(|line| line.verdict == Verdict::Pass)
}
