//! The work that a message asks for: the attempts it owes, and what follows from them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::bus::Received;
use dockbell_chassis::failpoint::reach;
use dockbell_chassis::trace;
use dockbell_proto::batch::Batch;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::message::Message;
use dockbell_proto::outcome::Verdict;
use dockbell_proto::webhook::Webhook;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::sleep;
use tracing::Instrument as _;

use super::chain::is_held;
use super::{Deliverer, Surroundings};
use crate::gate::{Admission, BUSY, Caller, admit};
use crate::lane::Kind;
use crate::route::route;

/// A batch that comes so long after it was closed may have been published again meanwhile.
const LATE: Duration = Duration::from_secs(2);
/// How soon a delivery that somebody else attempts is looked at again, and how late.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LAST_LOOK: Duration = Duration::from_secs(1);

/// A delivery on its way to an attempt.
#[derive(Debug)]
pub(super) struct Owed<'a> {
    pub(super) delivery: Delivery,
    /// Whether its message may have been handed out, or published, before.
    pub(super) maybe_repeated: bool,
    /// Whether it waited before.
    pub(super) kind: Kind,
    pub(super) surroundings: &'a Surroundings,
}

impl Owed<'_> {
    /// The same, which waits for something since `now`, if it did not before.
    fn awaiting(mut self, now: Timestamp) -> Self {
        self.delivery.awaits_since.get_or_insert(now);
        self
    }
}

/// What became of a delivery.
#[derive(Debug)]
pub(super) enum Done {
    /// Nothing is left to do.
    All,
    /// The deliverer stops before it could be attempted.
    Nothing,
    /// It waited here, because the bus did not take it, and now it is its time.
    Waited(Delivery),
    /// Somebody else has a copy of it, and attempts it.
    Held(Delivery),
}

impl Done {
    /// Everything, unless something waited here.
    pub(super) fn unless_waited(waited: Option<Delivery>) -> Self {
        waited.map_or(Self::All, Self::Waited)
    }
}

/// Does the work that a message asks for, then settles it. Dropped before, the message comes back; it does so too
/// if the deliverer stops before all of the work has begun.
pub(super) async fn work(deliverer: &Deliverer, message: Received, surroundings: &Surroundings) {
    reach("message handed out");
    let maybe_repeated = message.maybe_repeated;
    let settled = match Message::decode(&message.body) {
        Ok(asked) => {
            let is_done = match asked {
                Message::Batch(batch) => deliverer.deliver_batch(&Arc::new(batch), maybe_repeated, surroundings).await,
                Message::Delivery(delivery) => {
                    let kind = surroundings.kind();
                    deliverer.deliver_waiting(Owed { delivery, maybe_repeated, kind, surroundings }).await
                }
            };
            if !is_done {
                return;
            }
            let settled = message.receipt.ack().await;
            reach("message settled");
            settled
        }
        Err(error) => {
            let queue = surroundings.queue;
            tracing::error!(message.id = message.id, queue = queue.as_str(), error = %error, "a message cannot be read and is kept as a dead letter");
            deliverer.settler.metrics.dead_lettered(queue);
            message.dead_letter(error.to_string()).await
        }
    };
    if let Err(error) = settled {
        tracing::debug!(error = %error, "a message could not be settled and comes back");
    }
}

impl Deliverer {
    /// Makes the first attempt of everything that a batch owes. Says whether all of it is done.
    async fn deliver_batch(&self, batch: &Arc<Batch>, maybe_repeated: bool, surroundings: &Surroundings) -> bool {
        let directory = &self.attempter.directory;
        let found = {
            let look_up = || directory.webhooks_for(&batch.repository);
            let look_up = pin!(self.settler.until_done("look up webhooks", look_up));
            unless_stopped(surroundings, look_up).await
        };
        let Some(webhooks) = found else { return false };
        let deliveries = route(batch, &webhooks);
        tracing::debug!(repository = %batch.repository, deliveries = deliveries.len(), "a batch was routed");
        let kind = surroundings.kind();
        // Most batches owe one delivery.
        match <[_; 1]>::try_from(deliveries) {
            Ok([(webhook, delivery)]) => {
                self.deliver(&webhook, Owed { delivery, maybe_repeated, kind, surroundings }).await
            }
            Err(deliveries) => {
                let deliver = async |(webhook, delivery): (Arc<Webhook>, Delivery)| {
                    self.deliver(&webhook, Owed { delivery, maybe_repeated, kind, surroundings }).await
                };
                let all = Box::pin(join_all(deliveries.into_iter().map(deliver)));
                all.await.into_iter().all(|is_done| is_done)
            }
        }
    }

