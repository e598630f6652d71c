//! The port to settings and counters: webhooks, their health and their history.

pub mod marks;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::broadcast;

use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::{AttemptId, DeliveryId, WebhookId};
use dockbell_proto::names::{Registry, Repository, Tag};
use dockbell_proto::order::Order;
use dockbell_proto::outcome::{DeliveryState, Outcome, Verdict};
use dockbell_proto::pattern::Pattern;
use dockbell_proto::webhook::{Webhook, WebhookPatch};

use self::marks::{Decision, LetterId, Mark};

/// How long the outcome of an attempt is kept for those who ask whether it was already made.
pub const SETTLED_KEPT: Duration = Duration::from_mins(15);
/// How many deliveries of one webhook its history holds.
pub const HISTORY_PER_WEBHOOK: u32 = 50;
/// How long a delivery stays in the history after its last attempt.
pub const HISTORY_KEPT: Duration = Duration::from_hours(72);
/// The most bytes of an answer that the history keeps.
pub const EXCERPT_LIMIT: usize = 1024;
/// The most attempts of one delivery that the history shows; the oldest go first.
pub const ATTEMPTS_SHOWN: u32 = 50;
/// The most entries of one page.
pub const PAGE_LIMIT: u32 = 100;

/// The store cannot answer now. Nothing follows from it for any webhook: *away* is not *empty*.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store is away: {0}")]
pub struct StoreError(pub String);

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page starts; none on the last one.
    pub next: Option<String>,
}

/// Which page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// What [`Page::next`] said; none for the first page. A text that no page said counts as the first.
    pub after: Option<String>,
    /// How many entries; at most [`PAGE_LIMIT`].
    pub limit: u32,
}

/// An attempt as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The delivery as it stood before the attempt; its attempt id makes the record idempotent.
    pub delivery: Delivery,
    /// When the attempt began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What happened.
    pub outcome: Outcome,
    /// What followed.
    pub verdict: Verdict,
    /// The beginning of the answer's body, as text.
    pub excerpt: Option<String>,
}

/// What a record came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Whether this was the first record of the attempt. A second one changes nothing.
    pub is_first: bool,
    /// The webhook's health after it.
    pub health: Health,
}

/// A webhook's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// Failed attempts since the last success, each counted once.
    pub consecutive_failures: u32,
    /// When the first of them was made.
    pub failing_since: Option<Timestamp>,
    /// When an attempt last succeeded.
    pub succeeded_at: Option<Timestamp>,
}

/// A delivery as the history shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// What was delivered, as it stood before its last recorded attempt.
    pub delivery: Delivery,
    /// Where it stands.
    pub state: DeliveryState,
    /// When its first attempt began.
    pub first_at: Timestamp,
    /// When its last attempt began.
    pub last_at: Timestamp,
    /// When its next attempt is due; none unless it is retrying.
    pub next_at: Option<Timestamp>,
    /// Its attempts, oldest first; empty in lists.
    pub attempts: Vec<AttemptEntry>,
}

/// An attempt as the history shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEntry {
    /// The request that asked for it; 0 is the push itself.
    pub request: u32,
    /// Its number within the request, from 1.
    pub ordinal: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What happened.
    pub outcome: Outcome,
    /// What followed.
    pub verdict: Verdict,
    /// The beginning of the answer's body.
    pub excerpt: Option<String>,
}

/// Which deliveries of the history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Of this webhook alone.
    pub webhook: Option<WebhookId>,
    /// In this state alone.
    pub state: Option<DeliveryState>,
    /// Which page, newest first.
    pub page: PageRequest,
}

/// What must be looked up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A webhook was made, changed or removed.
    Webhook {
        /// Its id.
        id: WebhookId,
        /// The patterns it had before and has now.
        patterns: Vec<Pattern>,
    },
    /// Notices were missed: everything must be looked up again.
    Missed,
}

/// The notices of changes, from the moment of subscription on.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<Notice>);

impl Changes {
    /// Wraps an adapter's channel.
    pub fn new(receiver: broadcast::Receiver<Notice>) -> Self {
        Self(receiver)
    }

    /// The next notice; none once the store is closed. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.0.recv().await {
            Ok(notice) => Some(notice),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Notice::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Settings and counters.
///
/// Every write is idempotent, because a write that timed out may have happened.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Makes a webhook, or replaces the one of the same id.
    async fn put_webhook(&self, webhook: &Webhook) -> Result<(), StoreError>;

    /// Changes a webhook, as of `now`, and returns it; none if there is none. Concurrent patches of different
    /// members all take effect.
    async fn patch_webhook(
        &self,
        id: &WebhookId,
        patch: &WebhookPatch,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError>;

    /// Removes a webhook with its health and history; says whether there was one.
    async fn remove_webhook(&self, id: &WebhookId) -> Result<bool, StoreError>;

    /// The webhook of this id.
    async fn webhook(&self, id: &WebhookId) -> Result<Option<Webhook>, StoreError>;

    /// Every webhook, oldest first.
    async fn webhooks(&self, page: &PageRequest) -> Result<Page<Webhook>, StoreError>;

    /// The webhooks set on exactly this pattern, oldest first. What applies to a repository is found by
    /// asking for each of [`Pattern::covering`].
    async fn webhooks_on(&self, pattern: &Pattern) -> Result<Vec<Webhook>, StoreError>;

    /// Notices of every change from now on, made in whichever process.
    fn changes(&self) -> Changes;

    /// When the repository was first seen: `candidate` if it is new, which is then kept.
    async fn first_seen(
        &self,
        registry: &Registry,
        repository: &Repository,
        candidate: Timestamp,
    ) -> Result<Timestamp, StoreError>;

    /// Records an attempt: history, health, settled and newest at once. Repeating a record of the same
    /// attempt id within [`SETTLED_KEPT`] changes nothing.
    async fn record(&self, attempt: &AttemptRecord) -> Result<Recorded, StoreError>;

    /// The verdicts of those attempts that were recorded within [`SETTLED_KEPT`], in the order asked.
    async fn settled(&self, attempts: &[AttemptId]) -> Result<Vec<Option<Verdict>>, StoreError>;

    /// The counters of a webhook; all zero if it has none.
    async fn health(&self, webhook: &WebhookId) -> Result<Health, StoreError>;

    /// Per tag, the latest order of what was delivered to the webhook or waits for it. An older delivery that is
    /// attempted again would take the receiver back, so it ends as superseded.
    async fn newest(
        &self,
        webhook: &WebhookId,
        repository: (&Registry, &Repository),
        tags: &[Tag],
    ) -> Result<Vec<Option<Order>>, StoreError>;

    /// Deliveries, newest first, without their attempts.
    async fn history(&self, query: &HistoryQuery) -> Result<Page<DeliveryRecord>, StoreError>;

    /// One delivery with its attempts.
    async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryRecord>, StoreError>;

    /// Takes the next request number of a recorded delivery, for a redelivery that a person asks for; none
    /// if the delivery is not recorded.
    async fn take_request(&self, id: &DeliveryId) -> Result<Option<u32>, StoreError>;

    /// Notes a decision about up to [`marks::MARKS_AT_ONCE`] dead letters for [`marks::MARKS_KEPT`], in the place of
    /// an earlier one.
    async fn mark_dead(&self, letters: &[LetterId], decision: Decision) -> Result<(), StoreError>;

    /// What was decided about up to [`marks::MARKS_AT_ONCE`] dead letters, in the order asked.
    async fn dead_marks(&self, letters: &[LetterId]) -> Result<Vec<Option<Mark>>, StoreError>;
}
