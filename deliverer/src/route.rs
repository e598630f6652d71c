//! From a batch to the deliveries it owes.

use std::sync::Arc;

use dockbell_proto::batch::{Batch, Change};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::filter::Filter;
use dockbell_proto::ids::DeliveryId;
use dockbell_proto::names::Tag;
use dockbell_proto::webhook::Webhook;

/// The deliveries that `batch` owes to those of `webhooks` that are about it and whose filter it passes: one per tag, or
/// one for all of it, as the webhook's format wants. The same batch always yields the same ids. What a disabled webhook
/// would be owed is among them, so that it can be told.
pub fn route(batch: &Arc<Batch>, webhooks: &[Arc<Webhook>]) -> Vec<(Arc<Webhook>, Delivery)> {
    let concerned = webhooks.iter().filter(|webhook| webhook.applies_to(&batch.registry, &batch.repository));
    let mut parts = None;
    let mut deliveries = Vec::new();
    for webhook in concerned {
        let tags_at_once = webhook.tags_at_once();
        if tags_at_once > 1 {
            let owed = lots(batch, &webhook.filter, tags_at_once).into_iter();
            let owed = owed.filter_map(|lot| delivery(&lot, webhook, "*"));
            deliveries.extend(owed.map(|delivery| (Arc::clone(webhook), delivery)));
        } else {
            // Made once, and shared by every webhook.
            let parts = parts.get_or_insert_with(|| parts_of(batch)).iter().zip(&batch.changes);
            let passing = parts.filter(|(_, change)| webhook.filter.passes(change));
            let owed = passing.filter_map(|((tag, part), _)| delivery(part, webhook, tag.as_str()));
            deliveries.extend(owed.map(|delivery| (Arc::clone(webhook), delivery)));
        }
    }
    deliveries
}

/// What passes of the batch, in lots of no more tags than one POST carries.
fn lots(batch: &Arc<Batch>, filter: &Filter, tags_at_once: usize) -> Vec<Arc<Batch>> {
    let passing: Vec<&Change> = batch.changes.iter().filter(|change| filter.passes(change)).collect();
    if passing.len() == batch.changes.len() && passing.len() <= tags_at_once {
        return vec![Arc::clone(batch)];
    }
    let lot = |changes: &[&Change]| Arc::new(batch.with(changes.iter().copied().cloned().collect()));
    passing.chunks(tags_at_once).map(lot).collect()
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
        awaits_since: None,
        content,
    })
}

#[cfg(test)]
mod tests {
    use dockbell_proto::chain::After;
    use dockbell_proto::names::Registry;
    use dockbell_proto::options::Options;
    use dockbell_proto::webhook::Format;
    use dockbell_testkit::sample::{batch, webhook};
    use serde_json::json;

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
        let owed = |webhook: &Arc<Webhook>| if webhook.format.tags_at_once(&webhook.options) > 1 { 1 } else { 2 };
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

    /// What it is not told of is not in what it is told, and has no part in its id.
    #[test]
    fn a_webhook_is_owed_what_passes_its_filter() {
        let batch = Arc::new(batch("e", "team/app", &["1", "2-rc", "3"]));
        let owed = |format, filter: serde_json::Value| -> Vec<(DeliveryId, Vec<String>)> {
            let filter = Filter::default().changed(filter.as_object().unwrap()).unwrap();
            let webhook = Webhook { filter, ..webhook(1, "*", format, "http://h/") };
            let routed = route(&batch, &[Arc::new(webhook)]);
            let tags =
                |delivery: &Delivery| delivery.content.changes.iter().map(|change| change.tag.to_string()).collect();
            routed.into_iter().map(|(_, delivery)| (delivery.id.clone(), tags(&delivery))).collect()
        };
        let tags = |owed: Vec<(DeliveryId, Vec<String>)>| -> Vec<Vec<String>> {
            owed.into_iter().map(|(_, tags)| tags).collect()
        };
        let no_candidates = json!({ "tags": "!*-rc" });
        assert_eq!(tags(owed(Format::Dockerhub, no_candidates.clone())), [["1"], ["3"]]);
        assert_eq!(tags(owed(Format::Batch, no_candidates.clone())), [["1", "3"]]);
        assert_ne!(owed(Format::Batch, no_candidates)[0].0, owed(Format::Batch, json!({}))[0].0);
        assert_eq!(owed(Format::Dockerhub, json!({ "tags": "3" }))[0], owed(Format::Dockerhub, json!({}))[2]);
        for nothing in [json!({ "tags": "4" }), json!({ "repositories": "team/web" }), json!({ "kinds": ["index"] })] {
            assert_eq!(owed(Format::Dockerhub, nothing.clone()), [], "{nothing}");
            assert_eq!(owed(Format::Batch, nothing.clone()), [], "{nothing}");
        }
    }

    /// Each waits for the report of its own tag.
    #[test]
    fn a_webhook_that_waits_for_another_is_owed_each_tag_alone() {
        let first = webhook(1, "*", Format::Dockerhub, "http://h/");
        let after = Some(After { webhook: first.id, within: std::time::Duration::from_secs(1) });
        let waiting = Webhook { after, ..webhook(2, "*", Format::Batch, "http://h/") };
        assert_eq!(route(&Arc::new(batch("e", "team/app", &["1", "2"])), &[Arc::new(waiting)]).len(), 2);
    }

    #[test]
    fn no_more_cloud_events_are_batched_than_fit_a_post() {
        let tags: Vec<String> = (0..600).map(|number| number.to_string()).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let options = Options { batched: Some(true), ..Options::default() };
        let webhook = Webhook { options, ..webhook(1, "*", Format::CloudEvents, "http://h/") };
        let routed = route(&Arc::new(batch("e", "team/app", &tags)), &[Arc::new(webhook)]);
        let sizes: Vec<usize> = routed.iter().map(|(_, delivery)| delivery.content.changes.len()).collect();
        assert_eq!(sizes, [250, 250, 100]);
        let ids: std::collections::HashSet<_> = routed.into_iter().map(|(_, delivery)| delivery.id).collect();
        assert_eq!(ids.len(), 3);
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