    /// Makes the next attempt of a delivery that was waiting. That its time has come is for the bus to know, which
    /// measures the wait: the wall clock may have been set meanwhile.
    async fn deliver_waiting(&self, owed: Owed<'_>) -> bool {
        let found = {
            let look_up = pin!(self.current(&owed.delivery));
            unless_stopped(owed.surroundings, look_up).await
        };
        let Some(found) = found else { return false };
        let Some(webhook) = found else {
            self.drop_unaddressed(&owed.delivery);
            return true;
        };
        self.deliver(&webhook, owed).await
    }

    /// The webhook as it is now; none if it was removed.
    async fn current(&self, delivery: &Delivery) -> Option<Arc<Webhook>> {
        let directory = &self.attempter.directory;
        self.settler.until_done("look up a webhook", || directory.webhook(&delivery.webhook)).await
    }

    fn drop_unaddressed(&self, delivery: &Delivery) {
        let (delivery, webhook) = (&delivery.id, &delivery.webhook);
        tracing::info!(delivery.id = %delivery, webhook.id = %webhook, "a delivery is dropped: its webhook was removed");
        self.settler.metrics.delivery_unaddressed();
    }

    /// Attempts a delivery, unless this attempt was made before, and makes what follows durable. Says whether that is
    /// done. What cannot be made durable waits here for its next attempt; a crash makes its message come again, and
    /// what was recorded tells which attempts were made.
    async fn deliver(&self, webhook: &Webhook, mut owed: Owed<'_>) -> bool {
        let (surroundings, mut pause) = (owed.surroundings, FIRST_LOOK);
        loop {
            let (id, format) = (&owed.delivery.id, webhook.format.as_str());
            let (maybe_repeated, kind, trace) = (owed.maybe_repeated, owed.kind, &owed.delivery.content.trace);
            let span = tracing::debug_span!("delivery", otel.kind = "consumer", delivery.id = %id, webhook.id = %webhook.id, webhook.format = format);
            trace::continue_from(&span, &trace.traceparent, &trace.tracestate);
            match self.deliver_in_span(owed).instrument(span).await {
                Done::All => return true,
                Done::Nothing => return false,
                // It may be on the bus as well, if an answer of it was lost.
                Done::Waited(delivery) => {
                    owed = Owed { delivery, maybe_repeated: true, kind: Kind::Waited, surroundings };
                }
                Done::Held(delivery) => {
                    self.settler.metrics.delivery_parked("held");
                    let Some(()) = unless_stopped(surroundings, sleep(pause)).await else { return false };
                    pause = (pause * 2).min(LAST_LOOK);
                    owed = Owed { delivery, maybe_repeated, kind, surroundings };
                }
            }
        }
    }

    async fn deliver_in_span(&self, owed: Owed<'_>) -> Done {
        let attempt = owed.delivery.attempt_id();
        let _under_way = self.under_way.begin(attempt.clone()).await;
        if let Some(verdict) = self.settler.unrecorded.verdict(&attempt) {
            return Done::unless_waited(Box::pin(self.repeat(&owed.delivery, owed.maybe_repeated, &verdict)).await);
        }
        if self.may_have_been_made(&owed)
            && !self.is_to_wait(&owed).await
            && let Some(verdict) = Box::pin(self.earlier_verdict(&owed.delivery)).await
        {
            return Done::unless_waited(Box::pin(self.repeat(&owed.delivery, owed.maybe_repeated, &verdict)).await);
        }
        self.see_through(owed).await
    }

    /// Carries out again what followed from an attempt that was made, if that may not have been done.
    pub(super) async fn repeat(
        &self,
        delivery: &Delivery,
        maybe_repeated: bool,
        verdict: &Verdict,
    ) -> Option<Delivery> {
        self.settler.metrics.delivery_repeated();
        // A copy of a message leaves the verdict to the original; only a message that comes again may be the one
        // whose verdict was recorded and not carried out.
        if !maybe_repeated {
            return None;
        }
        self.settler.carry_out(delivery, verdict, true).await
    }

