//! Stores on a Redis of their own to test.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dockbell_backends::redis::{RedisConfig, RedisStore, RedisTimeouts};
use dockbell_backends::store::Store;
use dockbell_proto::clock::Clock;
use dockbell_proto::secret::Secret;
use dockbell_testkit::clock::ManualClock;
use dockbell_testkit::conformance::store::StoreHarness;
use dockbell_testkit::redis::RedisServer;
use jiff::Timestamp;

use crate::harness::clock;

pub(crate) fn config(server: &RedisServer) -> RedisConfig {
    RedisConfig {
        settings_url: Secret::new(server.url()),
        counters_url: Secret::new(server.url()),
        root_certificates: None,
        prefix: "dockbell".to_owned(),
        timeouts: RedisTimeouts::default(),
    }
}

pub(crate) async fn open(server: &RedisServer) -> RedisStore {
    RedisStore::open(&config(server), clock()).await.unwrap()
}

/// Two stores on one server, as two processes have them.
pub(crate) struct RedisStores {
    _server: RedisServer,
    clock: Arc<ManualClock>,
    stores: (Arc<RedisStore>, Arc<RedisStore>),
}

impl RedisStores {
    pub(crate) async fn open() -> Self {
        let (server, clock) = (RedisServer::start().await, clock());
        let config = config(&server);
        let open = || RedisStore::open(&config, Arc::<ManualClock>::clone(&clock));
        let stores = (Arc::new(open().await.unwrap()), Arc::new(open().await.unwrap()));
        Self { _server: server, clock, stores }
    }
}

#[async_trait]
impl StoreHarness for RedisStores {
    fn stores(&self) -> (Arc<dyn Store>, Arc<dyn Store>) {
        (Arc::<RedisStore>::clone(&self.stores.0), Arc::<RedisStore>::clone(&self.stores.1))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}
