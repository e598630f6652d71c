//! A store that counts what it is asked before an attempt, and that may fail to answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dockbell_backends::embedded::Embedded;
use dockbell_backends::store::access::Access;
use dockbell_backends::store::claims::{Claim, Claimed, Claims, Holder};
use dockbell_backends::store::marks::{Decision, LetterId, Mark};
use dockbell_backends::store::{
    AttemptRecord, Changes, DeliveryRecord, Health, HistoryQuery, News, Page, PageRequest, Parked, Parking, Recorded,
    Store, StoreError, Trial,
};
use dockbell_proto::callback::{Callback, CallbackId};
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::StandingChange;
use dockbell_proto::ids::{AttemptId, DeliveryId, WebhookId};
use dockbell_proto::names::{Registry, Repository, Tag};
use dockbell_proto::order::Order;
use dockbell_proto::outcome::Verdict;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::webhook::{Webhook, WebhookPatch};
use dockbell_testkit::wait;
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
    /// Whether it answers what receivers were told.
    pub(crate) knows_told: AtomicBool,
    /// Whether it answers nothing.
    is_away: AtomicBool,
    /// How often it was asked meanwhile.
    unanswered: AtomicUsize,
    /// Whether the answer to the next record is lost, although the record was made.
    pub(crate) loses_an_answer: AtomicBool,
    /// Whether the next question for earlier verdicts is not answered.
    pub(crate) loses_a_verdict: AtomicBool,
    /// How often it said that somebody else makes an attempt.
    held: AtomicUsize,
    /// Who attempts what, if processes share it.
    claims: Option<Mutex<HashMap<AttemptId, (Holder, Timestamp)>>>,
}

impl Watched {
    pub(crate) fn new(inner: &Arc<Embedded>) -> Arc<Self> {
        Arc::new(Self::with(inner, None))
    }

    /// A store that several processes share.
    pub(crate) fn shared(inner: &Arc<Embedded>) -> Arc<Self> {
        Arc::new(Self::with(inner, Some(Mutex::default())))
    }

    fn with(inner: &Arc<Embedded>, claims: Option<Mutex<HashMap<AttemptId, (Holder, Timestamp)>>>) -> Self {
        let (settled, newest) = (AtomicUsize::default(), AtomicUsize::default());
        Self {
            inner: Arc::clone(inner),
            settled,
            newest,
            knows_newest: AtomicBool::new(true),
            knows_told: AtomicBool::new(true),
            is_away: AtomicBool::new(false),
            loses_an_answer: AtomicBool::new(false),
            loses_a_verdict: AtomicBool::new(false),
            unanswered: AtomicUsize::default(),
            held: AtomicUsize::default(),
            claims,
        }
    }

    /// Answers nothing from now on.
    pub(crate) fn go_away(&self) {
        self.is_away.store(true, Ordering::SeqCst);
    }

    /// Answers again.
    pub(crate) fn come_back(&self) {
        self.is_away.store(false, Ordering::SeqCst);
    }

    /// Waits until it was asked so often without an answer.
    pub(crate) async fn asked_while_away(&self, times: usize) {
        let asked = async || (self.unanswered.load(Ordering::SeqCst) >= times).then_some(());
        wait::until("the store to be asked", asked).await;
    }

    /// Waits until it said so often that somebody else makes an attempt.
    pub(crate) async fn held_off(&self, times: usize) {
        let held = async || (self.held.load(Ordering::SeqCst) >= times).then_some(());
        wait::until("a claim to be refused", held).await;
    }

