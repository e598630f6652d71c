//! What the broker and the store use for the work of ours.

use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;

use super::kernel::{Meter, started_with};
use super::stock::memory;
use crate::trial::Ground;

/// What both have used so far.
#[derive(Debug)]
pub(crate) struct Servers {
    broker: Meter,
    store: Meter,
    used: Used,
}

/// What both have used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) broker: Duration,
    pub(crate) store: Duration,
    /// Bytes that the store holds.
    pub(crate) held: u64,
}

impl Servers {
    /// Counts from now on.
    pub(crate) async fn watch(ground: &Ground<'_>) -> Result<Self, BoxError> {
        let broker = started_with("beam.smp", &format!("RABBITMQ_NODE_PORT={}", ground.node.port()));
        let told = ground.redis.run(&["INFO", "server"]).await;
        let store = told.lines().find_map(|line| line.trim().strip_prefix("process_id:")?.parse().ok());
        let (broker, store) = broker.zip(store).ok_or("the processes of the servers are not found")?;
        let (broker, store) = (Meter::new(&[broker]), Meter::new(&[store]));
        let mut servers = Self { broker, store, used: Used::default() };
        servers.used = servers.read(ground).await?;
        Ok(servers)
    }

    /// What they used since then, for each of `events`.
    pub(crate) async fn per(mut self, ground: &Ground<'_>, events: usize) -> Result<Used, BoxError> {
        let now = self.read(ground).await?;
        let (before, times) = (self.used, u32::try_from(events.max(1))?);
        Ok(Used {
            broker: now.broker.saturating_sub(before.broker) / times,
            store: now.store.saturating_sub(before.store) / times,
            held: now.held.saturating_sub(before.held) / u64::from(times),
        })
    }

    async fn read(&mut self, ground: &Ground<'_>) -> Result<Used, BoxError> {
        let (broker, store) = (self.broker.read()?.cpu, self.store.read()?.cpu);
        Ok(Used { broker, store, held: memory(ground.redis).await })
    }
}
