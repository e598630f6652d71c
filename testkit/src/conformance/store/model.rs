//! Random schedules of attempts, on a store and on the pure model of a webhook side by side.
//!
//! It is no rule of its own: it looks for what the rules have not thought of. The caller makes up the schedules.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::store::{
    AttemptRecord, CHANGES_PER_WEBHOOK, Health, Parked, Parking, Recorded, SETTLED_KEPT, Store, StoreError, Trial,
};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::{Counted, Standing, StandingChange};
use dockbell_proto::ids::{AttemptId, DeliveryId, WebhookId};
use dockbell_proto::outcome::{Fault, Outcome, Verdict};
use dockbell_proto::policy::Suspension;
use dockbell_proto::webhook::{Format, Webhook};
use jiff::Timestamp;

use super::{StoreHarness, delivered, delivery, failed, given_up};
use crate::{sample, wait};

/// How many deliveries are owed at a time.
pub const PLACES: u8 = 6;
/// How many of them may wait.
const WAITING: u32 = 4;
/// The unit of [`Step::Wait`]. Nothing that is kept for a time ends at a multiple of it, where adapters may differ.
const PAUSE: Duration = Duration::from_secs(7);

/// What happens to a webhook. A place is below [`PLACES`]; the delivery in it is followed by another one when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Time passes: so many times seven seconds.
    Wait(u8),
    /// The next attempt of a delivery is recorded; it began so many seconds ago.
    Attempt(u8, Answer, u8),
    /// The record that was made so many records ago is made again, unless it is too old to be known.
    Repeat(u8),
    /// A delivery is parked.
    Park(u8),
    /// Somebody asks whether the next attempt of a delivery may be made, unless the webhook is healthy.
    Begin(u8),
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The receiver accepted it.
    Accepted,
    /// The receiver refused it, and it is made again.
    Failed,
    /// The receiver did not answer, and it is given up.
    GivenUp,
    /// Our own side hindered it, and it is made again.
    Hindered,
    /// It was not made, because the webhook was disabled.
    Skipped,
}

/// What happens to one webhook.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Tells its webhook apart from those of other schedules on the same store.
    pub number: u64,
    /// When it is suspended.
    pub suspension: Suspension,
    /// What happens, one after the other, now over one store and now over the other.
    pub steps: Vec<Step>,
}

/// Runs a schedule, compares after every step, and returns how the standing changed. A call that fails is made again
/// until it succeeds, as after an answer that was lost.
pub async fn the_store_counts_as_the_model_does(
    harness: &mut dyn StoreHarness,
    schedule: &Schedule,
) -> Vec<StandingChange> {
    let (store, other) = harness.stores();
    let mut model = Model::new(schedule);
    let put = || store.put_webhook(&model.webhook);
    called("a webhook", put).await;
    for (step, place) in schedule.steps.iter().zip(0..) {
        let store = if place % 2 == 0 { &store } else { &other };
        model.now = harness.now();
        match *step {
            Step::Wait(times) => harness.advance(PAUSE * u32::from(times)).await,
            Step::Attempt(place, answer, late) => model.attempt(store, place, answer, late).await,
            Step::Repeat(back) => model.repeat(store, back).await,
            Step::Park(place) => model.park(store, place).await,
            Step::Begin(place) => model.begin(store, place).await,
        }
    }
    let (id, mut changes) = (&model.webhook.id, model.changes);
    let health = called("health", || other.health(id)).await.0;
    assert_eq!(health, model.health, "at the end of {schedule:?}");
    changes.reverse();
    let kept = called("changes", || store.changes_of(id)).await.0;
    let shown = changes.iter().take(usize::try_from(CHANGES_PER_WEBHOOK).expect("a few"));
    assert!(kept.iter().eq(shown), "at the end of {schedule:?}: {kept:?}, not {changes:?}");
    called("a removal", || store.remove_webhook(id)).await;
    changes
}

/// The answer to a call, and whether it is the first one's.
async fn called<T: Debug, F: Future<Output = Result<T, StoreError>>>(what: &str, call: impl Fn() -> F) -> (T, bool) {
    match call().await {
        Ok(answer) => (answer, true),
        Err(_) => (wait::until(what, || async { call().await.ok() }).await, false),
    }
}

struct Model {
    webhook: Webhook,
    suspension: Suspension,
    now: Timestamp,
    health: Health,
    changes: Vec<StandingChange>,
    /// What is owed in each place.
    owed: Vec<Delivery>,
    made: u32,
    waiting: BTreeSet<DeliveryId>,
    under_way: Vec<(AttemptId, Timestamp)>,
    /// With when they were made, and how many changes of the standing there were then, if they made one.
    records: Vec<(AttemptRecord, Timestamp, Option<usize>)>,
}

impl Model {
    fn new(schedule: &Schedule) -> Self {
        let id = (u128::from(schedule.number) << 64).to_be_bytes();
        let like = sample::webhook(1, "team/app", Format::Dockerhub, "https://receiver.test/hook");
        let mut model = Self {
            webhook: Webhook { id: WebhookId::from_random(id), ..like },
            suspension: schedule.suspension,
            now: sample::moment(),
            health: Health::default(),
            changes: Vec::new(),
            owed: Vec::new(),
            made: 0,
            waiting: BTreeSet::new(),
            under_way: Vec::new(),
            records: Vec::new(),
        };
        model.owed = (0..PLACES).map(|_| model.next_delivery()).collect();
        model
    }

    /// Of a tag of its own, so that none takes the place of another.
    fn next_delivery(&mut self) -> Delivery {
        self.made += 1;
        delivery(&self.webhook, &format!("b{}", self.made), &format!("v{}", self.made))
    }

