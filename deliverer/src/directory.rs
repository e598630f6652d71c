//! Which webhooks there are and how they fare: a bounded memory over the store, kept fresh by its notices. While
//! the store is away, what was last known stands; what was never known waits.

use std::sync::Arc;

use dockbell_backends::Store;
use dockbell_backends::store::{Changes, Health, Notice, StoreError};
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use dockbell_proto::ids::WebhookId;
use dockbell_proto::names::{Registry, Repository};
use dockbell_proto::pattern::Pattern;
use dockbell_proto::webhook::Webhook;
use jiff::Timestamp;
use quick_cache::sync::Cache;

use crate::remembered::Remembered;

/// How many patterns, webhooks and repositories are remembered each; most are one entry without webhooks
/// per repository, of about 200 bytes.
const ENTRIES: usize = 100_000;

/// Answers which webhooks there are, mostly without asking the store.
#[derive(Debug)]
pub struct Directory {
    store: Arc<dyn Store>,
    by_pattern: Remembered<Pattern, Arc<[Arc<Webhook>]>>,
    by_id: Remembered<WebhookId, Option<Arc<Webhook>>>,
    health: Remembered<WebhookId, Arc<Health>>,
    first_seen: Cache<(Registry, Repository), Timestamp>,
}

impl Directory {
    /// An empty memory over `store`. It stays fresh only while [`Directory::follow`] runs.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            by_pattern: Remembered::new(ENTRIES),
            by_id: Remembered::new(ENTRIES),
            health: Remembered::new(ENTRIES),
            first_seen: Cache::new(ENTRIES),
        }
    }

    /// Doubts what `changes` say has changed, until `shutdown`.
    pub async fn follow(self: Arc<Self>, mut changes: Changes, shutdown: Shutdown) -> Result<(), BoxError> {
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                notice = changes.next() => self.doubt(&notice.ok_or("the store closed its notices")?),
            }
        }
    }

    fn doubt(&self, notice: &Notice) {
        match notice {
            Notice::Webhook { id, patterns } => {
                self.by_id.doubt(id);
                for pattern in patterns {
                    self.by_pattern.doubt(pattern);
                }
            }
            Notice::Standing { id } => self.health.doubt(id),
            Notice::Missed => {
                self.by_id.doubt_all();
                self.by_pattern.doubt_all();
                self.health.doubt_all();
            }
        }
    }

    /// The webhooks set on `repository`, on a namespace above it, or on everything.
    pub async fn webhooks_for(&self, repository: &Repository) -> Result<Vec<Arc<Webhook>>, StoreError> {
        let mut webhooks = Vec::new();
        for pattern in Pattern::covering(repository) {
            webhooks.extend_from_slice(&self.webhooks_on(&pattern).await?);
        }
        Ok(webhooks)
    }

    async fn webhooks_on(&self, pattern: &Pattern) -> Result<Arc<[Arc<Webhook>]>, StoreError> {
        let read = async || Ok(self.store.webhooks_on(pattern).await?.into_iter().map(Arc::new).collect());
        self.by_pattern.get(pattern, read).await
    }

    /// The webhook of this id; none if it was removed.
    pub async fn webhook(&self, id: &WebhookId) -> Result<Option<Arc<Webhook>>, StoreError> {
        let read = async || Ok(self.store.webhook(id).await?.map(Arc::new));
        self.by_id.get(id, read).await
    }

    /// How a webhook fares. Nothing follows for one of which nothing can be known now: it counts as healthy.
    pub async fn health(&self, id: &WebhookId) -> Arc<Health> {
        let read = async || Ok(Arc::new(self.store.health(id).await?));
        self.health.get(id, read).await.unwrap_or_default()
    }

    /// Remembers how a webhook fares, as the store has just said. When the last success was matters to nobody who asks here.
    pub fn learn(&self, id: &WebhookId, health: Health) {
        let is_as_good = |known: &Arc<Health>, now: &Arc<Health>| {
            **known == Health { succeeded_at: known.succeeded_at, ..Health::clone(now) }
        };
        self.health.put_news(id, Arc::new(health), is_as_good);
    }

    /// When the repository was first seen: at `candidate`, if not before.
    pub async fn first_seen(
        &self,
        registry: &Registry,
        repository: &Repository,
        candidate: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let key = (registry.clone(), repository.clone());
        if let Some(known) = self.first_seen.get(&key) {
            return Ok(known);
        }
        let seen = self.store.first_seen(registry, repository, candidate).await?;
        self.first_seen.insert(key, seen);
        Ok(seen)
    }
}
