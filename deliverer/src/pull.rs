//! The deliverer's loop: consumes batches and waiting deliveries, and works on many at once.

mod chain;
mod claim;
mod instead;
mod verdict;
mod wanted;
mod way;
mod work;

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::bus::{Consumer, Queue, Received};
use dockbell_backends::store::claims::Holder;
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{interval, timeout};

use crate::attempt::Attempter;
use crate::chance::Chance;
use crate::fleet::Fleet;
use crate::hosts::Hosts;
use crate::lane::{Kind, Lanes};
use crate::pool::Pool;
use crate::settle::Settler;
use crate::under_way::UnderWay;

pub use claim::Silence;

/// How long an attempt may take beyond its own deadline when the deliverer stops, to be recorded and settled. What
/// is not done then comes back after the restart.
const SETTLING_TIME: Duration = Duration::from_millis(1_500);
/// How often lanes and hosts that nobody uses are forgotten.
const TIDIED_EVERY: Duration = Duration::from_mins(1);

/// How much of a queue is worked on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The queue.
    pub queue: Queue,
    /// How many messages are taken from it and not settled.
    pub prefetch: NonZeroU16,
    /// How many attempts are made at once.
    pub attempts: NonZeroU16,
}

/// The deliverer.
#[derive(Debug)]
pub struct Deliverer {
    /// Makes attempts.
    pub attempter: Attempter,
    /// Records and carries out what follows from them.
    pub settler: Settler,
    /// Each webhook's share of what is attempted at once.
    pub lanes: Lanes,
    /// Each host's sockets.
    pub hosts: Hosts,
    /// Whether anybody can be reached at all.
    pub fleet: Fleet,
    /// Where chance comes from.
    pub chance: Chance,
    /// Which attempts are under way.
    pub under_way: UnderWay,
    /// Who this is to others who share the store.
    pub holder: Holder,
    /// Whether the store answers who claims attempts.
    pub silence: Silence,
}

/// What a message is worked on with.
#[derive(Debug, Clone)]
struct Surroundings {
    queue: Queue,
    /// The deliveries of the queue that may be held at once, unsettled.
    places: Arc<Pool>,
    /// The attempts that may be made at once of what comes from the queue.
    permits: Arc<Pool>,
    /// Once it is requested, no further attempt begins.
    shutdown: Shutdown,
}

impl Surroundings {
    fn kind(&self) -> Kind {
        if self.queue == Queue::Redeliveries { Kind::Waited } else { Kind::Fresh }
    }
}

impl Deliverer {
    /// Works on a queue until `shutdown`, then ends what it has begun. Each queue has its own share of
    /// attempts, so that old trouble never stands before fresh news.
    pub async fn pull(self: Arc<Self>, share: Share, shutdown: Shutdown) -> Result<(), BoxError> {
        let mut consumer = self.settler.bus.consume(share.queue, share.prefetch).await?;
        let (places, permits) = (Pool::new(share.prefetch.get().into()), Pool::new(share.attempts.get().into()));
        let surroundings = Surroundings { queue: share.queue, places, permits, shutdown: shutdown.clone() };
        let mut working = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => break,
                Some(ended) = working.join_next() => check(ended)?,
                message = self.next(&mut consumer) => {
                    let message = message.ok_or_else(|| format!("the bus closed the consumer of {}", share.queue.as_str()))?;
                    // Boxed, the task is small: its allocation is aligned to a cache line, which costs more the larger it is.
                    working.spawn(Box::pin(Arc::clone(&self).work(message, surroundings.clone())));
                }
            }
        }
        drop(consumer);
        self.finish(working, share.queue).await
    }

    /// The next message; none is taken while there is nobody who could be reached.
    async fn next(&self, consumer: &mut Consumer) -> Option<Received> {
        self.fleet.ready().await;
        consumer.next().await
    }

    async fn work(self: Arc<Self>, message: Received, surroundings: Surroundings) {
        work::work(&self, message, &surroundings).await;
    }

    async fn finish(&self, mut working: JoinSet<()>, queue: Queue) -> Result<(), BoxError> {
        let all = async {
            while let Some(ended) = working.join_next().await {
                check(ended)?;
            }
            Ok(())
        };
        let time = self.attempter.transport.deadlines().total + SETTLING_TIME;
        timeout(time, all).await.unwrap_or_else(|_| {
            tracing::warn!(
                queue = queue.as_str(),
                "attempts under way were broken off; they are made again after the restart"
            );
            Ok(())
        })
    }

    /// Records what could not be recorded when it happened, until `shutdown`.
    pub async fn catch_up(self: Arc<Self>, shutdown: Shutdown) -> Result<(), BoxError> {
        tokio::select! {
            () = shutdown.requested() => {}
            () = self.settler.catch_up() => {}
        }
        self.settler.catch_up_in_time(SETTLING_TIME).await;
        Ok(())
    }

    /// Forgets what nobody uses, until `shutdown`.
    pub async fn tidy(self: Arc<Self>, shutdown: Shutdown) -> Result<(), BoxError> {
        let mut ticks = interval(TIDIED_EVERY);
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                _ = ticks.tick() => {
                    self.lanes.forget_idle();
                    self.hosts.forget_idle();
                }
            }
        }
    }
}

/// A panic ends the process: its message comes back after the restart, and nothing is half done.
fn check(ended: Result<(), JoinError>) -> Result<(), BoxError> {
    ended.map_err(|error| format!("work on a message ended abnormally: {error}").into())
}
