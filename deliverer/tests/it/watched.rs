//! A store that counts what it is asked before an attempt, and that may fail to answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use dockbell_backends::embedded::Embedded;
use dockbell_backends::store::marks::{Decision, LetterId, Mark};
use dockbell_backends::store::{
    AttemptRecord, Changes, DeliveryRecord, Health, HistoryQuery, Page, PageRequest, Recorded, Store, StoreError,
};
use dockbell_proto::ids::{AttemptId, DeliveryId, WebhookId};
use dockbell_proto::names::{Registry, Repository, Tag};
use dockbell_proto::order::Order;
use dockbell_proto::outcome::Verdict;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::webhook::{Webhook, WebhookPatch};
use jiff::Timestamp;

/// The embedded store, watched.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) inner: Arc<Embedded>,
    /// How often it was asked for earlier verdicts.
    pub(crate) settled: AtomicUsize,
    /// How often it was asked for the newest orders.
    pub(crate) newest: AtomicUsize,
    /// Whether it answers when it is asked for the newest orders.
    pub(crate) knows_newest: AtomicBool,
}

impl Watched {
    pub(crate) fn new(inner: &Arc<Embedded>) -> Arc<Self> {
        let (settled, newest) = (AtomicUsize::default(), AtomicUsize::default());
        Arc::new(Self { inner: Arc::clone(inner), settled, newest, knows_newest: AtomicBool::new(true) })
    }

    /// How often it was asked for earlier verdicts, and for the newest orders.
    pub(crate) fn asked(&self) -> (usize, usize) {
        (self.settled.load(Ordering::SeqCst), self.newest.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Store for Watched {
    async fn settled(&self, attempts: &[AttemptId]) -> Result<Vec<Option<Verdict>>, StoreError> {
        self.settled.fetch_add(1, Ordering::SeqCst);
        self.inner.settled(attempts).await
    }

    async fn newest(
        &self,
        webhook: &WebhookId,
        repository: (&Registry, &Repository),
        tags: &[Tag],
    ) -> Result<Vec<Option<Order>>, StoreError> {
        self.newest.fetch_add(1, Ordering::SeqCst);
        if !self.knows_newest.load(Ordering::SeqCst) {
            return Err(StoreError("the counters are away".to_owned()));
        }
        self.inner.newest(webhook, repository, tags).await
    }

    async fn put_webhook(&self, webhook: &Webhook) -> Result<(), StoreError> {
        self.inner.put_webhook(webhook).await
    }

    async fn patch_webhook(
        &self,
        id: &WebhookId,
        patch: &WebhookPatch,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        self.inner.patch_webhook(id, patch, now).await
    }

    async fn remove_webhook(&self, id: &WebhookId) -> Result<bool, StoreError> {
        self.inner.remove_webhook(id).await
    }

    async fn webhook(&self, id: &WebhookId) -> Result<Option<Webhook>, StoreError> {
        self.inner.webhook(id).await
    }

    async fn webhooks(&self, page: &PageRequest) -> Result<Page<Webhook>, StoreError> {
        self.inner.webhooks(page).await
    }

    async fn webhooks_on(&self, pattern: &Pattern) -> Result<Vec<Webhook>, StoreError> {
        self.inner.webhooks_on(pattern).await
    }

    fn changes(&self) -> Changes {
        self.inner.changes()
    }

    async fn first_seen(
        &self,
        registry: &Registry,
        repository: &Repository,
        candidate: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        self.inner.first_seen(registry, repository, candidate).await
    }

    async fn record(&self, attempt: &AttemptRecord) -> Result<Recorded, StoreError> {
        self.inner.record(attempt).await
    }

    async fn health(&self, webhook: &WebhookId) -> Result<Health, StoreError> {
        self.inner.health(webhook).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Page<DeliveryRecord>, StoreError> {
        self.inner.history(query).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        self.inner.delivery(id).await
    }

    async fn take_request(&self, id: &DeliveryId) -> Result<Option<u32>, StoreError> {
        self.inner.take_request(id).await
    }

    async fn mark_dead(&self, letters: &[LetterId], decision: Decision) -> Result<(), StoreError> {
        self.inner.mark_dead(letters, decision).await
    }

    async fn dead_marks(&self, letters: &[LetterId]) -> Result<Vec<Option<Mark>>, StoreError> {
        self.inner.dead_marks(letters).await
    }
}