    fn owed(&mut self, place: u8) -> &mut Delivery {
        self.owed.get_mut(usize::from(place)).expect("a place below PLACES")
    }

    async fn attempt(&mut self, store: &Arc<dyn Store>, place: u8, answer: Answer, late: u8) {
        let owed = self.owed(place).clone();
        let attempt = made(&owed, answer, self.now - Duration::from_secs(late.into()), self.suspension);
        let next = match attempt.verdict {
            Verdict::Retry { at } => owed.retried(at),
            _ => self.next_delivery(),
        };
        *self.owed(place) = next;
        let change = self.count(&attempt);
        let changed = change.is_some().then_some(self.changes.len());
        let (recorded, is_sure) = called("a record", || store.record(&attempt)).await;
        // When the first answer was lost, the second one may be that of a repetition, which tells the change again.
        let is_first = is_sure || recorded.is_first;
        assert_eq!(recorded, Recorded { is_first, health: self.health.clone(), change }, "{attempt:?}");
        self.records.push((attempt, self.now, changed));
    }

    fn count(&mut self, attempt: &AttemptRecord) -> Option<StandingChange> {
        let AttemptRecord { delivery, at, outcome, verdict, suspension, .. } = attempt;
        let before = self.health.clone();
        let is_accepted = matches!(outcome, Outcome::Accepted { .. });
        if is_accepted || outcome.fault() == Fault::Receiver {
            self.health.count(Counted { delivery: &delivery.id, at: *at, is_accepted }, suspension, self.now);
        }
        match verdict {
            Verdict::Retry { .. } => self.waiting.insert(delivery.id.clone()),
            _ => self.waiting.remove(&delivery.id),
        };
        self.health.waiting = u32::try_from(self.waiting.len()).expect("a few");
        self.health.skipped += u32::from(matches!(verdict, Verdict::Skipped { .. }));
        self.under_way.retain(|(attempt, _)| *attempt != delivery.attempt_id());
        let change = self.health.change_since(&before, self.now);
        self.changes.extend(change.clone());
        change
    }

    async fn repeat(&mut self, store: &Arc<dyn Store>, back: u8) {
        let known = self.records.iter().rev().nth(back.into());
        let Some((attempt, at, changed)) = known.filter(|(_, at, _)| *at + SETTLED_KEPT > self.now) else { return };
        let (recorded, _) = called("a repeated record", || store.record(attempt)).await;
        let kept = usize::try_from(CHANGES_PER_WEBHOOK).expect("a few");
        let is_kept = |changed: &usize| changed + kept > self.changes.len();
        let change = changed.filter(is_kept).and_then(|changed| self.changes.get(changed - 1).cloned());
        let expected = Recorded { is_first: false, health: self.health.clone(), change };
        assert_eq!(recorded, expected, "recorded at {at}: {attempt:?}");
    }

    async fn park(&mut self, store: &Arc<dyn Store>, place: u8) {
        let delivery = self.owed(place).clone();
        let is_full = !self.waiting.contains(&delivery.id) && self.health.waiting >= WAITING;
        if !is_full {
            self.waiting.insert(delivery.id.clone());
            self.health.waiting = u32::try_from(self.waiting.len()).expect("a few");
        }
        let (until, reason) = (self.now + Duration::from_mins(1), "its lane is full".to_owned());
        let parking = Parking { delivery, at: self.now, until, reason, limit: WAITING, is_held: false };
        let (parked, _) = called("a parking", || store.park(&parking)).await;
        let health = self.health.clone();
        assert_eq!(parked, if is_full { Parked::Full(health) } else { Parked::Waits(health) }, "{parking:?}");
    }

    async fn begin(&mut self, store: &Arc<dyn Store>, place: u8) {
        let (attempt, now) = (self.owed(place).attempt_id(), self.now);
        self.under_way.retain(|(_, until)| *until > now);
        let is_granted = match self.health.standing {
            _ if self.under_way.iter().any(|(granted, _)| *granted == attempt) => true,
            Standing::Healthy => return,
            Standing::Suspended { until, .. } => now >= until && self.under_way.is_empty(),
            Standing::Recovering { .. } => {
                self.under_way.len() < usize::try_from(self.suspension.trickle).expect("a few")
            }
        };
        let (until, trickle) = (now + Duration::from_secs(30), self.suspension.trickle);
        let trial = Trial { webhook: self.webhook.id.clone(), attempt: attempt.clone(), until, trickle };
        let (answer, _) = called("a trial", || store.begin_trial(&trial)).await;
        assert_eq!(answer, is_granted, "{trial:?}, {:?}, under way: {:?}", self.health.standing, self.under_way);
        if is_granted {
            self.under_way.retain(|(granted, _)| *granted != attempt);
            self.under_way.push((attempt, until));
        }
    }
}

fn made(owed: &Delivery, answer: Answer, at: Timestamp, suspension: Suspension) -> AttemptRecord {
    let reason = || "for now".to_owned();
    let (withheld, skipped) = (Outcome::Withheld { reason: reason() }, Verdict::Skipped { reason: reason() });
    let attempt = match answer {
        Answer::Accepted => delivered(owed, at),
        Answer::Failed => failed(owed, at),
        Answer::GivenUp => given_up(owed, at),
        Answer::Hindered => AttemptRecord { outcome: Outcome::Hindered { reason: reason() }, ..failed(owed, at) },
        Answer::Skipped => AttemptRecord { outcome: withheld, verdict: skipped, ..failed(owed, at) },
    };
    AttemptRecord { suspension, ..attempt }
}
