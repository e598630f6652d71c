//! Names to addresses, each of which the policy has permitted.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dockbell_proto::address::{AddressPolicy, Forbidden};
use dockbell_proto::target::is_localhost;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::names::{LookUpError, look_up};

/// How long a look-up may take.
const BUDGET: Duration = Duration::from_secs(3);
/// How many look-ups are under way at once: each holds a thread for as long as its name servers take.
pub(super) const LOOK_UPS_LIMIT: usize = 64;
/// How many addresses of one name are dialled at most.
const ADDRESSES_LIMIT: usize = 16;

/// A name leads to an address that the policy forbids.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to a forbidden address")]
pub(super) struct ForbiddenName(#[source] Forbidden);

/// Resolves names for connections to one port, or to any port that no exception is limited to.
#[derive(Debug, Clone)]
pub(super) struct VettingResolver {
    policy: Arc<AddressPolicy>,
    port: Option<u16>,
    look_ups: Arc<Semaphore>,
}

impl VettingResolver {
    /// `look_ups` bounds how many are under way, over all resolvers.
    pub(super) fn new(policy: Arc<AddressPolicy>, port: Option<u16>, look_ups: Arc<Semaphore>) -> Self {
        Self { policy, port, look_ups }
    }

    /// One forbidden address refuses the whole name, or a name could hide it behind a permitted one.
    async fn look_up(self, name: String) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
        let addresses = timeout(BUDGET, self.addresses(name)).await.map_err(|_| LookUpError::TimedOut)??;
        for address in &addresses {
            let dialled = SocketAddr::new(address.ip(), self.port.unwrap_or(0));
            self.policy.check(dialled).map_err(ForbiddenName)?;
        }
        // Port 0 makes the client use the port of the URL.
        Ok(Box::new(addresses.into_iter().take(ADDRESSES_LIMIT)))
    }

    async fn addresses(&self, name: String) -> Result<Vec<SocketAddr>, LookUpError> {
        if is_localhost(&name) {
            return Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]);
        }
        let permit = Arc::clone(&self.look_ups).acquire_owned().await.map_err(|_| LookUpError::TimedOut)?;
        let found = spawn_blocking(move || {
            let found = look_up(&name);
            // A look-up cannot be called off, so its thread counts until it is back.
            drop(permit);
            found
        });
        found.await.map_err(|error| LookUpError::NoAnswer(io::Error::other(error)))?
    }
}

impl Resolve for VettingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(self.clone().look_up(name.as_str().to_owned()))
    }
}
