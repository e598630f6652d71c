//! Measures what a webhook with very many waiting deliveries costs while its endpoint is dead, and whether it gets them
//! when the endpoint heals.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use dockbell_chassis::lifecycle::BoxError;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::arrivals::{Arrivals, Summary};
use crate::cost::Cost;
use crate::fleet::amqp_url;
use crate::plan::Plan;
use crate::ratio::Ratio;
use crate::report::{judge, say, tell};
use crate::sink::Behaviour;
use crate::trial::{Crew, Ground};
use crate::{backlog, ceiling, flood};

/// The webhook with the backlog.
const DEAD: usize = 0;
const STATUS: u16 = 500;
/// The name of the run that the backlog is.
const RUN: &str = "backlog";
/// What the broker may carry for the webhook.
const MESSAGES_PER_SECOND: f64 = 500.0;
/// The broker's counts are as old as this at most.
const COUNTED_EVERY: Duration = Duration::from_secs(5);
/// Traffic is judged by the busiest stretch of this length.
const STRETCH: Duration = Duration::from_secs(10);
/// So few messages still under way are those that are looked at again.
const AT_REST: u64 = 500;
const POLL: Duration = Duration::from_secs(1);

/// How to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct Parked {
    /// Webhooks, of which the first has the backlog
    #[arg(long, default_value_t = 100)]
    webhooks: usize,
    /// Deliveries that wait
    #[arg(long, default_value_t = 100_000)]
    deliveries: usize,
    /// Seconds of each run that are measured
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds of each run before that
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// The share of the measured maximum that is offered
    #[arg(long, default_value_t = 0.5)]
    load: f64,
    /// Events per second to offer, instead of measuring the maximum
    #[arg(long)]
    rate: Option<f64>,
    /// Minutes within which the backlog must be at rest, and within which it must have drained
    #[arg(long, default_value_t = 30)]
    minutes: u64,
}

impl Parked {
    /// Measures, prints, and says whether all is as promised.
    pub(crate) async fn run(&self, ground: &Ground<'_>) -> Result<bool, BoxError> {
        let rate = match self.rate {
            Some(rate) => rate,
            None => self.load * ceiling::measure(ground, self.webhooks).await?,
        };
        let (warm_up, length) = (Duration::from_secs(self.warm_up), Duration::from_secs(self.seconds));
        let plan = Plan { rate, repositories: self.webhooks, warm_up, length };
        let waiting = (2 * self.deliveries).to_string();
        let variables = [("DOCKBELL_POLICY_WAITING", waiting.as_str())];
        let crew = ground.crew("calm", self.webhooks, &variables).await?;
        let calm = ground.play(&crew, ("calm", plan), (Vec::new(), &[]), is_other).await?;
        ground.end(crew).await?;
        let calm = tell("calm", &calm, is_other);
        let crew = ground.crew("parked", self.webhooks, &variables).await?;
        let backlog = self.fill(ground, &crew).await?;
        let others = self.beside(ground, (&crew, &backlog), (plan, &calm)).await?;
        let drains = self.drain(ground, &crew, &backlog).await?;
        ground.end(crew).await?;
        Ok(others && drains)
    }

    /// Measures the others beside the backlog, and what that costs the broker.
    async fn beside(
        &self,
        ground: &Ground<'_>,
        (crew, backlog): (&Crew, &Arc<Arrivals>),
        (plan, calm): (Plan, &Summary),
    ) -> Result<bool, BoxError> {
        let others = [(RUN, backlog)];
        let (troubled, traffic) = tokio::join!(
            ground.play(crew, ("parked", plan), (vec![Behaviour::Refuse(STATUS)], &others), is_other),
            busiest(ground, crew, plan.warm_up + plan.length),
        );
        let troubled = tell("parked", &troubled?, is_other);
        let keeps = judge("neighbours", &Ratio::of(calm, &troubled));
        let is_cheap = traffic < MESSAGES_PER_SECOND;
        let verdict = if is_cheap { "as promised" } else { "NOT as promised" };
        say(&format!(
            "traffic: {traffic:.0} messages/s in the busiest {STRETCH:?}: {verdict} (less than {MESSAGES_PER_SECOND})"
        ));
        Ok(keeps && is_cheap)
    }

