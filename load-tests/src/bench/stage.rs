//! Deliverers on a virtual host of their own, over a store that is there: what is measured of them needs no other process.

use dockbell_chassis::lifecycle::BoxError;

use super::stock;
use crate::fleet::{Fleet, amqp_url};
use crate::program::Program;
use crate::trial::Ground;

/// A virtual host, and the deliverers on it.
#[derive(Debug)]
pub(crate) struct Stage {
    host: String,
    /// Of the virtual host, for whoever publishes.
    pub(crate) url: String,
    fleet: Fleet,
    deliverers: Vec<Program>,
}

impl Stage {
    /// Nobody is on it yet. The secrets in the store at `redis_url` are sealed with the key of the bench.
    pub(crate) async fn new(
        ground: &Ground<'_>,
        name: &str,
        redis_url: &str,
        variables: &[(&str, &str)],
    ) -> Result<Self, BoxError> {
        let host = ground.node.virtual_host().await;
        let folder = ground.folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let url = amqp_url(ground.node, &host);
        let mut fleet = Fleet::new(&url, redis_url, &folder)?;
        // Processes run in a folder of their own.
        let keys = std::path::absolute(stock::keys(ground.folder)?)?.display().to_string();
        fleet.set([("DOCKBELL_SECRETS_KEY_FILE", keys.as_str())]);
        fleet.set(variables.iter().copied());
        fleet.set(ground.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Ok(Self { host, url, fleet, deliverers: Vec::new() })
    }

    /// Starts as many deliverers, which may not be ready yet, and returns the ids of their processes.
    pub(crate) async fn start(&mut self, deliverers: usize) -> Result<Vec<u32>, BoxError> {
        let mut ids = Vec::new();
        for _ in 0..deliverers {
            let deliverer = self.fleet.deliverer().await?;
            ids.push(deliverer.id().ok_or("a deliverer has ended")?);
            self.deliverers.push(deliverer);
        }
        Ok(ids)
    }

    /// Returns once all of them are connected to broker and store.
    pub(crate) async fn until_ready(&self) -> Result<(), BoxError> {
        for deliverer in &self.deliverers {
            self.fleet.until_ready(deliverer).await?;
        }
        Ok(())
    }

    /// Ends the deliverers, and removes what they left in the broker.
    pub(crate) async fn end(self, ground: &Ground<'_>) -> Result<(), BoxError> {
        for deliverer in self.deliverers {
            deliverer.kill().await?;
        }
        ground.node.remove_virtual_host(&self.host).await;
        Ok(())
    }
}
