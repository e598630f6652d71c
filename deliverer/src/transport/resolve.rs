//! Names to addresses, each of which the policy has permitted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dockbell_proto::address::{AddressPolicy, Forbidden};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::timeout;

/// How long a look-up may take.
const BUDGET: Duration = Duration::from_secs(3);
/// How many addresses of one name are dialled at most.
const ADDRESSES_LIMIT: usize = 16;

/// A name leads to an address that the policy forbids.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to a forbidden address")]
pub(super) struct ForbiddenName(#[source] Forbidden);

/// A name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookUpError {
    #[error("the name could not be looked up")]
    Failed(#[source] std::io::Error),
    #[error("the name was not looked up in time")]
    TimedOut,
}

/// Resolves names for connections to one port, or to any port that no exception is limited to.
#[derive(Debug, Clone)]
pub(super) struct VettingResolver {
    policy: Arc<AddressPolicy>,
    port: Option<u16>,
}

impl VettingResolver {
    pub(super) fn new(policy: Arc<AddressPolicy>, port: Option<u16>) -> Self {
        Self { policy, port }
    }

    /// One forbidden address refuses the whole name, or a name could hide it behind a permitted one.
    async fn look_up(self, name: String) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
        let found = timeout(BUDGET, tokio::net::lookup_host((name, 0))).await.map_err(|_| LookUpError::TimedOut)?;
        let addresses: Vec<SocketAddr> = found.map_err(LookUpError::Failed)?.collect();
        for address in &addresses {
            let dialled = SocketAddr::new(address.ip(), self.port.unwrap_or(0));
            self.policy.check(dialled).map_err(ForbiddenName)?;
        }
        // Port 0 makes the client use the port of the URL.
        Ok(Box::new(addresses.into_iter().take(ADDRESSES_LIMIT)))
    }
}

impl Resolve for VettingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(self.clone().look_up(name.as_str().to_owned()))
    }
}
