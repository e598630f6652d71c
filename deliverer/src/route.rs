//! From a batch to the deliveries it owes.

use std::sync::Arc;

use dockbell_proto::batch::Batch;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::DeliveryId;
use dockbell_proto::names::Tag;
use dockbell_proto::webhook::Webhook;

/// The deliveries that `batch` owes to those of `webhooks` that are about its registry: one per tag, or one
/// for all of it, as the webhook's format wants. The same batch always yields the same ids. What a disabled webhook
/// would be owed is among them, so that it can be told.
pub fn route(batch: &Arc<Batch>, webhooks: &[Arc<Webhook>]) -> Vec<(Arc<Webhook>, Delivery)> {
    let concerned = webhooks.iter().filter(|webhook| webhook.applies_to(&batch.registry));
    let mut parts = None;
    let mut deliveries = Vec::new();
    for webhook in concerned {
        if webhook.format.takes_whole_batch() {
            deliveries.extend(delivery(batch, webhook, "*").map(|delivery| (Arc::clone(webhook), delivery)));
        } else {
            // Made once, and shared by every webhook.
            let parts = parts.get_or_insert_with(|| parts_of(batch));
            let owed = parts.iter().filter_map(|(tag, part)| delivery(part, webhook, tag.as_str()));
            deliveries.extend(owed.map(|delivery| (Arc::clone(webhook), delivery)));
        }
    }
    deliveries
}

fn parts_of(batch: &Batch) -> Vec<(Tag, Arc<Batch>)> {
    batch.changes.iter().map(|change| (change.tag.clone(), Arc::new(batch.only(change)))).collect()
}

/// None for a batch without changes, which owes nothing.
fn delivery(content: &Arc<Batch>, webhook: &Webhook, subject: &str) -> Option<Delivery> {
    let repository = (content.registry.as_str(), content.repository.as_str());
    content.newest()?;
    let newest = content.changes.iter().map(|change| change.order.event());
    let id = DeliveryId::derive(&webhook.id, repository, subject, newest);
    let content = Arc::clone(content);
    Some(Delivery {
        id,
        webhook: webhook.id.clone(),
        request: 0,
        ordinal: 1,
        not_before: None,
        is_parked: false,
        first_at: None,
        content,
    })
}

#[cfg(test)]
mod tests {
    use dockbell_proto::names::Registry;
    use dockbell_proto::webhook::Format;
    use dockbell_testkit::sample::{batch, webhook};

    use super::*;

    #[test]
    fn one_delivery_per_tag_or_per_batch_as_the_format_wants() {
        let batch = Arc::new(batch("e", "team/app", &["1", "2", "3"]));
        let count = |format| route(&batch, &[Arc::new(webhook(1, "team/app", format, "http://h/"))]).len();
        assert_eq!((count(Format::Dockerhub), count(Format::Alin), count(Format::Batch)), (3, 3, 1));
    }

    #[test]
    fn every_delivery_has_an_id_of_its_own_that_a_second_routing_repeats() {
        let batch = Arc::new(batch("e", "team/app", &["1", "2"]));
        let webhooks: Vec<_> = Format::ALL
            .into_iter()
            .zip(1..)
            .map(|(format, number)| Arc::new(webhook(number, "*", format, "http://h/")))
            .collect();
        let ids = || -> Vec<_> { route(&batch, &webhooks).into_iter().map(|(_, delivery)| delivery.id).collect() };
        let distinct: std::collections::HashSet<_> = ids().into_iter().collect();
        let owed = |webhook: &Arc<Webhook>| if webhook.format.takes_whole_batch() { 1 } else { 2 };
        assert_eq!(distinct.len(), webhooks.iter().map(owed).sum::<usize>());
        assert_eq!(ids(), ids());
    }

    /// A receiver that has seen the id of a batch must not be shown another one under it.
    #[test]
    fn a_batch_that_says_more_than_another_has_another_id_although_its_newest_event_is_the_same() {
        let both = batch("e", "team/app", &["1", "2"]);
        let newest = both.changes.iter().max_by(|a, b| a.order.cmp(&b.order)).unwrap();
        let webhooks = [Arc::new(webhook(1, "*", Format::Batch, "http://h/"))];
        let id = |batch: Batch| route(&Arc::new(batch), &webhooks)[0].1.id.clone();
        assert_ne!(id(both.only(newest)), id(both.clone()));
    }

    #[test]
    fn a_webhook_of_another_registry_is_owed_nothing() {
        let batch = Arc::new(batch("e", "team/app", &["1"]));
        let with = |change: &dyn Fn(&mut Webhook)| {
            let mut webhook = webhook(1, "*", Format::Batch, "http://h/");
            change(&mut webhook);
            route(&batch, &[Arc::new(webhook)]).len()
        };
        assert_eq!(with(&|webhook| webhook.registry = Some(Registry::parse("hub.test").unwrap())), 1);
        assert_eq!(with(&|webhook| webhook.registry = Some(Registry::parse("other.test").unwrap())), 0);
        assert_eq!(with(&|webhook| webhook.enabled = false), 1, "it is told that it was skipped");
    }
}
