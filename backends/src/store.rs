//! The port to settings and counters: webhooks, their health and their history.

pub mod access;
pub mod claims;
pub mod marks;
pub(crate) mod proofs;
pub(crate) mod secrets;
pub(crate) mod tls;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::broadcast;

use dockbell_proto::callback::{Callback, CallbackId};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::StandingChange;
use dockbell_proto::ids::{AttemptId, DeliveryId, WebhookId};
use dockbell_proto::names::{Registry, Repository, Tag};
use dockbell_proto::order::Order;
use dockbell_proto::outcome::{DeliveryState, Outcome, Verdict};
use dockbell_proto::pattern::Pattern;
use dockbell_proto::policy::Suspension;
use dockbell_proto::webhook::{Webhook, WebhookPatch};

use self::access::Access;
use self::claims::Claims;
use self::marks::{Decision, LetterId, Mark};
pub use dockbell_proto::health::Health;

/// How long the outcome of an attempt is kept for those who ask whether it was already made.
pub const SETTLED_KEPT: Duration = Duration::from_mins(15);
/// How many deliveries of one webhook its history holds at least, if it was owed as many.
pub const HISTORY_PER_WEBHOOK: u32 = 50;
/// How many more it may hold until the oldest are forgotten, several at once.
pub const HISTORY_SLACK: u32 = 10;
/// How long a delivery stays in the history after its last attempt.
pub const HISTORY_KEPT: Duration = Duration::from_hours(72);
/// How many changes of one webhook's standing are kept.
pub const CHANGES_PER_WEBHOOK: u32 = 50;
/// The most bytes of an answer that the history keeps.
pub const EXCERPT_LIMIT: usize = 1024;
/// The most attempts of one delivery that the history shows; the oldest go first.
pub const ATTEMPTS_SHOWN: u32 = 50;
/// How many reports of one webhook's receiver are kept, those that were made last: as many as deliveries may wait for them.
pub const CALLBACKS_PER_WEBHOOK: u32 = 10_000;
/// How long after two deliveries of one tag may have been under way at once nobody is sure which of them a receiver took
/// last: longer than an attempt may last.
pub const UNSURE: Duration = Duration::from_mins(2);
/// How long the digest is remembered that the receiver of a webhook, which wants changes alone, was told of a tag.
pub const TOLD_KEPT: Duration = Duration::from_hours(30 * 24);
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
    /// When the webhook is suspended.
    pub suspension: Suspension,
    /// If the webhook wants changes alone: since when it is as the attempt took it.
    pub told_as_of: Option<Timestamp>,
}

/// What a record came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Whether this was the first record of the attempt. A second one changes nothing.
    pub is_first: bool,
    /// The webhook's health after it.
    pub health: Health,
    /// How its standing changed by it, if it did. Who repeats his own record, because the answer was lost, is told again;
    /// who made a copy of the attempt, at another time, is not.
    pub change: Option<StandingChange>,
}

/// A delivery that waits without having been attempted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parking {
    /// The delivery as it stands before its next attempt.
    pub delivery: Delivery,
    /// When it was parked.
    pub at: Timestamp,
    /// When it is due.
    pub until: Timestamp,
    /// Why it waits, in words.
    pub reason: String,
    /// How many deliveries of its webhook may wait.
    pub limit: u32,
    /// Whether it is not known yet that it will be sent: then it takes the place of no older one.
    pub is_held: bool,
}

/// What became of a delivery that was to be parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parked {
    /// It is among those that wait.
    Waits(Health),
    /// It is not, because the attempt it would wait for was recorded within [`SETTLED_KEPT`]. What followed from that.
    Settled(Verdict),
    /// It is not, because later changes took its place.
    Superseded {
        /// The latest of them.
        by: Order,
    },
    /// It is not, because as many wait as may.
    Full(Health),
}

/// An attempt of a webhook that is not healthy, which only a few may make at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The webhook.
    pub webhook: WebhookId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Until when it counts as under way, if it is not recorded before: longer than an attempt can take.
    pub until: Timestamp,
    /// How many are made at once while the webhook recovers. While it is suspended, it is one.
    pub trickle: u32,
}

