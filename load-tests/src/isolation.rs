//! Measures what half of the webhooks, when they hang, do to the other half.

use std::time::Duration;

use clap::Args;
use dockbell_chassis::lifecycle::BoxError;

use crate::arrivals::{LATEST, Summary};
use crate::ceiling;
use crate::cost::Cost;
use crate::plan::Plan;
use crate::ratio::{Limits, PROMISED, Ratio};
use crate::say;
use crate::sink::Behaviour;
use crate::trial::{Ground, Outcome};

/// As long as an attempt may take.
const HANG: Duration = Duration::from_secs(15);
/// A generator that was later than this at any time did not keep to an open model: its run says little.
const LATEST_PUBLISH: Duration = Duration::from_millis(500);

/// How to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct Isolation {
    /// Webhooks, of which the odd ones hang
    #[arg(long, default_value_t = 100)]
    webhooks: usize,
    /// Seconds of each run that are measured
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds of each run before that
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Pairs of runs
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// The share of the measured maximum that is offered
    #[arg(long, default_value_t = 0.5)]
    load: f64,
    /// Events per second to offer, instead of measuring the maximum
    #[arg(long)]
    rate: Option<f64>,
}

impl Isolation {
    /// Measures, prints, and says whether neighbours do not wait.
    pub(crate) async fn run(&self, ground: &Ground<'_>) -> Result<bool, BoxError> {
        let rate = match self.rate {
            Some(rate) => rate,
            None => self.load * self.ceiling(ground).await?,
        };
        say(&format!("{} webhooks, {rate:.0} events/s, {} pairs of {} s", self.webhooks, self.pairs, self.seconds));
        let mut ratios = Vec::new();
        for pair in 1..=self.pairs {
            let calm = self.half(ground, &format!("a{pair}"), rate, Vec::new()).await?;
            let hanging = (0..self.webhooks)
                .map(|webhook| if is_healthy(webhook) { Behaviour::Accept } else { Behaviour::Hang(HANG) });
            let troubled = self.half(ground, &format!("b{pair}"), rate, hanging.collect()).await?;
            let ratio = Ratio::of(&calm, &troubled);
            say(&format!("pair {pair}: {ratio}"));
            ratios.push(ratio);
        }
        let median = Ratio::median(&ratios).ok_or("there must be pairs")?;
        let (keeps, Limits { p99, rate }) = (median.keeps(PROMISED), PROMISED);
        let verdict = if keeps { "as promised" } else { "NOT as promised" };
        say(&format!("median: {median}: {verdict} (at most {p99}, at least {rate})"));
        Ok(keeps)
    }

    async fn ceiling(&self, ground: &Ground<'_>) -> Result<f64, BoxError> {
        let most = ceiling::measure(ground, self.webhooks).await?;
        say(&format!("at most {most:.0} events/s"));
        Ok(most)
    }

    /// One run, on a fleet of its own, and what came of the healthy half in it.
    async fn half(
        &self,
        ground: &Ground<'_>,
        name: &str,
        rate: f64,
        behaviours: Vec<Behaviour>,
    ) -> Result<Summary, BoxError> {
        let (warm_up, length) = (Duration::from_secs(self.warm_up), Duration::from_secs(self.seconds));
        let plan = Plan { rate, repositories: self.webhooks, warm_up, length };
        let crew = ground.crew(name, self.webhooks).await?;
        let before = Cost::of(ground.node, &crew.host, "", ground.redis).await;
        let outcome = ground.play(&crew, (name, plan), behaviours, is_healthy).await?;
        let cost = Cost::of(ground.node, &crew.host, "", ground.redis).await.since(&before);
        ground.end(crew).await?;
        let summary = outcome.arrivals.summary(is_healthy);
        tell(name, &summary, &outcome);
        say(&format!("      {}", cost.per(plan.events())));
        Ok(summary)
    }
}

fn is_healthy(webhook: usize) -> bool {
    webhook.is_multiple_of(2)
}

fn tell(name: &str, summary: &Summary, outcome: &Outcome) {
    let Summary { due, arrived, rate, median, p99, longest } = summary;
    let lag = outcome.kept.longest_lag;
    let is_late = if lag > LATEST_PUBLISH { ", TOO LATE: the machine is too busy to measure" } else { "" };
    say(&format!(
        "  {name}: {arrived} of {due} arrived, {rate:.1}/s, median {}, p99 {}, longest {}; {} repeated, \
         generator {} ms late at most{is_late}",
        ms(*median),
        ms(*p99),
        ms(*longest),
        outcome.arrivals.repeated(),
        lag.as_millis()
    ));
}

fn ms(time: Duration) -> String {
    if time < LATEST { format!("{:.1} ms", time.as_secs_f64() * 1e3) } else { "never".to_owned() }
}
