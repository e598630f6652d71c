//! The way to an attempt: a place in the webhook's lane, a socket of its host, a permit of the process.

use std::sync::Arc;

use dockbell_backends::store::Trial;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::later;
use dockbell_proto::target::TargetUrl;
use dockbell_proto::webhook::Webhook;

use super::{Deliverer, SETTLING_TIME, Surroundings};
use crate::lane::{Lane, NoPlace, Place};
use crate::pool::Share;

/// All that an attempt needs. Dropping it makes room for others.
#[derive(Debug)]
pub(super) struct Way {
    /// The webhook's lane, which learns from the attempt.
    pub(super) lane: Arc<Lane>,
    /// The host and port that it leads to.
    pub(super) host: String,
    _held: (Share, Place, Share, Share),
}

impl Deliverer {
    /// Waits for all that an attempt needs. Of one lane a single delivery waits for what all lanes share, so they are
    /// served in turn, however much each of them has to do.
    pub(super) async fn way(&self, webhook: &Webhook, surroundings: &Surroundings) -> Result<Way, NoPlace> {
        self.fleet.ready().await;
        let (lane, host) = (self.lanes.of(&webhook.id), self.host(webhook));
        // Before anything is waited for: what waits here keeps others from being taken from the queue.
        let held = surroundings.places.try_take(&webhook.id).ok_or(NoPlace::Full)?;
        let place = lane.enter(surroundings.kind()).await?;
        let turn = lane.turn().await;
        let socket = self.hosts.of(&host).take(&webhook.id).await;
        let permit = surroundings.permits.take(&webhook.id).await;
        drop(turn);
        Ok(Way { lane, host, _held: (held, place, socket, permit) })
    }

    /// The host and port of a webhook; nothing for a URL that cannot be dialled anyway.
    fn host(&self, webhook: &Webhook) -> String {
        let Ok(url) = TargetUrl::parse(webhook.url.expose(), &self.attempter.policy) else { return String::new() };
        format!("{}:{}", url.host(), url.expose().port_or_known_default().unwrap_or_default())
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