/// What a delivery says to a receiver that wants changes alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Something new, or something of which it is not sure that the receiver knows it.
    New,
    /// What the receiver was last told of each of its tags.
    Known,
    /// What is older than that, of each of its tags.
    Old {
        /// The latest of what the receiver was told or withheld.
        by: Order,
    },
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
    /// When its next attempt is due; none unless it waits.
    pub next_at: Option<Timestamp>,
    /// Why it waits without having been attempted; none unless it is parked.
    pub parked_because: Option<String>,
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
    /// The standing of a webhook changed.
    Standing {
        /// Its id.
        id: WebhookId,
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

    /// Seals the secrets of a webhook under the key that seals now, unless they are, and changes nothing else of it. Says
    /// whether it had to; not if there is no such webhook.
    async fn reseal(&self, id: &WebhookId) -> Result<bool, StoreError>;

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

    /// Records an attempt: history, health, standing, settled, newest, and whether the delivery waits, at once.
    /// Repeating a record of the same attempt id within [`SETTLED_KEPT`] changes nothing, and tells who repeats his own
    /// record how the standing changed by it. What an outcome counts for
    /// is as [`Health::count`] says; a change of the standing is kept with its reason, and told as
    /// [`Notice::Standing`]. A retry does not wait, if a later attempt of the same request is settled already.
    async fn record(&self, attempt: &AttemptRecord) -> Result<Recorded, StoreError>;

    /// The verdicts of those attempts that were recorded within [`SETTLED_KEPT`], in the order asked.
    async fn settled(&self, attempts: &[AttemptId]) -> Result<Vec<Option<Verdict>>, StoreError>;

    /// How copies of an attempt are kept apart that other processes may have. None, if a single process at a time can
    /// open the store: that knows by itself what it has under way.
    fn claims(&self) -> Option<&dyn Claims> {
        None
    }

    /// Tokens, and the audit trail.
    fn access(&self) -> &dyn Access;

    /// The counters of a webhook; all zero if it has none.
    async fn health(&self, webhook: &WebhookId) -> Result<Health, StoreError>;

    /// Takes note of a delivery that waits without having been attempted: in the history, among those that wait,
    /// and, unless it is [`Parking::is_held`], as newest of its tags, unless each of them has a later change already (what a
    /// person asked for waits all the same), or too many wait. A delivery that is among those that wait already never finds them too many.
    /// Of a webhook that was removed nothing is noted, and nothing of an attempt that is settled.
    async fn park(&self, parking: &Parking) -> Result<Parked, StoreError>;

    /// Whether an attempt may be made of a webhook that is not healthy. It may, if fewer than its standing allows
    /// are under way: one while it is suspended and the time is over, [`Trial::trickle`] while it recovers, any
    /// number when it is healthy, none while it is suspended and the time is not over. The attempt then counts as
    /// under way until it is recorded or its time is over. Repeating the question for the same attempt is answered
    /// in the same way.
    async fn begin_trial(&self, trial: &Trial) -> Result<bool, StoreError>;

    /// Makes the webhook healthy and forgets its failures, as of `now`: a person has mended it. What waits goes
    /// on waiting. Told as [`Notice::Standing`].
    async fn reset_health(&self, webhook: &WebhookId) -> Result<(), StoreError>;

    /// Sets the count of skipped deliveries back to none.
    async fn forget_skipped(&self, webhook: &WebhookId) -> Result<(), StoreError>;

    /// Keeps a change of standing that no record made: somebody or the policy disabled or enabled the webhook.
    async fn keep_change(&self, webhook: &WebhookId, change: &StandingChange) -> Result<(), StoreError>;

    /// The latest changes of a webhook's standing, newest first, at most [`CHANGES_PER_WEBHOOK`].
    async fn changes_of(&self, webhook: &WebhookId) -> Result<Vec<StandingChange>, StoreError>;

    /// Per tag, the latest order of what was delivered to the webhook or waits for it. An older delivery that is
    /// attempted again would take the receiver back, so it ends as superseded.
    async fn newest(
        &self,
        webhook: &WebhookId,
        repository: (&Registry, &Repository),
        tags: &[Tag],
    ) -> Result<Vec<Option<Order>>, StoreError>;

    /// Says what a delivery is to a receiver that wants changes alone, by what [`Store::keep_told`] kept of its tags
    /// within [`TOLD_KEPT`], as of the same change of its webhook. If it is new, nothing is known of its tags until it was
    /// told, nor for [`UNSURE`], if another one may be under way: whoever asks meanwhile, with whichever digest, is told
    /// *new* too. If it is known, older deliveries are old from then on. What a person asked for is always new.
    async fn claim_news(&self, delivery: &Delivery, as_of: Timestamp) -> Result<News, StoreError>;

    /// Keeps that the receiver was told of this delivery. Where a later one was told or withheld, nobody knows what the
    /// receiver has: nothing is known of that tag then. Of a webhook that was removed nothing is kept.
    async fn keep_told(&self, delivery: &Delivery, as_of: Timestamp) -> Result<(), StoreError>;

    /// Deliveries, newest first, without their attempts.
    async fn history(&self, query: &HistoryQuery) -> Result<Page<DeliveryRecord>, StoreError>;

    /// One delivery with its attempts.
    async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryRecord>, StoreError>;

    /// Takes the next request number of a recorded delivery, for a redelivery that a person asks for; none
    /// if the delivery is not recorded.
    async fn take_request(&self, id: &DeliveryId) -> Result<Option<u32>, StoreError>;

    /// Keeps what a receiver reported until it expires, and returns what stands: the first report of its id, which no
    /// later one changes. The delivery need not be recorded: its receiver may be faster than who sent it. Of a webhook
    /// that was removed nothing is kept, and of one at most [`CALLBACKS_PER_WEBHOOK`].
    async fn keep_callback(&self, callback: &Callback) -> Result<Callback, StoreError>;

    /// What was reported, in the order asked.
    async fn callbacks(&self, of: &[CallbackId]) -> Result<Vec<Option<Callback>>, StoreError>;

    /// Notes a decision about up to [`marks::MARKS_AT_ONCE`] dead letters for [`marks::MARKS_KEPT`], in the place of
    /// an earlier one.
    async fn mark_dead(&self, letters: &[LetterId], decision: Decision) -> Result<(), StoreError>;

    /// What was decided about up to [`marks::MARKS_AT_ONCE`] dead letters, in the order asked.
    async fn dead_marks(&self, letters: &[LetterId]) -> Result<Vec<Option<Mark>>, StoreError>;
}
