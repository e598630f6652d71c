//! What a receiver got, read as a receiver reads it.

use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::ids::{DeliveryId, EventId, WebhookId};
use dockbell_proto::order::Order;
use dockbell_proto::signature::{ID_HEADER, SIGNATURE_HEADER, Signed, SigningSecret, TIMESTAMP_HEADER};
use dockbell_testkit::receiver::Recorded;
use serde_json::Value;

use crate::calls::Made;

pub(crate) fn header<'a>(request: &'a Recorded, name: &str) -> &'a str {
    request.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// The id that it carries.
pub(crate) fn delivery_id(request: &Recorded) -> &str {
    header(request, ID_HEADER)
}

pub(crate) fn json(request: &Recorded) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// It must be signed with the secret that was told when the webhook was made.
pub(crate) fn assert_signed(request: &Recorded, made: &Made) {
    let signed = Signed {
        id: header(request, ID_HEADER),
        timestamp: header(request, TIMESTAMP_HEADER),
        signature: header(request, SIGNATURE_HEADER),
        body: &request.body,
    };
    assert_eq!(SigningSecret::parse(&made.secret).unwrap().verify(&signed, SystemClock.now()), Ok(()));
}

/// The tag that a payload of any format is about; of a batch, its first one.
pub(crate) fn tag(request: &Recorded) -> String {
    let payload = json(request);
    let in_header = header(request, "x-alin-webhook").rsplit_once(':').map(|(_, tag)| tag.to_owned());
    let in_body = || payload.pointer("/push_data/tag").or_else(|| payload.pointer("/changes/0/tag"))?.as_str();
    in_header.or_else(|| in_body().map(str::to_owned)).unwrap()
}

/// The id that a payload of format `batch` must carry: it follows from the newest event of each change.
pub(crate) fn expected_id(payload: &Value, made: &Made) -> DeliveryId {
    let changes = payload["changes"].as_array().unwrap();
    let order = |change: &Value| Order::try_from(change["order"].as_str().unwrap().to_owned()).unwrap();
    let newest: Vec<EventId> = changes.iter().map(|change| order(change).event().clone()).collect();
    let repository = (payload["registry"].as_str().unwrap(), payload["repository"].as_str().unwrap());
    DeliveryId::derive(&WebhookId::parse(&made.id).unwrap(), repository, "*", &newest)
}

/// The id that a webhook about one tag must carry, whose newest event is `event`.
pub(crate) fn tag_id(repository: (&str, &str), (made, tag): (&Made, &str), event: &str) -> DeliveryId {
    let webhook = WebhookId::parse(&made.id).unwrap();
    DeliveryId::derive(&webhook, repository, tag, [&EventId::parse(event).unwrap()])
}

/// The events that a payload of format `batch` is made of.
pub(crate) fn event_ids(payload: &Value) -> Vec<String> {
    let changes = payload["changes"].as_array().unwrap().iter();
    let ids = changes.flat_map(|change| change["event_ids"].as_array().unwrap());
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}
