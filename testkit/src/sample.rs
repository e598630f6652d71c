//! Events, batches and webhooks to test with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dockbell_proto::batch::Batch;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::event::Event;
use dockbell_proto::filter::Filter;
use dockbell_proto::ids::{DeliveryId, EventId, WebhookId};
use dockbell_proto::options::Options;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::policy::PolicyPatch;
use dockbell_proto::proof::{Authorization, Proofs, ProofsPatch, Rotation, Scheme, Signatures};
use dockbell_proto::secret::Secret;
use dockbell_proto::signature::SigningSecret;
use dockbell_proto::signature::ed25519::SigningKey;
use dockbell_proto::tls::TargetTls;
use dockbell_proto::webhook::{Format, Webhook};
use jiff::Timestamp;
use serde_json::json;

/// A point in time for tests that need any.
///
/// # Panics
/// Never.
pub fn moment() -> Timestamp {
    Timestamp::from_second(1_767_323_045).expect("a valid time")
}

/// A digest that `fill` tells apart from others.
pub fn digest(fill: u32) -> String {
    format!("sha256:{fill:064x}")
}

/// A push of `tag` to `repository` on `hub.test`, taken in `after_ms` milliseconds after [`moment`]. Its
/// digest follows from its id.
///
/// # Panics
/// If a name is not valid.
pub fn event(id: &str, repository: &str, tag: Option<&str>, after_ms: i64) -> Event {
    let at = moment().as_millisecond() + after_ms;
    let fill = id.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let event = json!({
        "schema": "dockbell.event/1", "id": id, "source": "lab", "registry": "hub.test", "repository": repository, "tag": tag,
        "digest": digest(fill), "media_type": "application/vnd.oci.image.manifest.v1+json", "size": 700, "pusher": "alice",
        "time": Timestamp::from_millisecond(at).expect("a valid time"), "received_at": Timestamp::from_millisecond(at).expect("a valid time"),
    });
    serde_json::from_value(event).expect("a valid event")
}

/// A batch of one change per tag, whose events are `<id>-<tag>`.
///
/// # Panics
/// If a name is not valid.
pub fn batch(id: &str, repository: &str, tags: &[&str]) -> Batch {
    let change = |tag: &&str| {
        json!({
            "tag": tag, "digest": digest(1), "media_type": "application/vnd.oci.image.manifest.v1+json", "size": 700, "pusher": "alice",
            "pushed_at": moment(), "order": format!("{:020}-{id}-{tag}", moment().as_microsecond()), "event_ids": [format!("{id}-{tag}")],
        })
    };
    let batch = json!({
        "source": "lab", "registry": "hub.test", "repository": repository, "opened_at": moment(), "closed_at": moment(),
        "events": tags.len(), "changes": tags.iter().map(change).collect::<Vec<_>>(),
    });
    serde_json::from_value(batch).expect("a valid batch")
}

/// A webhook that `number` tells apart from others.
///
/// # Panics
/// If `pattern` is not valid.
pub fn webhook(number: u8, pattern: &str, format: Format, url: &str) -> Webhook {
    Webhook {
        id: WebhookId::from_random([number; 16]),
        name: format!("webhook {number}"),
        pattern: Pattern::parse(pattern).expect("a valid pattern"),
        registry: None,
        filter: Filter::default(),
        after: None,
        url: Secret::new(url),
        format,
        options: Options::default(),
        headers: BTreeMap::new(),
        proofs: Proofs::v1(SigningSecret::from_random([number; 32])),
        tls: TargetTls::default(),
        enabled: true,
        disabled_reason: None,
        policy: PolicyPatch::default(),
        created_at: moment(),
        updated_at: moment(),
    }
}

/// All ways to prove where attempts come from, with the secrets and keys of before a rotation.
///
/// # Panics
/// Never.
pub fn every_proof() -> Proofs {
    let (secret, key) = (SigningSecret::from_random([2; 32]), SigningKey::from_random([3; 32]));
    let every = BTreeSet::from(Scheme::ALL);
    let first = ProofsPatch {
        signatures: Some(Signatures::new(&every, SigningKey::from_random([4; 32]))),
        authorization: Some(Some(Authorization::basic("é\"'", "p w").expect("an authorization"))),
        rotation: None,
    };
    let rotation = ProofsPatch { rotation: Some(Rotation { secret, key }), ..ProofsPatch::default() };
    let proofs = Proofs::v1(SigningSecret::from_random([1; 32])).patched(first, moment());
    proofs.patched(rotation, moment() + Duration::from_micros(7))
}

/// The first attempt of what `webhook` is owed of `content`, which is about one change.
///
/// # Panics
/// If `content` holds no change.
pub fn delivery(webhook: &WebhookId, content: &Batch) -> Delivery {
    let change = content.changes.first().expect("a change");
    let newest: &EventId = change.order.event();
    let repository = (content.registry.as_str(), content.repository.as_str());
    let id = DeliveryId::derive(webhook, repository, change.tag.as_str(), [newest]);
    Delivery {
        id,
        webhook: webhook.clone(),
        request: 0,
        ordinal: 1,
        not_before: None,
        is_parked: false,
        first_at: None,
        awaits_since: None,
        content: Arc::new(content.clone()),
    }
}
