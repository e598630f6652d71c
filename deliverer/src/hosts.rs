//! How many sockets one host gets, whichever webhooks lead to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many attempts are made at once to one host and port.
const PER_HOST: usize = 64;

/// The hosts to which attempts are under way.
#[derive(Debug, Default)]
pub struct Hosts(Mutex<HashMap<String, Arc<Semaphore>>>);

impl Hosts {
    /// Waits for a socket to `host`. Who asks first is served first, so each webhook that keeps one delivery
    /// waiting at a time gets its turn.
    pub async fn socket(&self, host: &str) -> Option<OwnedSemaphorePermit> {
        let sockets = {
            let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(PER_HOST))))
        };
        // It is never closed.
        sockets.acquire_owned().await.ok()
    }

    /// Forgets the hosts that nobody talks to.
    pub fn forget_idle(&self) {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|_, sockets| Arc::strong_count(sockets) > 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_host_has_its_own_sockets_and_no_more() {
        let hosts = Hosts::default();
        let mut held: Vec<_> = std::iter::from_fn(|| hosts.socket("a:443").now_or_never()).collect();
        assert_eq!(held.len(), PER_HOST);
        assert!(hosts.socket("b:443").now_or_never().is_some());
        hosts.forget_idle();
        assert!(hosts.socket("a:443").now_or_never().is_none(), "a host in use is remembered");
        held.clear();
        hosts.forget_idle();
        assert!(hosts.0.lock().unwrap().is_empty());
    }
}
