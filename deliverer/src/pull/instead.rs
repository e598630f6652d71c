//! What is done with a delivery instead of an attempt: it waits, or it ends.

use std::time::Duration;

use dockbell_backends::bus::Queue;
use dockbell_backends::store::{Parked, Parking};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::later;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::webhook::Webhook;
use jiff::Timestamp;

use super::Deliverer;
use super::chain::is_held;
use super::work::{Done, Owed};
use crate::gate::{Admission, BUSY, LONGEST_BUSY, expired, spread};
use crate::lane::{Kind, NoPlace};

impl Deliverer {
    /// A delivery whose webhook has as much under way as may be looks again when it may be its turn: a receiver that
    /// answers makes room soon, and what waits for one that hangs must not come back every second.
    pub(super) async fn busy(&self, webhook: &Webhook, no_place: NoPlace) -> Admission {
        match no_place {
            NoPlace::Full => {
                let reason = "as many deliveries of the webhook are under way as may be at once";
                let wait = self.expected_wait(webhook).await;
                if self.lanes.of(&webhook.id).is_stuck() {
                    return self.put_off(wait, reason);
                }
                // They come back about as fast as the receiver takes them.
                let pause = BUSY + wait.saturating_sub(BUSY).mul_f64(self.chance.draw_of_the_moment());
                let until = later(self.settler.clock.now(), pause);
                Admission::Await { until, reason: reason.to_owned() }
            }
            NoPlace::Paused(pause) => self.put_off(pause, "the receiver asked to be left alone for a while"),
        }
    }

    /// A fresh delivery of a failing webhook waits among those that come again, from now on if there is room for it.
    async fn yielded(&self, webhook: &Webhook) -> Admission {
        let has_room = self.lanes.of(&webhook.id).has_room(Kind::Waited);
        let pause = if has_room { Duration::ZERO } else { self.expected_wait(webhook).await };
        self.put_off(pause, "the webhook's last attempt failed, so this one waits among those that come again")
    }

    async fn expected_wait(&self, webhook: &Webhook) -> Duration {
        let waiting = self.attempter.directory.health(&webhook.id).await.waiting;
        self.lanes.of(&webhook.id).expected_wait(waiting).clamp(BUSY, LONGEST_BUSY)
    }

    pub(super) fn put_off(&self, pause: Duration, reason: &str) -> Admission {
        Admission::Park { until: later(self.settler.clock.now(), pause), reason: reason.to_owned() }
    }

    /// Does with a delivery what is to be done instead of an attempt. `because` is the word for it in metrics.
    pub(super) async fn turn_away(
        &self,
        webhook: &Webhook,
        owed: Owed<'_>,
        admission: Admission,
        because: &'static str,
    ) -> Done {
        let admission = if admission == Admission::Yield { self.yielded(webhook).await } else { admission };
        match admission {
            Admission::Attempt | Admission::Try | Admission::Yield => Done::All,
            Admission::End(outcome, verdict) => Done::unless_waited(self.end(webhook, owed, (outcome, verdict)).await),
            Admission::Park { until, reason } => {
                self.settler.metrics.delivery_parked(because);
                let waiting = self.attempter.directory.health(&webhook.id).await.waiting;
                let until = spread(until, waiting, (self.settler.clock.now(), self.chance.draw_of_the_moment()));
                Done::unless_waited(self.park(webhook, owed, until, reason).await)
            }
            Admission::Await { until, reason } => {
                self.settler.metrics.delivery_parked(because);
                Done::unless_waited(self.park(webhook, owed, until, reason).await)
            }
        }
    }

    /// Lets a delivery wait until it is looked at again. Returns what had to wait here.
    pub(super) async fn park(
        &self,
        webhook: &Webhook,
        owed: Owed<'_>,
        until: Timestamp,
        reason: String,
    ) -> Option<Delivery> {
        if self.settler.bus.is_full(Queue::Redeliveries) {
            // Nothing is parked that could tell: who died before carrying a verdict out left only this message.
            if let Some(verdict) = self.earlier_verdict(&owed.delivery).await {
                return self.repeat(&owed.delivery, owed.maybe_repeated, &verdict).await;
            }
            return self.end_as_expired(webhook, owed, "the queue of waiting deliveries is full").await;
        }
        let now = self.settler.clock.now();
        let limit = self.settler.policy_of(webhook).custody.waiting;
        let is_held = is_held(webhook, &owed.delivery);
        let parking = Parking { delivery: owed.delivery, at: now, until, reason, limit, is_held };
        let parked = self.settler.park(&parking).await;
        let owed = Owed { delivery: parking.delivery, ..owed };
        match parked {
            Some(Parked::Settled(verdict)) => self.repeat(&owed.delivery, owed.maybe_repeated, &verdict).await,
            Some(Parked::Superseded { by }) => {
                let (outcome, verdict) = (Outcome::Superseded { by: by.clone() }, Verdict::Superseded { by });
                self.end(webhook, owed, (outcome, verdict)).await
            }
            Some(Parked::Full(_)) => {
                let reason = format!("{limit} deliveries of the webhook wait, which is as many as may");
                self.end_as_expired(webhook, owed, &reason).await
            }
            Some(Parked::Waits(_)) | None => {
                self.settler.wait(owed.delivery.parked(until), until, owed.maybe_repeated).await
            }
        }
    }

    async fn end_as_expired(&self, webhook: &Webhook, owed: Owed<'_>, reason: &str) -> Option<Delivery> {
        let Admission::End(outcome, verdict) = expired(reason.to_owned()) else { return None };
        self.end(webhook, owed, (outcome, verdict)).await
    }
}