    /// Makes the backlog, and waits until it rests in the broker.
    async fn fill(&self, ground: &Ground<'_>, crew: &Crew) -> Result<Arc<Arrivals>, BoxError> {
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer deliveries than a float counts exactly")]
        let all_at_once = Plan {
            rate: self.deliveries as f64,
            repositories: 1,
            warm_up: Duration::ZERO,
            length: Duration::from_secs(1),
        };
        let backlog = Arc::new(Arrivals::new(all_at_once, Instant::now()));
        ground.sink.behave(vec![Behaviour::Refuse(STATUS)]);
        ground.sink.note_in([(RUN, &backlog)]);
        let webhook = crew.webhooks.get(DEAD).ok_or("there must be webhooks")?;
        let url = amqp_url(ground.node, &crew.host);
        let (started, repository) = (Instant::now(), flood::name(DEAD));
        backlog::publish(&url, (webhook, &repository), (self.deliveries, RUN)).await?;
        let published = started.elapsed();
        let rest = || async {
            let (depth, waiting) = (Depth::of(ground, crew).await, crew.waiting(webhook).await.ok()?);
            (depth.due <= AT_REST && waiting >= self.deliveries as u64).then_some((depth, waiting))
        };
        let (depth, waiting) = self.until(rest).await.ok_or("the backlog does not come to rest")?;
        say(&format!(
            "{} deliveries published in {published:.0?}, at rest after {:.0?}: {waiting} wait, as {} messages of the \
             broker, and {} that are looked at",
            self.deliveries,
            started.elapsed(),
            depth.delayed,
            depth.due
        ));
        Ok(backlog)
    }

    /// Heals the endpoint, and waits for the backlog.
    async fn drain(&self, ground: &Ground<'_>, crew: &Crew, backlog: &Arc<Arrivals>) -> Result<bool, BoxError> {
        let healed = Instant::now();
        ground.sink.behave(Vec::new());
        let first = || async { (backlog.count() > 0).then_some(healed.elapsed()) };
        let first = self.until(first).await;
        let drained = || async { backlog.is_complete(|_| true).then_some(healed.elapsed()) };
        let drained = self.until(drained).await;
        let depth = Depth::of(ground, crew).await;
        let told = |after: Option<Duration>| after.map_or("never".to_owned(), |after| format!("after {after:.0?}"));
        say(&format!(
            "drain: first delivery {}, last {}; {} of {} arrived, {} repeated, {} left in the broker: {}",
            told(first),
            told(drained),
            backlog.count(),
            self.deliveries,
            backlog.repeated(),
            depth.delayed + depth.due,
            if drained.is_some() { "as promised" } else { "NOT as promised" }
        ));
        Ok(drained.is_some())
    }

    async fn until<T, F: Future<Output = Option<T>>>(&self, condition: impl Fn() -> F) -> Option<T> {
        let deadline = Instant::now() + Duration::from_secs(60 * self.minutes);
        loop {
            if let Some(value) = condition().await {
                return Some(value);
            }
            if Instant::now() > deadline {
                return None;
            }
            sleep(POLL).await;
        }
    }
}

fn is_other(webhook: usize) -> bool {
    webhook != DEAD
}

/// The most messages per second that came onto the queues of what waits, or were handed out of them, within the
/// time. The others' deliveries never are on them.
async fn busiest(ground: &Ground<'_>, crew: &Crew, time: Duration) -> f64 {
    let end = Instant::now() + time;
    let (mut samples, mut busiest) = (Vec::new(), 0.0_f64);
    while Instant::now() < end {
        samples.push((Instant::now(), traffic(ground, crew).await));
        let (now, count) = samples.last().copied().unwrap_or((end, 0));
        let earlier = samples.iter().rev().find(|(at, _)| now.duration_since(*at) >= STRETCH);
        if let Some((at, earlier)) = earlier {
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = (count - earlier) as f64 / now.duration_since(*at).as_secs_f64();
            busiest = busiest.max(rate);
        }
        sleep(COUNTED_EVERY).await;
    }
    busiest
}

async fn traffic(ground: &Ground<'_>, crew: &Crew) -> u64 {
    let mut count = 0;
    for part in WAITING {
        let cost = Cost::of(ground.node, &crew.host, part, ground.redis).await;
        count += cost.published + cost.delivered;
    }
    count
}

/// What the names of the queues of what waits hold.
const WAITING: [&str; 2] = [".redeliveries.", ".delay."];

/// What stands on the queues of what waits.
#[derive(Debug, Clone, Copy)]
struct Depth {
    /// Waits for its time.
    delayed: u64,
    /// Its time has come.
    due: u64,
}

impl Depth {
    async fn of(ground: &Ground<'_>, crew: &Crew) -> Self {
        let queues = ground.node.queues(&crew.host).await;
        let messages = |part: &str| {
            let is_meant =
                |queue: &&Value| queue.get("name").and_then(Value::as_str).is_some_and(|name| name.contains(part));
            queues.iter().filter(is_meant).filter_map(|queue| queue.get("messages")?.as_u64()).sum()
        };
        let [due, delayed] = WAITING.map(messages);
        Self { delayed, due }
    }
}