    /// Whether this attempt may have been made before, so that it is worth a question. Where attempts are claimed the
    /// claim is the question. What waited may come twice,
    /// unflagged, because brokers move it from queue to queue; so may a batch whose producer published it again
    /// when it was not confirmed, because the second copy is the one that is flagged and may be the first to come.
    fn may_have_been_made(&self, owed: &Owed<'_>) -> bool {
        let age = self.settler.clock.now().duration_since(owed.delivery.content.closed_at);
        let is_late = Duration::try_from(age).is_ok_and(|age| age > LATE);
        self.settler.store.claims().is_none() && (owed.maybe_repeated || is_late || owed.kind == Kind::Waited)
    }

    /// Whether the delivery is to wait anyway. Then the store says so when it takes note of that.
    async fn is_to_wait(&self, owed: &Owed<'_>) -> bool {
        let admission = self.admission(owed).await;
        matches!(admission, Some((_, Admission::Park { .. } | Admission::Await { .. } | Admission::Yield)))
    }

    /// Brings a delivery to its attempt, or to whatever stands in its way.
    async fn see_through(&self, owed: Owed<'_>) -> Done {
        let Some((webhook, admission)) = self.admission(&owed).await else { return Done::All };
        if !matches!(admission, Admission::Attempt | Admission::Try) {
            return Box::pin(self.turn_away(&webhook, owed, admission, "standing")).await;
        }
        if is_held(&webhook, &owed.delivery)
            && let Some(admission) = Box::pin(self.held_by_chain(&webhook, &owed.delivery)).await
        {
            let owed = owed.awaiting(self.settler.clock.now());
            return Box::pin(self.turn_away(&webhook, owed, admission, "chain")).await;
        }
        let found = {
            let way = pin!(self.way_at_once(&webhook, owed.surroundings));
            unless_stopped(owed.surroundings, way).await
        };
        let (way, has_waited) = match found {
            Some((Ok(way), has_waited)) => (way, has_waited),
            Some((Err(no_place), _)) => {
                let admission = self.busy(&webhook, no_place).await;
                return Box::pin(self.turn_away(&webhook, owed, admission, "lane")).await;
            }
            None => return Done::Nothing,
        };
        let (webhook, admission) = if has_waited {
            // What counts is how things are now.
            let Some(now) = self.admission(&owed).await else { return Done::All };
            now
        } else {
            (webhook, admission)
        };
        match admission {
            Admission::Attempt => {}
            Admission::Try if self.may_try(&webhook, &owed.delivery).await => {}
            Admission::Try => {
                drop(way);
                let admission = self.put_off(BUSY, "the webhook is being tried with another delivery");
                return Box::pin(self.turn_away(&webhook, owed, admission, "trial")).await;
            }
            admission => {
                drop(way);
                return Box::pin(self.turn_away(&webhook, owed, admission, "standing")).await;
            }
        }
        reach("standing looked up");
        // What only waits for its way is a small part of this.
        Box::pin(self.attempt_if_wanted(&webhook, owed, way)).await
    }

    /// What the delivery may do now; none if its webhook was removed.
    async fn admission(&self, owed: &Owed<'_>) -> Option<(Arc<Webhook>, Admission)> {
        let Some(webhook) = self.current(&owed.delivery).await else {
            self.drop_unaddressed(&owed.delivery);
            return None;
        };
        let health = self.attempter.directory.health(&webhook.id).await;
        let (custody, kind) = (self.settler.policy_of(&webhook).custody, owed.kind);
        let caller = Caller { webhook: &webhook, health: &health, custody, delivery: &owed.delivery, kind };
        let admission = admit(caller, self.settler.clock.now());
        Some((webhook, admission))
    }

    /// What followed from this attempt, if it was made. Without an answer it is made, perhaps once more: the store
    /// may be away for long, and the receiver can tell by the id.
    pub(super) async fn earlier_verdict(&self, delivery: &Delivery) -> Option<Verdict> {
        match self.settler.store.settled(&[delivery.attempt_id()]).await {
            Ok(verdicts) => verdicts.into_iter().next().flatten(),
            Err(error) => {
                self.settler.told("look up earlier attempts", &error, Duration::ZERO);
                None
            }
        }
    }
}

/// What `work` yields, unless the deliverer is to stop before.
pub(super) async fn unless_stopped<T>(surroundings: &Surroundings, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = surroundings.shutdown.requested() => None,
        done = work => Some(done),
    }
}
