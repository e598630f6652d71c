//! From a batch to the deliveries it owes.

use std::sync::Arc;

use dockbell_proto::batch::{Batch, Change};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::DeliveryId;
use dockbell_proto::webhook::Webhook;

/// The deliveries that `batch` owes to those of `webhooks` that are about its registry: one per tag, or one
/// for all of it, as the webhook's format wants. The same batch always yields the same ids.
pub fn route(batch: &Batch, webhooks: &[Arc<Webhook>]) -> Vec<(Arc<Webhook>, Delivery)> {
    let concerned = webhooks.iter().filter(|webhook| webhook.enabled && webhook.applies_to(&batch.registry));
    concerned
        .flat_map(|webhook| owed(batch, webhook).into_iter().map(|delivery| (Arc::clone(webhook), delivery)))
        .collect()
}

fn owed(batch: &Batch, webhook: &Webhook) -> Vec<Delivery> {
    if webhook.format.takes_whole_batch() {
        batch
            .changes
            .iter()
            .max_by_key(|change| &change.order)
            .map(|newest| delivery(batch.clone(), webhook, "*", newest))
            .into_iter()
            .collect()
    } else {
        batch.changes.iter().map(|change| delivery(batch.only(change), webhook, change.tag.as_str(), change)).collect()
    }
}

fn delivery(content: Batch, webhook: &Webhook, subject: &str, newest: &Change) -> Delivery {
    let repository = (content.registry.as_str(), content.repository.as_str());
    let id = DeliveryId::derive(&webhook.id, repository, subject, newest.order.event());
    Delivery { id, webhook: webhook.id.clone(), request: 0, ordinal: 1, not_before: None, content }
}

#[cfg(test)]
mod tests {
    use dockbell_proto::names::Registry;
    use dockbell_proto::webhook::Format;
    use dockbell_testkit::sample::{batch, webhook};

    use super::*;

    #[test]
    fn one_delivery_per_tag_or_per_batch_as_the_format_wants() {
        let batch = batch("e", "team/app", &["1", "2", "3"]);
        let count = |format| route(&batch, &[Arc::new(webhook(1, "team/app", format, "http://h/"))]).len();
        assert_eq!((count(Format::Dockerhub), count(Format::Alin), count(Format::Batch)), (3, 3, 1));
    }

    #[test]
    fn every_delivery_has_an_id_of_its_own_that_a_second_routing_repeats() {
        let batch = batch("e", "team/app", &["1", "2"]);
        let webhooks: Vec<_> = Format::ALL
            .into_iter()
            .zip(1..)
            .map(|(format, number)| Arc::new(webhook(number, "*", format, "http://h/")))
            .collect();
        let ids = || -> Vec<_> { route(&batch, &webhooks).into_iter().map(|(_, delivery)| delivery.id).collect() };
        let distinct: std::collections::HashSet<_> = ids().into_iter().collect();
        assert_eq!(distinct.len(), 5);
        assert_eq!(ids(), ids());
    }

    #[test]
    fn a_webhook_of_another_registry_or_a_disabled_one_is_owed_nothing() {
        let batch = batch("e", "team/app", &["1"]);
        let with = |change: &dyn Fn(&mut Webhook)| {
            let mut webhook = webhook(1, "*", Format::Batch, "http://h/");
            change(&mut webhook);
            route(&batch, &[Arc::new(webhook)]).len()
        };
        assert_eq!(with(&|webhook| webhook.registry = Some(Registry::parse("hub.test").unwrap())), 1);
        assert_eq!(with(&|webhook| webhook.registry = Some(Registry::parse("other.test").unwrap())), 0);
        assert_eq!(with(&|webhook| webhook.enabled = false), 0);
    }
}
