//! What the API shows of dead letters and strays.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use dockbell_backends::bus::Stray;
use dockbell_backends::store::AttemptEntry;
use dockbell_proto::batch::Batch;
use dockbell_proto::message::Message;

use super::AttemptView;
use crate::letters::Found;

/// The most bytes of the body of one letter that are shown; what we publish ourselves is shorter.
const BODY_SHOWN: usize = 512 * 1024;
/// The most bytes of the body of a stray, of which there may be a hundred in a list.
const STRAY_SHOWN: usize = 8 * 1024;

/// A message that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeadLetter)]
pub struct DeadLetterView {
    /// Its place among the dead letters; later ones are larger.
    pub position: u64,
    /// When it was given up; 1970, if that is unknown.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The queue it came from.
    #[schema(schema_with = crate::openapi::queue_schema)]
    pub queue: String,
    /// Why it was given up.
    pub reason: String,
    /// The id of the message; empty, if its publisher gave it none.
    pub message: String,
    /// The delivery, if it is one.
    #[schema(example = "msg_0123456789abcdef0123456789abcdef")]
    pub delivery: Option<String>,
    /// The webhook that the delivery is owed to.
    #[schema(example = "wh_0123456789abcdef01234567")]
    pub webhook: Option<String>,
    /// The registry that was pushed to; null if the message cannot be read.
    pub registry: Option<String>,
    /// The repository that was pushed to.
    pub repository: Option<String>,
    /// The tags that changed.
    pub tags: Vec<String>,
    /// What was decided about it; null if nothing was.
    #[schema(schema_with = crate::openapi::mark_schema)]
    pub mark: Option<String>,
    /// When that was decided.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub marked_at: Option<Timestamp>,
    /// Its headers; left out in lists.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Its body as text; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The last attempt of the delivery, as far as the history has it; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<AttemptView>,
}

/// A dead letter is on its way again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevivalAsked {
    /// Its place among the dead letters.
    pub position: u64,
    /// The delivery, if it is one.
    pub delivery: Option<String>,
    /// The number of the redelivery, if it is one; its attempts carry it.
    pub request: Option<u32>,
}

/// What became of dead letters about which something was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LettersDecided {
    /// How many were revived or discarded.
    pub done: usize,
    /// How many were left as they are, because their webhook was removed or is disabled.
    pub skipped: usize,
    /// The time of the latest that were meant: what to give as `until` to go on.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// What to give as `after` to go on; null at the end.
    pub next: Option<String>,
}

/// A message of another publisher that nothing was bound to take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Stray)]
pub struct StrayView {
    /// The routing key it was published with.
    pub key: String,
    /// The id of the message; empty, if its publisher gave it none.
    pub message: String,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// The beginning of its body as text.
    pub body: String,
}

/// Strays were published again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StraysReplayed {
    /// How many.
    pub replayed: u32,
}

impl DeadLetterView {
    /// As it stands in a list.
    pub(crate) fn listed(found: &Found) -> Self {
        let letter = &found.letter;
        let content = found.message.as_ref().map(content);
        let delivery = found.delivery();
        Self {
            position: letter.position,
            at: letter.at,
            queue: letter.queue.as_str().to_owned(),
            reason: letter.reason.clone(),
            message: letter.id.clone(),
            delivery: delivery.map(|delivery| delivery.id.to_string()),
            webhook: delivery.map(|delivery| delivery.webhook.to_string()),
            registry: content.map(|content| content.registry.to_string()),
            repository: content.map(|content| content.repository.to_string()),
            tags: content
                .into_iter()
                .flat_map(|content| &content.changes)
                .map(|change| change.tag.to_string())
                .collect(),
            mark: found.mark.map(|mark| mark.decision.as_str().to_owned()),
            marked_at: found.mark.map(|mark| mark.at),
            headers: BTreeMap::new(),
            body: None,
            last_attempt: None,
        }
    }

    /// With all that is known of it.
    pub(crate) fn whole(found: &Found, last_attempt: Option<AttemptEntry>) -> Self {
        let letter = &found.letter;
        Self {
            headers: letter.headers.iter().cloned().collect(),
            body: Some(text(&letter.body, BODY_SHOWN)),
            last_attempt: last_attempt.map(AttemptView::from),
            ..Self::listed(found)
        }
    }
}

impl From<Stray> for StrayView {
    fn from(stray: Stray) -> Self {
        let Stray { key, id, headers, body } = stray;
        Self { key, message: id, headers: headers.into_iter().collect(), body: text(&body, STRAY_SHOWN) }
    }
}

fn content(message: &Message) -> &Batch {
    match message {
        Message::Batch(batch) => batch,
        Message::Delivery(delivery) => &delivery.content,
    }
}

fn text(body: &[u8], limit: usize) -> String {
    String::from_utf8_lossy(body.get(..limit.min(body.len())).unwrap_or_default()).into_owned()
}
