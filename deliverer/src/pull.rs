//! The deliverer's loop: consumes batches and waiting deliveries, and works on many at once.

mod work;

use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockbell_backends::bus::{Queue, Received};
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use dockbell_proto::policy::RetrySchedule;
use rand::rngs::StdRng;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::attempt::Attempter;
use crate::settle::Settler;
use crate::under_way::UnderWay;

/// How long attempts under way may still take when the deliverer stops. What is not done then comes back
/// after the restart.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

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
    /// When a failed delivery is attempted again.
    pub schedule: RetrySchedule,
    /// Where chance comes from.
    pub rng: Mutex<StdRng>,
    /// Which attempts are under way.
    pub under_way: UnderWay,
}

impl Deliverer {
    /// Works on a queue until `shutdown`, then ends what it has begun. Each queue has its own share of
    /// attempts, so that old trouble never stands before fresh news.
    pub async fn pull(self: Arc<Self>, share: Share, shutdown: Shutdown) -> Result<(), BoxError> {
        let mut consumer = self.settler.bus.consume(share.queue, share.prefetch).await?;
        let permits = Arc::new(Semaphore::new(share.attempts.get().into()));
        let mut working = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => break,
                Some(ended) = working.join_next() => check(ended)?,
                message = consumer.next() => {
                    let message = message.ok_or_else(|| format!("the bus closed the consumer of {}", share.queue.as_str()))?;
                    working.spawn(Arc::clone(&self).work(share.queue, message, Arc::clone(&permits)));
                }
            }
        }
        drop(consumer);
        finish(working, share.queue).await
    }

    async fn work(self: Arc<Self>, queue: Queue, message: Received, permits: Arc<Semaphore>) {
        work::work(&self, queue, message, &permits).await;
    }
}

/// A panic ends the process: its message comes back after the restart, and nothing is half done.
fn check(ended: Result<(), JoinError>) -> Result<(), BoxError> {
    ended.map_err(|error| format!("work on a message ended abnormally: {error}").into())
}

async fn finish(mut working: JoinSet<()>, queue: Queue) -> Result<(), BoxError> {
    let all = async {
        while let Some(ended) = working.join_next().await {
            check(ended)?;
        }
        Ok(())
    };
    timeout(SHUTDOWN_TIME, all).await.unwrap_or_else(|_| {
        tracing::warn!(
            queue = queue.as_str(),
            "attempts under way were broken off; they are made again after the restart"
        );
        Ok(())
    })
}
