//! What a deliverer has in memory after it went through more repositories than it remembers, and how late the first delivery of a
//! repository is that it does not know.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::bus::Queue;
use dockbell_chassis::lifecycle::BoxError;
use hdrhistogram::Histogram;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Instant, timeout};

use super::kernel::resident;
use super::many::Many;
use super::results::{Results, mib, ms};
use super::stage::Stage;
use crate::goals::Goal;
use crate::sink::{Observe, Post, TAG};
use crate::trial::Ground;
use crate::{backlog, flood};

/// More than the deliverer remembers, which is 100,000.
const REPOSITORIES: usize = 120_000;
/// First deliveries whose latency is measured, one after the other.
const FIRST: usize = 400;
/// What memory may grow by from once that many repositories to twice as many.
const GROWTH: f64 = 1.15;
const PATIENCE: Duration = Duration::from_mins(2);

/// Tells that a POST arrived.
#[derive(Debug)]
struct Arrived(Sender<Instant>);

/// Measures on one deliverer, one after the other.
pub(crate) async fn measure(ground: &Ground<'_>, many: &Many, results: &mut Results) -> Result<(), BoxError> {
    let name = results.begin("many-lookups");
    let mut stage = Stage::new(ground, &name, &many.redis.url(), &[]).await?;
    let process = *stage.start(1).await?.first().ok_or("no deliverer")?;
    stage.until_ready().await?;
    let (sender, mut arrivals) = channel(1);
    ground.sink.tell(vec![Arc::new(Arrived(sender))]);
    ground.sink.behave(Vec::new());
    let bus = backlog::connect(&stage.url, NonZeroU16::MIN)?;
    let mut next = async |number: usize, round: &str| {
        // What an earlier pass delivered would not be delivered again: the store is the same.
        let batch = backlog::batch(&(format!("{TAG}{number}.{name}.{round}"), many.measured(number)));
        let began = Instant::now();
        backlog::until_published(&bus, Queue::Deliveries, batch).await;
        let arrived = timeout(PATIENCE, arrivals.recv()).await.map_err(|_| "a delivery did not arrive")?;
        Ok::<_, BoxError>(arrived.ok_or("the sink closed")?.saturating_duration_since(began))
    };
    // Connections are made, and what is looked up once is.
    next(FIRST, "0").await?;
    let (mut new, mut known) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    for (took, round) in [(&mut new, "1"), (&mut known, "2")] {
        for number in 0..FIRST {
            took.record(u64::try_from(next(number, round).await?.as_micros())?)?;
        }
    }
    for (what, took) in [("a repository that is not remembered", &new), ("one that is", &known)] {
        let at = |quantile| ms(Duration::from_micros(took.value_at_quantile(quantile)));
        results.add(&format!("delivery of {what}: median"), (at(0.5), "ms"), Goal::None);
        results.add(&format!("delivery of {what}: p99"), (at(0.99), "ms"), Goal::None);
    }
    let mut memory = Vec::new();
    for round in 0..2 {
        let first = round * REPOSITORIES;
        let webhooks = many.webhooks;
        let batch =
            move |number| backlog::foreign_batch(&("looked-up".to_owned(), flood::name((first + number) % webhooks)));
        backlog::publish_batches((&stage.url, NonZeroU16::MIN), REPOSITORIES, batch).await?;
        // It comes after all of them.
        next(FIRST, &format!("memory-{round}")).await?;
        memory.push(resident(process)?);
        results.tell(&format!("{:.0} MiB after {} repositories", mib(resident(process)?), first + REPOSITORIES));
    }
    bus.close().await;
    stage.end(ground).await?;
    let [once, twice] = <[_; 2]>::try_from(memory).map_err(|_| "two rounds")?;
    let after = |rounds: usize| format!("deliverer: memory after {} repositories", rounds * REPOSITORIES);
    results.add(&after(1), (mib(once), "MiB"), Goal::None);
    results.add(
        &format!("{}, to that after half as many", after(2)),
        (mib(twice) / mib(once), "×"),
        Goal::AtMost(GROWTH),
    );
    Ok(())
}

impl Observe for Arrived {
    fn note(&self, post: &Post<'_>) {
        // There is one at a time.
        self.0.try_send(post.at).ok();
    }
}
