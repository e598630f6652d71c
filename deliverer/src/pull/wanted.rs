//! Whether a delivery whose turn has come is still wanted.

use std::time::Duration;

use dockbell_backends::store::News;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::names::Tag;
use dockbell_proto::order::Order;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::webhook::Webhook;

use super::Deliverer;
use super::way::Way;
use super::work::Owed;
use crate::lane::Kind;
use crate::newest::superseded_by;

impl Deliverer {
    /// Makes the attempt, unless the delivery is no news by now, and makes what follows durable. Returns what had to wait
    /// here.
    pub(super) async fn attempt_if_wanted(&self, webhook: &Webhook, owed: Owed<'_>, way: Way) -> Option<Delivery> {
        if let Some(end) = self.unwanted(webhook, &owed).await {
            drop(way);
            return self.end(webhook, owed, end).await;
        }
        let maybe_repeated = owed.maybe_repeated;
        let record = self.attempt(webhook, owed.delivery, &way).await;
        // The way ends with the attempt: what follows may have to wait for a backend.
        drop(way);
        self.settle(record, maybe_repeated).await
    }

    /// Why the delivery is not wanted any more; none if it is.
    async fn unwanted(&self, webhook: &Webhook, owed: &Owed<'_>) -> Option<(Outcome, Verdict)> {
        // Only what waited or comes again can be old news, and a person who asks for old news gets it.
        let may_be_old = owed.kind == Kind::Waited || owed.maybe_repeated;
        if may_be_old
            && owed.delivery.request == 0
            && let Some(by) = self.superseded_by(&owed.delivery).await
        {
            return Some(superseded(by));
        }
        if !webhook.filter.only_changed {
            return None;
        }
        match self.news(&owed.delivery).await {
            News::New => None,
            News::Known => {
                let reason = "the receiver was last told of the same digest".to_owned();
                Some((Outcome::Withheld { reason }, Verdict::Unchanged))
            }
            News::Old { by } => Some(superseded(by)),
        }
    }

    /// What took the place of the delivery, if anything did. Without an answer it is sent: news that comes twice
    /// can be told by its order, news that does not come cannot be told at all.
    async fn superseded_by(&self, delivery: &Delivery) -> Option<Order> {
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

    /// What the delivery is to a receiver that wants changes alone. Without an answer it is news.
    async fn news(&self, delivery: &Delivery) -> News {
        match self.settler.store.claim_news(delivery).await {
            Ok(news) => news,
            Err(error) => {
                self.settler.told("look up what was told", &error, Duration::ZERO);
                News::New
            }
        }
    }
}

fn superseded(by: Order) -> (Outcome, Verdict) {
    (Outcome::Superseded { by: by.clone() }, Verdict::Superseded { by })
}
