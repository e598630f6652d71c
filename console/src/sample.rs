//! The made-up push with which a webhook is tested.

use std::sync::Arc;

use jiff::Timestamp;

use dockbell_proto::batch::{Batch, Change};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::event::Reference;
use dockbell_proto::ids::{DeliveryId, EventId, SourceName};
use dockbell_proto::names::{Digest, Registry, Repository, Tag};
use dockbell_proto::order::Order;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::trace::TraceContext;
use dockbell_proto::webhook::Webhook;

/// The tag that the made-up push sets, and the base name of the repository where the webhook leaves it open.
pub(crate) const NAME: &str = "dockbell-test";
/// The registry of the made-up push, where the webhook leaves it open: a name that can never exist (RFC 2606).
const REGISTRY: &str = "registry.example";
/// Who pushed.
const PUSHER: &str = "dockbell";
/// The digest of nothing at all, for what does not exist.
const NOTHING: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A delivery to `webhook` of a push that never happened.
pub(crate) fn delivery(webhook: &Webhook, id: DeliveryId, now: Timestamp) -> Delivery {
    let content = Batch {
        source: constant(SourceName::parse(PUSHER)),
        registry: webhook.registry.clone().unwrap_or_else(|| constant(Registry::parse(REGISTRY))),
        repository: repository(&webhook.pattern),
        opened_at: now,
        closed_at: now,
        events: 1,
        changes: vec![change(EventId::derived(&[id.as_str()]), now)],
        metadata: None,
        trace: TraceContext::default(),
    };
    Delivery {
        id,
        webhook: webhook.id.clone(),
        // A person asks for it, and wants to see now what happens, whatever the webhook's standing.
        request: 1,
        ordinal: 1,
        not_before: None,
        is_parked: false,
        first_at: None,
        awaits_since: None,
        content: Arc::new(content),
    }
}

/// Whether this is such a delivery: no push has an event that follows from the id of its delivery.
pub(crate) fn is_test(delivery: &Delivery) -> bool {
    let event = EventId::derived(&[delivery.id.as_str()]);
    delivery.content.newest().is_some_and(|newest| *newest.event() == event)
}

/// A repository that the pattern covers. Below a namespace whose name leaves no room it is the namespace.
fn repository(pattern: &Pattern) -> Repository {
    match pattern {
        Pattern::Exact(repository) => repository.clone(),
        Pattern::Namespace(namespace) => {
            Repository::parse(&format!("{namespace}/{NAME}")).unwrap_or_else(|_| namespace.clone())
        }
        Pattern::Everything => constant(Repository::parse(NAME)),
    }
}

fn change(event: EventId, now: Timestamp) -> Change {
    Change {
        tag: constant(Tag::parse(NAME)),
        digest: Some(constant(Digest::parse(NOTHING))),
        media_type: Some("application/vnd.oci.image.manifest.v1+json".to_owned()),
        size: Some(0),
        pusher: Some(PUSHER.to_owned()),
        pushed_at: now,
        order: Order::new(now, event.clone()),
        superseded: Vec::new(),
        children: Vec::new(),
        blobs: vec![
            blob("application/vnd.oci.image.config.v1+json"),
            blob("application/vnd.oci.image.layer.v1.tar+gzip"),
        ],
        truncated: false,
        event_ids: vec![event],
    }
}

fn blob(media_type: &str) -> Reference {
    Reference {
        digest: constant(Digest::parse(NOTHING)),
        media_type: Some(media_type.to_owned()),
        size: Some(0),
        platform: None,
    }
}

#[expect(clippy::expect_used, reason = "only constants of this file are read with it, and its tests read them all")]
fn constant<T, E: std::fmt::Debug>(read: Result<T, E>) -> T {
    read.expect("a constant of this file is valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    use dockbell_proto::message::Message;
    use dockbell_proto::webhook::Format;
    use dockbell_testkit::sample::{batch, moment, webhook};

    #[test]
    fn the_sample_is_covered_by_the_pattern_of_its_webhook() {
        let namespace = "n".repeat(250);
        let long = format!("{namespace}/*");
        for (pattern, repository) in [
            ("team/app", "team/app"),
            ("team/*", "team/dockbell-test"),
            ("*", "dockbell-test"),
            (long.as_str(), namespace.as_str()),
        ] {
            let webhook = webhook(1, pattern, Format::Batch, "https://receiver.test/");
            let delivery = delivery(&webhook, DeliveryId::from_random([7; 16]), moment());
            assert_eq!(delivery.content.repository.as_str(), repository);
            assert!(is_test(&delivery));
            assert!(!is_test(&dockbell_testkit::sample::delivery(&webhook.id, &batch("e", "team/app", &["1"]))));
            let message = Message::Delivery(delivery);
            assert_eq!(Message::decode(&message.encode()).unwrap(), message);
        }
    }
}
