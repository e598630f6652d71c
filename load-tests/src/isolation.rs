//! Measures what half of the webhooks, when they hang, do to the other half.

use std::time::Duration;

use clap::Args;
use dockbell_chassis::lifecycle::BoxError;

use crate::arrivals::Summary;
use crate::ceiling;
use crate::cost::Cost;
use crate::plan::Plan;
use crate::ratio::Ratio;
use crate::report::{judge, say, tell};
use crate::sink::Behaviour;
use crate::trial::Ground;

/// As long as an attempt may take.
const HANG: Duration = Duration::from_secs(15);

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
            None => self.load * ceiling::measure(ground, self.webhooks).await?,
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
        Ok(judge("median", &median))
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
        let crew = ground.crew(name, self.webhooks, &[]).await?;
        let before = Cost::of(ground.node, &crew.host, "", ground.redis).await;
        let outcome = ground.play(&crew, (name, plan), (behaviours, &[]), is_healthy).await?;
        let cost = Cost::of(ground.node, &crew.host, "", ground.redis).await.since(&before);
        ground.end(crew).await?;
        let summary = tell(name, &outcome, is_healthy);
        say(&format!("      {}", cost.per(plan.events())));
        Ok(summary)
    }
}

fn is_healthy(webhook: usize) -> bool {
    webhook.is_multiple_of(2)
}
