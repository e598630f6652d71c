//! How many sockets one host gets, whichever webhooks lead to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::pool::Pool;

/// How many attempts are made at once to one host and port. A webhook that is alone there gets half of them, which is
/// as wide as a lane becomes.
const PER_HOST: usize = 128;

/// The hosts to which attempts are under way.
#[derive(Debug, Default)]
pub struct Hosts(Mutex<HashMap<String, Arc<Pool>>>);

impl Hosts {
    /// The sockets of a host and port.
    pub fn of(&self, host: &str) -> Arc<Pool> {
        Arc::clone(self.lock().entry(host.to_owned()).or_insert_with(|| Pool::new(PER_HOST)))
    }

    /// Forgets the hosts that nobody talks to.
    pub fn forget_idle(&self) {
        self.lock().retain(|_, sockets| Arc::strong_count(sockets) > 1);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Pool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use dockbell_proto::ids::WebhookId;

    use super::*;

    #[test]
    fn a_host_is_remembered_while_somebody_talks_to_it() {
        let hosts = Hosts::default();
        let held = hosts.of("a:443").try_take(&WebhookId::from_random([1; 16])).expect("a socket");
        let other = hosts.of("b:443");
        hosts.forget_idle();
        assert_eq!(hosts.lock().len(), 2);
        drop((held, other));
        hosts.forget_idle();
        assert!(hosts.lock().is_empty());
    }
}
