//! Fills stores with webhooks, without the API, so that it takes no longer than it must.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::Store as _;
use dockbell_backends::keyring::{Keyring, new_key};
use dockbell_backends::redis::{RedisConfig, RedisStore, RedisTimeouts};
use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::clock::SystemClock;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::names::Registry;
use dockbell_proto::proof::Proofs;
use dockbell_proto::secret::Secret;
use dockbell_proto::signature::SigningSecret;
use dockbell_proto::webhook::{Format, Webhook};
use dockbell_testkit::redis::RedisServer;
use dockbell_testkit::sample;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;

use crate::backlog::REGISTRY;
use crate::program::until;
use crate::trial::Ground;

/// What the names of all keys begin with, as processes have it.
pub(crate) const PREFIX: &str = "dockbell";
/// As many puts at once as make the commits of Redis cheap for each.
const AT_ONCE: usize = 256;
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes the store of the ground one that holds these webhooks and nothing else.
pub(crate) async fn restock(
    ground: &Ground<'_>,
    count: usize,
    webhook: impl Fn(usize) -> Webhook + Send + Sync + 'static,
) -> Result<(), BoxError> {
    ground.redis.run(&["FLUSHALL"]).await;
    let store = open(&ground.redis.url(), Keyring::read(&keys(ground.folder)?)?)?;
    put_all(&store, count, webhook).await?;
    store.close().await;
    Ok(())
}

/// The file with the key that seals the secrets of all stores, which is made if there is none.
pub(crate) fn keys(folder: &Path) -> Result<PathBuf, BoxError> {
    let file = folder.join("keys-of-bench");
    if !file.exists() {
        std::fs::write(&file, new_key())?;
    }
    Ok(file)
}

/// One on all pushes of the generators to `pattern`, in format `batch`, which a number tells apart from others.
pub(crate) fn webhook(number: usize, pattern: &str, url: &str) -> Webhook {
    let mut rng = StdRng::seed_from_u64(u64::try_from(number).unwrap_or_default());
    let id = WebhookId::from_random(rng.random());
    let proofs = Proofs::v1(SigningSecret::from_random(rng.random()));
    // What is of another registry is looked up, and routed to nobody.
    let registry = Registry::parse(REGISTRY).ok();
    Webhook { id, proofs, registry, ..sample::webhook(1, pattern, Format::Batch, url) }
}

/// The memory that Redis has for what it holds, in bytes.
pub(crate) async fn memory(redis: &RedisServer) -> u64 {
    let told = redis.run(&["INFO", "memory"]).await;
    let used = told.lines().find_map(|line| line.trim().strip_prefix("used_memory:"));
    used.and_then(|bytes| bytes.parse().ok()).unwrap_or_default()
}

pub(crate) fn open(url: &str, keys: Keyring) -> Result<Arc<RedisStore>, BoxError> {
    let config = RedisConfig {
        settings_url: Secret::new(url),
        counters_url: Secret::new(url),
        root_certificates: None,
        identity: None,
        prefix: PREFIX.to_owned(),
        accepts_empty: true,
        timeouts: RedisTimeouts { response: PATIENCE, ..RedisTimeouts::default() },
    };
    Ok(Arc::new(RedisStore::start_sealed(&config, Arc::new(SystemClock), Arc::new(keys))?))
}

pub(crate) async fn put_all(
    store: &Arc<RedisStore>,
    count: usize,
    webhook: impl Fn(usize) -> Webhook + Send + Sync + 'static,
) -> Result<(), BoxError> {
    // It connects in the background.
    let first = webhook(0);
    until("a store to be reached", PATIENCE, || async { store.put_webhook(&first).await.ok() }).await?;
    let (webhook, mut putting) = (Arc::new(webhook), JoinSet::new());
    for begin in 0..AT_ONCE {
        let (store, webhook) = (Arc::clone(store), Arc::clone(&webhook));
        putting.spawn(async move {
            for number in (begin..count).step_by(AT_ONCE).filter(|number| *number > 0) {
                store.put_webhook(&webhook(number)).await?;
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(put) = putting.join_next().await {
        put??;
    }
    Ok(())
}
