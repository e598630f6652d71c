//! The store on Redis.

use async_trait::async_trait;
use dockbell_proto::callback::{Callback, CallbackId};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::StandingChange;
use dockbell_proto::ids::{AttemptId, DeliveryId, WebhookId};
use dockbell_proto::names::{Registry, Repository, Tag};
use dockbell_proto::order::Order;
use dockbell_proto::outcome::Verdict;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::webhook::{Webhook, WebhookPatch};
use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::store::access::Access;
use crate::store::claims::Claims;
use crate::store::marks::{Decision, LetterId, Mark};
use crate::store::{
    AttemptRecord, Changes, DeliveryRecord, Health, HistoryQuery, News, Page, PageRequest, Parked, Parking, Recorded,
    Store, StoreError, Trial,
};

use super::{RedisStore, record};

#[async_trait]
impl Store for RedisStore {
    async fn put_webhook(&self, webhook: &Webhook) -> Result<(), StoreError> {
        let put = self.webhooks().replace(&webhook.id, |_| Some(webhook.clone())).await?;
        if let Some((_, true)) = put {
            self.counted().revive(&webhook.id).await?;
            self.webhooks().revived(&webhook.id).await?;
        }
        Ok(())
    }

    async fn patch_webhook(
        &self,
        id: &WebhookId,
        patch: &WebhookPatch,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        let patched = self.webhooks().replace(id, |found| found.map(|found| found.patched(patch, now))).await?;
        Ok(patched.map(|(webhook, _)| webhook))
    }

    async fn reseal(&self, id: &WebhookId) -> Result<bool, StoreError> {
        self.webhooks().reseal(id).await
    }

    async fn remove_webhook(&self, id: &WebhookId) -> Result<bool, StoreError> {
        let was_there = self.webhooks().remove(id, self.clock.now()).await?;
        // Also if there was none: the last removal may have ended here.
        self.counted().forget(id).await?;
        Ok(was_there)
    }

    async fn webhook(&self, id: &WebhookId) -> Result<Option<Webhook>, StoreError> {
        self.webhooks().find(id).await
    }

    async fn webhooks(&self, page: &PageRequest) -> Result<Page<Webhook>, StoreError> {
        self.webhooks().list(page).await
    }

    async fn webhooks_on(&self, pattern: &Pattern) -> Result<Vec<Webhook>, StoreError> {
        self.webhooks().on(pattern).await
    }

    fn changes(&self) -> Changes {
        let notices = self.notices();
        // Of a closed store: a channel without a sender, which ends at once.
        Changes::new(notices.as_ref().map_or_else(|| broadcast::channel(1).1, broadcast::Sender::subscribe))
    }

    async fn first_seen(
        &self,
        registry: &Registry,
        repository: &Repository,
        candidate: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        self.webhooks().first_seen(registry, repository, candidate).await
    }

    async fn record(&self, attempt: &AttemptRecord) -> Result<Recorded, StoreError> {
        let weight = 1 + attempt.delivery.content.changes.len();
        let recorded = record::read(&self.records.call(record::tell(attempt)?, weight).await?)?;
        if recorded.change.is_some() {
            self.tell_standing(&attempt.delivery.webhook).await;
        }
        Ok(recorded)
    }

    async fn settled(&self, attempts: &[AttemptId]) -> Result<Vec<Option<Verdict>>, StoreError> {
        self.counted().settled(attempts).await
    }

    fn claims(&self) -> Option<&dyn Claims> {
        Some(self)
    }

    fn access(&self) -> &dyn Access {
        self
    }

    async fn health(&self, webhook: &WebhookId) -> Result<Health, StoreError> {
        self.counted().health(webhook).await
    }

    async fn park(&self, parking: &Parking) -> Result<Parked, StoreError> {
        self.counted().park(parking).await
    }

    async fn begin_trial(&self, trial: &Trial) -> Result<bool, StoreError> {
        self.counted().begin_trial(trial).await
    }

    async fn reset_health(&self, webhook: &WebhookId) -> Result<(), StoreError> {
        self.counted().reset_health(webhook).await?;
        self.tell_standing(webhook).await;
        Ok(())
    }

    async fn forget_skipped(&self, webhook: &WebhookId) -> Result<(), StoreError> {
        self.counted().forget_skipped(webhook).await
    }

    async fn keep_change(&self, webhook: &WebhookId, change: &StandingChange) -> Result<(), StoreError> {
        self.counted().keep_change(webhook, change).await
    }

    async fn changes_of(&self, webhook: &WebhookId) -> Result<Vec<StandingChange>, StoreError> {
        self.counted().changes_of(webhook).await
    }

    async fn newest(
        &self,
        webhook: &WebhookId,
        repository: (&Registry, &Repository),
        tags: &[Tag],
    ) -> Result<Vec<Option<Order>>, StoreError> {
        self.counted().newest(webhook, repository, tags).await
    }

    async fn claim_news(&self, delivery: &Delivery, as_of: Timestamp) -> Result<News, StoreError> {
        self.counted().claim_news(delivery, as_of).await
    }

    async fn keep_told(&self, delivery: &Delivery, as_of: Timestamp) -> Result<(), StoreError> {
        self.counted().keep_told(delivery, as_of).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Page<DeliveryRecord>, StoreError> {
        self.counted().history(query).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        self.counted().delivery(id).await
    }

    async fn take_request(&self, id: &DeliveryId) -> Result<Option<u32>, StoreError> {
        self.counted().take_request(id).await
    }

    async fn keep_callback(&self, callback: &Callback) -> Result<Callback, StoreError> {
        self.counted().keep_callback(callback).await
    }

    async fn callbacks(&self, of: &[CallbackId]) -> Result<Vec<Option<Callback>>, StoreError> {
        self.counted().callbacks(of).await
    }

    async fn mark_dead(&self, letters: &[LetterId], decision: Decision) -> Result<(), StoreError> {
        self.counted().mark_dead(letters, decision).await
    }

    async fn dead_marks(&self, letters: &[LetterId]) -> Result<Vec<Option<Mark>>, StoreError> {
        self.counted().dead_marks(letters).await
    }
}
