//! Whether a delivery whose turn has come is still wanted.

use std::pin::pin;
use std::time::Duration;

use dockbell_backends::store::News;
use dockbell_backends::store::claims::Claimed;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::later;
use dockbell_proto::names::Tag;
use dockbell_proto::order::Order;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::webhook::Webhook;

use super::Deliverer;
use super::way::Way;
use super::work::{Done, Owed, unless_stopped};
use crate::lane::Kind;
use crate::newest::superseded_by;

/// How long a delivery waits for a store that does not answer.
const UNANSWERED: Duration = Duration::from_secs(2);

/// Whether an attempt is to be made.
enum Turn {
    Wanted,
    /// Not any more.
    Unwanted((Outcome, Verdict)),
    /// Nobody can say now.
    Unknown,
}

impl Deliverer {
    /// Makes the attempt, unless the delivery is no news by now or somebody else makes it, and makes what follows durable.
    pub(super) async fn attempt_if_wanted(&self, webhook: &Webhook, owed: Owed<'_>, way: Way) -> Done {
        match self.turn_of(webhook, &owed).await {
            Turn::Wanted => {}
            Turn::Unwanted(end) => {
                drop(way);
                return Done::unless_waited(Box::pin(self.end(webhook, owed, end)).await);
            }
            Turn::Unknown => {
                drop(way);
                let until = later(self.settler.clock.now(), UNANSWERED);
                let reason = "the store does not say what the receiver was told".to_owned();
                return Done::unless_waited(Box::pin(self.park(webhook, owed, until, reason)).await);
            }
        }
        let (attempt, maybe_repeated) = (owed.delivery.attempt_id(), owed.maybe_repeated);
        let claim = pin!(self.claim(attempt.clone()));
        let Some(claimed) = unless_stopped(owed.surroundings, claim).await else { return Done::Nothing };
        match claimed {
            Claimed::Ours => {}
            Claimed::Settled(verdict) => {
                drop(way);
                return Done::unless_waited(Box::pin(self.repeat(&owed.delivery, maybe_repeated, &verdict)).await);
            }
            Claimed::Held => return Done::Held(owed.delivery),
        }
        let record = {
            // Where it is, because what is handed on by value is kept twice.
            let attempting = pin!(self.attempt(webhook, owed.delivery, &way));
            self.while_claimed(attempt, attempting).await
        };
        // The way ends with the attempt: what follows may have to wait for a backend.
        drop(way);
        Done::unless_waited(self.settle(record, maybe_repeated).await)
    }

    /// Whether the delivery is still wanted.
    async fn turn_of(&self, webhook: &Webhook, owed: &Owed<'_>) -> Turn {
        // Only what waited or comes again can be old news, and a person who asks for old news gets it.
        let may_be_old = owed.kind == Kind::Waited || owed.maybe_repeated;
        if may_be_old
            && owed.delivery.request == 0
            && let Some(by) = Box::pin(self.superseded_by(&owed.delivery)).await
        {
            return Turn::Unwanted(superseded(by));
        }
        if !webhook.filter.only_changed {
            return Turn::Wanted;
        }
        match self.settler.store.claim_news(&owed.delivery, webhook.updated_at).await {
            Ok(News::New) => Turn::Wanted,
            Ok(News::Known) => {
                let reason = "the receiver was last told of the same digest".to_owned();
                Turn::Unwanted((Outcome::Withheld { reason }, Verdict::Unchanged))
            }
            Ok(News::Old { by }) => Turn::Unwanted(superseded(by)),
            // Sent without a note, it would leave the store believing in what was told before.
            Err(error) => {
                self.settler.told("look up what was told", &error, Duration::ZERO);
                Turn::Unknown
            }
        }
    }

    /// What took the place of the delivery, if anything did. Without an answer it is sent: news that comes twice
    /// can be told by its order, news that does not come cannot be told at all.
    pub(super) async fn superseded_by(&self, delivery: &Delivery) -> Option<Order> {
        let content = &delivery.content;
        let tags: Vec<Tag> = content.changes.iter().map(|change| change.tag.clone()).collect();
        let repository = (&content.registry, &content.repository);
        match self.settler.store.newest(&delivery.webhook, repository, &tags).await {
            Ok(newest) => superseded_by(&content.changes, &newest),
            Err(error) => {
                self.settler.told("look up later changes", &error, Duration::ZERO);
                None
            }
        }
    }
}

pub(super) fn superseded(by: Order) -> (Outcome, Verdict) {
    (Outcome::Superseded { by: by.clone() }, Verdict::Superseded { by })
}
