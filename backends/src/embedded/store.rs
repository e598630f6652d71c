//! The store on the file.

use std::sync::{Arc, Mutex, PoisonError};

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
use rusqlite::Connection;
use tokio::sync::broadcast;

use crate::store::access::Access;
use crate::store::marks::{Decision, LetterId, Mark};
use crate::store::{
    AttemptRecord, Changes, DeliveryRecord, Health, HistoryQuery, News, Notice, Page, PageRequest, Parked, Parking,
    Recorded, Store, StoreError, Trial,
};

use super::park::{Note, park};
use super::record::{Entry, record};
use super::status::Failure;
use super::{Embedded, callbacks, history, marks, newest, repositories, settled, standing, told, trials, webhooks};

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

impl Embedded {
    pub(super) async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        Ok(self.reader.read(read).await?)
    }

    /// What tells those who listen, once something is durable.
    fn teller(&self) -> impl FnOnce(Notice) + Send + 'static {
        let notices: Arc<Mutex<Option<broadcast::Sender<Notice>>>> = Arc::clone(&self.notices);
        move |notice| {
            if let Some(sender) = &*notices.lock().unwrap_or_else(PoisonError::into_inner) {
                // It fails when nobody listens.
                drop(sender.send(notice));
            }
        }
    }

    /// The same about a webhook that was changed.
    fn announce(&self, id: WebhookId) -> impl FnOnce(Vec<Pattern>) + Send + 'static {
        let tell = self.teller();
        move |patterns| tell(Notice::Webhook { id, patterns })
    }
}

#[async_trait]
impl Store for Embedded {
    async fn put_webhook(&self, webhook: &Webhook) -> Result<(), StoreError> {
        let announce = self.announce(webhook.id.clone());
        let (webhook, keys) = (webhook.clone(), Arc::clone(&self.keys));
        let run = move |file: &Connection| webhooks::put(file, &webhook, &keys);
        self.writer.write(run, move |patterns| announce(patterns.clone())).await?;
        Ok(())
    }

    async fn patch_webhook(
        &self,
        id: &WebhookId,
        patch: &WebhookPatch,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        let announce = self.announce(id.clone());
        let (id, patch, keys) = (id.clone(), patch.clone(), Arc::clone(&self.keys));
        let run = move |file: &Connection| webhooks::patch(file, &id, (&patch, now), &keys);
        let committed = move |patched: &Option<(Webhook, Vec<Pattern>)>| {
            if let Some((_, patterns)) = patched {
                announce(patterns.clone());
            }
        };
        let patched = self.writer.write(run, committed).await?;
        Ok(patched.map(|(webhook, _)| webhook))
    }

    async fn reseal(&self, id: &WebhookId) -> Result<bool, StoreError> {
        let (id, keys) = (id.clone(), Arc::clone(&self.keys));
        Ok(self.writer.write(move |file: &Connection| webhooks::reseal(file, &id, &keys), |_| ()).await?)
    }

    async fn remove_webhook(&self, id: &WebhookId) -> Result<bool, StoreError> {
        let announce = self.announce(id.clone());
        let id = id.clone();
        let run = move |file: &Connection| webhooks::remove(file, &id);
        let committed = move |before: &Option<Pattern>| {
            if let Some(pattern) = before {
                announce(vec![pattern.clone()]);
            }
        };
        Ok(self.writer.write(run, committed).await?.is_some())
    }

    async fn webhook(&self, id: &WebhookId) -> Result<Option<Webhook>, StoreError> {
        let (id, keys) = (id.clone(), Arc::clone(&self.keys));
        self.look(move |file| webhooks::find(file, &id, &keys)).await
    }

    async fn webhooks(&self, page: &PageRequest) -> Result<Page<Webhook>, StoreError> {
        let (page, keys) = (page.clone(), Arc::clone(&self.keys));
        self.look(move |file| webhooks::list(file, &page, &keys)).await
    }

    async fn webhooks_on(&self, pattern: &Pattern) -> Result<Vec<Webhook>, StoreError> {
        let (pattern, keys) = (pattern.clone(), Arc::clone(&self.keys));
        self.look(move |file| webhooks::on(file, &pattern, &keys)).await
    }

    fn changes(&self) -> Changes {
        let notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a closed store: a channel without a sender, which ends at once.
        Changes::new(notices.as_ref().map_or_else(|| broadcast::channel(1).1, broadcast::Sender::subscribe))
    }

    async fn first_seen(
        &self,
        registry: &Registry,
        repository: &Repository,
        candidate: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let names = (registry.clone(), repository.clone());
        let seen = self.look(move |file| repositories::first_seen(file, &names.0, &names.1)).await?;
        if let Some(seen) = seen {
            return Ok(seen);
        }
        let names = (registry.clone(), repository.clone());
        let run = move |file: &Connection| {
            repositories::see(file, &names.0, &names.1, candidate)?;
            repositories::first_seen(file, &names.0, &names.1)
        };
        Ok(self.writer.write(run, |_| ()).await?.unwrap_or(candidate))
    }

