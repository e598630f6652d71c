//! Which webhooks there are: a bounded cache over the store, kept fresh by its notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dockbell_backends::Store;
use dockbell_backends::store::{Changes, Notice, StoreError};
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use dockbell_proto::ids::WebhookId;
use dockbell_proto::names::{Registry, Repository};
use dockbell_proto::pattern::Pattern;
use dockbell_proto::webhook::Webhook;
use jiff::Timestamp;
use moka::future::Cache;

/// How many patterns, webhooks and repositories are remembered each; most are one entry without webhooks
/// per repository, of about 200 bytes.
const ENTRIES: u64 = 100_000;
/// How long an entry is believed if no notice comes, however it was missed.
const BELIEVED: Duration = Duration::from_mins(1);

/// Answers which webhooks there are, mostly without asking the store.
#[derive(Debug)]
pub struct Directory {
    store: Arc<dyn Store>,
    by_pattern: Cache<Pattern, Arc<[Arc<Webhook>]>>,
    by_id: Cache<WebhookId, Option<Arc<Webhook>>>,
    first_seen: Cache<(Registry, Repository), Timestamp>,
    notices: AtomicU64,
}

impl Directory {
    /// An empty cache over `store`. It stays fresh only while [`Directory::follow`] runs.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            by_pattern: Cache::builder().max_capacity(ENTRIES).time_to_live(BELIEVED).build(),
            by_id: Cache::builder().max_capacity(ENTRIES).time_to_live(BELIEVED).build(),
            first_seen: Cache::builder().max_capacity(ENTRIES).build(),
            notices: AtomicU64::new(0),
        }
    }

    /// Forgets what `changes` say has changed, until `shutdown`.
    pub async fn follow(self: Arc<Self>, mut changes: Changes, shutdown: Shutdown) -> Result<(), BoxError> {
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                notice = changes.next() => self.forget(notice.ok_or("the store closed its notices")?).await,
            }
        }
    }

    async fn forget(&self, notice: Notice) {
        // Before the entries go: whoever is reading the store meanwhile must not keep what it read.
        self.notices.fetch_add(1, Ordering::AcqRel);
        match notice {
            Notice::Webhook { id, patterns } => {
                self.by_id.invalidate(&id).await;
                for pattern in &patterns {
                    self.by_pattern.invalidate(pattern).await;
                }
            }
            Notice::Standing { .. } => {}
            Notice::Missed => {
                self.by_id.invalidate_all();
                self.by_pattern.invalidate_all();
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
        if let Some(known) = self.by_pattern.get(pattern).await {
            return Ok(known);
        }
        let before = self.notices.load(Ordering::Acquire);
        let webhooks: Arc<[_]> = self.store.webhooks_on(pattern).await?.into_iter().map(Arc::new).collect();
        self.by_pattern.insert(pattern.clone(), Arc::clone(&webhooks)).await;
        if self.notices.load(Ordering::Acquire) != before {
            self.by_pattern.invalidate(pattern).await;
        }
        Ok(webhooks)
    }

    /// The webhook of this id; none if it was removed.
    pub async fn webhook(&self, id: &WebhookId) -> Result<Option<Arc<Webhook>>, StoreError> {
        if let Some(known) = self.by_id.get(id).await {
            return Ok(known);
        }
        let before = self.notices.load(Ordering::Acquire);
        let webhook = self.store.webhook(id).await?.map(Arc::new);
        self.by_id.insert(id.clone(), webhook.clone()).await;
        if self.notices.load(Ordering::Acquire) != before {
            self.by_id.invalidate(id).await;
        }
        Ok(webhook)
    }

    /// When the repository was first seen: at `candidate`, if not before.
    pub async fn first_seen(
        &self,
        registry: &Registry,
        repository: &Repository,
        candidate: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let key = (registry.clone(), repository.clone());
        if let Some(known) = self.first_seen.get(&key).await {
            return Ok(known);
        }
        let seen = self.store.first_seen(registry, repository, candidate).await?;
        self.first_seen.insert(key, seen).await;
        Ok(seen)
    }
}