    fn present(&self) -> Result<&Embedded, StoreError> {
        if self.is_away.load(Ordering::SeqCst) {
            self.unanswered.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError("the store is away".to_owned()));
        }
        Ok(&self.inner)
    }

    /// How often it was asked for earlier verdicts, and for the newest orders.
    pub(crate) fn asked(&self) -> (usize, usize) {
        (self.settled.load(Ordering::SeqCst), self.newest.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Claims for Watched {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError> {
        let settled = self.present()?.settled(std::slice::from_ref(&claim.attempt)).await?;
        if let Some(verdict) = settled.into_iter().flatten().next() {
            return Ok(Claimed::Settled(verdict));
        }
        let mut claims = self.claims.as_ref().unwrap().lock().unwrap();
        let now = SystemClock.now();
        if claims.get(&claim.attempt).is_some_and(|(holder, until)| *holder != claim.holder && *until > now) {
            self.held.fetch_add(1, Ordering::SeqCst);
            return Ok(Claimed::Held);
        }
        claims.insert(claim.attempt.clone(), (claim.holder.clone(), claim.until));
        Ok(Claimed::Ours)
    }
}

#[async_trait]
impl Store for Watched {
    fn access(&self) -> &dyn Access {
        self.inner.access()
    }

    fn claims(&self) -> Option<&dyn Claims> {
        self.claims.is_some().then_some(self)
    }

    async fn settled(&self, attempts: &[AttemptId]) -> Result<Vec<Option<Verdict>>, StoreError> {
        self.settled.fetch_add(1, Ordering::SeqCst);
        if self.loses_a_verdict.swap(false, Ordering::SeqCst) {
            return Err(StoreError("no answer in time".to_owned()));
        }
        self.present()?.settled(attempts).await
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
        self.present()?.newest(webhook, repository, tags).await
    }

    async fn claim_news(&self, delivery: &Delivery, as_of: Timestamp) -> Result<News, StoreError> {
        if !self.knows_told.load(Ordering::SeqCst) {
            return Err(StoreError("the counters are away".to_owned()));
        }
        self.present()?.claim_news(delivery, as_of).await
    }

    async fn keep_told(&self, delivery: &Delivery, as_of: Timestamp) -> Result<(), StoreError> {
        self.present()?.keep_told(delivery, as_of).await
    }

    async fn put_webhook(&self, webhook: &Webhook) -> Result<(), StoreError> {
        self.present()?.put_webhook(webhook).await
    }

    async fn patch_webhook(
        &self,
        id: &WebhookId,
        patch: &WebhookPatch,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        self.present()?.patch_webhook(id, patch, now).await
    }

    async fn reseal(&self, id: &WebhookId) -> Result<bool, StoreError> {
        self.present()?.reseal(id).await
    }

    async fn remove_webhook(&self, id: &WebhookId) -> Result<bool, StoreError> {
        self.present()?.remove_webhook(id).await
    }

    async fn webhook(&self, id: &WebhookId) -> Result<Option<Webhook>, StoreError> {
        self.present()?.webhook(id).await
    }

    async fn webhooks(&self, page: &PageRequest) -> Result<Page<Webhook>, StoreError> {
        self.present()?.webhooks(page).await
    }

    async fn webhooks_on(&self, pattern: &Pattern) -> Result<Vec<Webhook>, StoreError> {
        self.present()?.webhooks_on(pattern).await
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
        self.present()?.first_seen(registry, repository, candidate).await
    }

    async fn record(&self, attempt: &AttemptRecord) -> Result<Recorded, StoreError> {
        let recorded = self.present()?.record(attempt).await?;
        if self.loses_an_answer.swap(false, Ordering::SeqCst) {
            return Err(StoreError("no answer in time".to_owned()));
        }
        Ok(recorded)
    }

    async fn health(&self, webhook: &WebhookId) -> Result<Health, StoreError> {
        self.present()?.health(webhook).await
    }

    async fn park(&self, parking: &Parking) -> Result<Parked, StoreError> {
        self.present()?.park(parking).await
    }

    async fn begin_trial(&self, trial: &Trial) -> Result<bool, StoreError> {
        self.present()?.begin_trial(trial).await
    }

    async fn reset_health(&self, webhook: &WebhookId) -> Result<(), StoreError> {
        self.present()?.reset_health(webhook).await
    }

    async fn forget_skipped(&self, webhook: &WebhookId) -> Result<(), StoreError> {
        self.present()?.forget_skipped(webhook).await
    }

    async fn keep_change(&self, webhook: &WebhookId, change: &StandingChange) -> Result<(), StoreError> {
        self.present()?.keep_change(webhook, change).await
    }

    async fn changes_of(&self, webhook: &WebhookId) -> Result<Vec<StandingChange>, StoreError> {
        self.present()?.changes_of(webhook).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Page<DeliveryRecord>, StoreError> {
        self.present()?.history(query).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        self.present()?.delivery(id).await
    }

    async fn take_request(&self, id: &DeliveryId) -> Result<Option<u32>, StoreError> {
        self.present()?.take_request(id).await
    }

    async fn keep_callback(&self, callback: &Callback) -> Result<Callback, StoreError> {
        self.present()?.keep_callback(callback).await
    }

    async fn callbacks(&self, of: &[CallbackId]) -> Result<Vec<Option<Callback>>, StoreError> {
        if !self.knows_told.load(Ordering::SeqCst) {
            return Err(StoreError("the counters are away".to_owned()));
        }
        self.present()?.callbacks(of).await
    }

    async fn mark_dead(&self, letters: &[LetterId], decision: Decision) -> Result<(), StoreError> {
        self.inner.mark_dead(letters, decision).await
    }

    async fn dead_marks(&self, letters: &[LetterId]) -> Result<Vec<Option<Mark>>, StoreError> {
        self.inner.dead_marks(letters).await
    }
}