    async fn record(&self, attempt: &AttemptRecord) -> Result<Recorded, StoreError> {
        let (entry, kept) = (Entry::new(attempt)?, self.kept.clone());
        let (tell, id) = (self.teller(), attempt.delivery.webhook.clone());
        let committed = move |recorded: &Recorded| {
            if recorded.change.is_some() {
                tell(Notice::Standing { id });
            }
        };
        Ok(self.writer.write(move |file| record(file, &entry, kept.now()), committed).await?)
    }

    async fn settled(&self, attempts: &[AttemptId]) -> Result<Vec<Option<Verdict>>, StoreError> {
        let (attempts, now) = (attempts.to_vec(), self.kept.now());
        self.look(move |file| settled::verdicts(file, &attempts, now)).await
    }

    fn access(&self) -> &dyn Access {
        self
    }

    async fn health(&self, webhook: &WebhookId) -> Result<Health, StoreError> {
        let (webhook, now) = (webhook.clone(), self.kept.now());
        self.look(move |file| standing::health(file, &webhook, now)).await
    }

    async fn park(&self, parking: &Parking) -> Result<Parked, StoreError> {
        let (note, kept) = (Note::new(parking)?, self.kept.clone());
        Ok(self.writer.write(move |file| park(file, &note, kept.now()), |_| ()).await?)
    }

    async fn begin_trial(&self, trial: &Trial) -> Result<bool, StoreError> {
        let (trial, kept) = (trial.clone(), self.kept.clone());
        Ok(self.writer.write(move |file| trials::begin(file, &trial, kept.now()), |_| ()).await?)
    }

    async fn reset_health(&self, webhook: &WebhookId) -> Result<(), StoreError> {
        let (tell, id, webhook) = (self.teller(), webhook.clone(), webhook.clone());
        let committed = move |(): &()| tell(Notice::Standing { id });
        Ok(self.writer.write(move |file| standing::reset(file, &webhook), committed).await?)
    }

    async fn forget_skipped(&self, webhook: &WebhookId) -> Result<(), StoreError> {
        let webhook = webhook.clone();
        Ok(self.writer.write(move |file| standing::forget_skipped(file, &webhook), |()| ()).await?)
    }

    async fn keep_change(&self, webhook: &WebhookId, change: &StandingChange) -> Result<(), StoreError> {
        let (webhook, change) = (webhook.clone(), change.clone());
        Ok(self.writer.write(move |file| standing::keep_change(file, &webhook, &change), |()| ()).await?)
    }

    async fn changes_of(&self, webhook: &WebhookId) -> Result<Vec<StandingChange>, StoreError> {
        let webhook = webhook.clone();
        self.look(move |file| standing::changes(file, &webhook)).await
    }

    async fn newest(
        &self,
        webhook: &WebhookId,
        (registry, repository): (&Registry, &Repository),
        tags: &[Tag],
    ) -> Result<Vec<Option<Order>>, StoreError> {
        let (webhook, registry, repository) = (webhook.clone(), registry.clone(), repository.clone());
        let (tags, now) = (tags.to_vec(), self.kept.now());
        self.look(move |file| newest::of(file, &webhook, (&registry, &repository), &tags, now)).await
    }

    async fn claim_news(&self, delivery: &Delivery, as_of: Timestamp) -> Result<News, StoreError> {
        let (delivery, kept) = (delivery.clone(), self.kept.clone());
        Ok(self.writer.write(move |file| told::claim(file, &delivery, as_of, kept.now()), |_| ()).await?)
    }

    async fn keep_told(&self, delivery: &Delivery, as_of: Timestamp) -> Result<(), StoreError> {
        let (delivery, kept) = (delivery.clone(), self.kept.clone());
        Ok(self.writer.write(move |file| told::keep_told(file, &delivery, as_of, kept.now()), |()| ()).await?)
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Page<DeliveryRecord>, StoreError> {
        let (query, until) = (query.clone(), self.kept.history_until());
        self.look(move |file| history::list(file, &query, until)).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        let (id, until) = (id.clone(), self.kept.history_until());
        self.look(move |file| history::find(file, &id, until)).await
    }

    async fn take_request(&self, id: &DeliveryId) -> Result<Option<u32>, StoreError> {
        let (id, until) = (id.clone(), self.kept.history_until());
        Ok(self.writer.write(move |file| history::take_request(file, &id, until), |_| ()).await?)
    }

    async fn keep_callback(&self, callback: &Callback) -> Result<Callback, StoreError> {
        let (callback, now) = (callback.clone(), self.kept.now());
        Ok(self.writer.write(move |file| callbacks::keep(file, &callback, now), |_| ()).await?)
    }

    async fn callbacks(&self, of: &[CallbackId]) -> Result<Vec<Option<Callback>>, StoreError> {
        let (of, now) = (of.to_vec(), self.kept.now());
        self.look(move |file| callbacks::find(file, &of, now)).await
    }

    async fn mark_dead(&self, letters: &[LetterId], decision: Decision) -> Result<(), StoreError> {
        let (letters, now) = (letters.to_vec(), self.kept.now());
        Ok(self.writer.write(move |file| marks::put(file, &letters, decision, now), |()| ()).await?)
    }

    async fn dead_marks(&self, letters: &[LetterId]) -> Result<Vec<Option<Mark>>, StoreError> {
        let (letters, now) = (letters.to_vec(), self.kept.now());
        self.look(move |file| marks::find(file, &letters, now)).await
    }
}
