//! The way to an attempt: a place in the webhook's lane, a socket of its host, a permit of the process.

use std::pin::pin;
use std::sync::Arc;

use dockbell_backends::store::Trial;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::later;
use dockbell_proto::placeholder::has_placeholder;
use dockbell_proto::target::TargetUrl;
use dockbell_proto::webhook::Webhook;
use futures_util::future::poll_immediate;

use super::{Deliverer, SETTLING_TIME, Surroundings};
use crate::lane::{Lane, NoPlace, Place};
use crate::pool::Share;

/// All that an attempt needs. Dropping it makes room for others.
#[derive(Debug)]
pub(super) struct Way {
    /// The webhook's lane, which learns from the attempt.
    pub(super) lane: Arc<Lane>,
    /// Where the webhook leads; none if its URL cannot be dialled, or not as it is.
    pub(super) target: Option<TargetUrl>,
    /// The host and port that it leads to.
    pub(super) host: String,
    _held: (Share, Place, Share, Share),
}

impl Deliverer {
    /// As [`Deliverer::way`], and says whether anything had to be waited for.
    pub(super) async fn way_at_once(
        &self,
        webhook: &Webhook,
        surroundings: &Surroundings,
    ) -> (Result<Way, NoPlace>, bool) {
        let mut way = pin!(self.way(webhook, surroundings));
        match poll_immediate(way.as_mut()).await {
            Some(way) => (way, false),
            None => (way.await, true),
        }
    }

    /// Waits for all that an attempt needs. Of one lane a single delivery waits for what all lanes share, so they are
    /// served in turn, however much each of them has to do.
    async fn way(&self, webhook: &Webhook, surroundings: &Surroundings) -> Result<Way, NoPlace> {
        self.fleet.ready().await;
        let lane = self.lanes.of(&webhook.id);
        let target = TargetUrl::parse(webhook.url.expose(), &self.attempter.policy).ok();
        let host = target.as_ref().map_or_else(String::new, host);
        // Before anything is waited for: what waits here keeps others from being taken from the queue.
        let held = surroundings.places.try_take(&webhook.id).ok_or(NoPlace::Full)?;
        let place = lane.enter(surroundings.kind()).await?;
        let turn = lane.turn().await;
        let socket = self.hosts.of(&host).take(&webhook.id).await;
        let permit = surroundings.permits.take(&webhook.id).await;
        drop(turn);
        let target = target.filter(|_| !has_placeholder(webhook.url.expose()));
        Ok(Way { lane, target, host, _held: (held, place, socket, permit) })
    }

    /// Whether this delivery is one of the few that may try a webhook which is not healthy. While the store is away
    /// nobody knows, and the delivery waits.
    pub(super) async fn may_try(&self, webhook: &Webhook, delivery: &Delivery) -> bool {
        let longest = self.attempter.transport.deadlines().total + SETTLING_TIME;
        let trial = Trial {
            webhook: webhook.id.clone(),
            attempt: delivery.attempt_id(),
            until: later(self.settler.clock.now(), longest),
            trickle: self.settler.policy_of(webhook).suspension.trickle,
        };
        self.settler.store.begin_trial(&trial).await.unwrap_or_else(|error| {
            self.settler.told("begin a trial", &error, std::time::Duration::ZERO);
            false
        })
    }
}

fn host(target: &TargetUrl) -> String {
    format!("{}:{}", target.host(), target.expose().port_or_known_default().unwrap_or_default())
}
