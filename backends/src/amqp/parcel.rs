//! A message as it stands on the wire.
//!
//! Headers of our own begin with `dockbell-` and carry what the protocol has no place for; headers of the
//! broker are left where they are, and never published again.

use std::time::Duration;

use bytes::Bytes;
use dockbell_proto::clock::Clock;
use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, MAX_SHORT_STRING_LENGTH, ShortString};

use crate::bus::{Letter, Outgoing, PublishError};

const NOT_BEFORE: &str = "dockbell-not-before";
const PUBLISHER: &str = "dockbell-publisher";
const REPEATED: &str = "dockbell-maybe-repeated";
/// What a message has that stands for several.
pub(super) const BUNDLE: &str = "dockbell-bundle";
const REASON: &str = "dockbell-reason";
const DIED_AT: &str = "dockbell-died-at";
const DIED_ON: &str = "dockbell-died-on";
const CONTENT_TYPE: &str = "content-type";
/// What brokers from 3.10 to 4.x add to messages.
const OF_BROKER: [&str; 9] = [
    "x-death",
    "x-delivery-count",
    "x-acquired-count",
    "x-stream-offset",
    "x-first-death-",
    "x-last-death-",
    "x-opt-",
    "x-received-",
    "x-queue-",
];
const PERSISTENT: u8 = 2;

/// The end of a message that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Death {
    pub(super) queue: String,
    pub(super) reason: String,
    pub(super) at: Timestamp,
}

/// A message, without the ways of the protocol.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) id: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) maybe_repeated: bool,
    /// The earliest time to hand it out, in milliseconds of Unix time, and the process that said so.
    pub(super) due: Option<(i64, String)>,
    pub(super) death: Option<Death>,
    /// Whether it stands for several messages.
    pub(super) is_bundle: bool,
}

impl Parcel {
    /// Takes a message in; what the wire has no room for is refused.
    pub(super) fn new(message: Outgoing) -> Result<Self, PublishError> {
        let Outgoing { id, key: _, headers, body, maybe_repeated } = message;
        let fits = |text: &str| text.len() <= MAX_SHORT_STRING_LENGTH;
        if !fits(&id) || !headers.iter().all(|(name, value)| fits(name) && (name != CONTENT_TYPE || fits(value))) {
            return Err(PublishError::Unroutable("an id or a header's name is longer than 255 bytes".to_owned()));
        }
        let is_bundle = headers.iter().any(|(name, _)| name == BUNDLE);
        Ok(Self { id, headers, body, maybe_repeated, due: None, death: None, is_bundle })
    }

    /// Reads a message from the wire. Headers come in the order of their names.
    pub(super) fn read(delivery: Delivery) -> Self {
        let Delivery { redelivered, properties, data, .. } = delivery;
        let mut own = Own::default();
        let mut headers: Vec<(String, String)> = Vec::new();
        if let Some(kind) = properties.content_type() {
            headers.push((CONTENT_TYPE.to_owned(), kind.as_str().to_owned()));
        }
        for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
            let Some(value) = text_of(value) else { continue };
            let name = name.as_str().to_ascii_lowercase();
            if !own.take(&name, &value) && !OF_BROKER.iter().any(|prefix| name.starts_with(prefix)) {
                headers.push((name, value));
            }
        }
        headers.sort();
        Self {
            id: properties.message_id().as_ref().map(|id| id.as_str().to_owned()).unwrap_or_default(),
            headers,
            body: data.into(),
            maybe_repeated: redelivered || own.maybe_repeated,
            due: own.not_before.map(|at| (at, own.publisher.unwrap_or_default())),
            death: own.death,
            is_bundle: own.is_bundle,
        }
    }

    /// A message that was handed out and is given up, and why.
    pub(super) fn given_up(letter: Letter) -> (Self, String) {
        let Letter { id, headers, body, maybe_repeated, reason } = letter;
        (Self { id, headers, body, maybe_repeated, due: None, death: None, is_bundle: false }, reason)
    }

    pub(super) fn properties(&self) -> BasicProperties {
        let mut table = FieldTable::default();
        let mut kind = None;
        for (name, value) in &self.headers {
            if name == CONTENT_TYPE {
                kind = ShortString::try_new(value.as_str()).ok();
            } else {
                insert(&mut table, name, value);
            }
        }
        if self.maybe_repeated {
            insert(&mut table, REPEATED, "true");
        }
        if let Some((at, publisher)) = &self.due {
            insert(&mut table, NOT_BEFORE, &at.to_string());
            insert(&mut table, PUBLISHER, publisher);
        }
        if let Some(death) = &self.death {
            insert(&mut table, REASON, &death.reason);
            insert(&mut table, DIED_AT, &death.at.to_string());
            insert(&mut table, DIED_ON, &death.queue);
        }
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(table);
        let properties = properties.with_message_id(ShortString::try_new(self.id.as_str()).unwrap_or_default());
        match kind {
            Some(kind) => properties.with_content_type(kind),
            None => properties,
        }
    }

    /// How long it has still to wait.
    pub(super) fn remaining(&self, clock: &dyn Clock) -> Duration {
        let Some((due, _)) = &self.due else { return Duration::ZERO };
        let left = due.saturating_mul(1_000).saturating_sub(clock.now().as_microsecond());
        Duration::from_micros(u64::try_from(left).unwrap_or_default())
    }

    /// The earliest time to hand out what is to wait for `delay`, rounded up.
    pub(super) fn not_before(clock: &dyn Clock, delay: Duration) -> i64 {
        let delay = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
        let at = clock.now().as_microsecond().saturating_add(delay);
        at.saturating_add(999).div_euclid(1_000)
    }
}

#[derive(Default)]
struct Own {
    maybe_repeated: bool,
    not_before: Option<i64>,
    publisher: Option<String>,
    death: Option<Death>,
    is_bundle: bool,
}

impl Own {
    /// Takes a header of ours; says whether it is one.
    fn take(&mut self, name: &str, value: &str) -> bool {
        match name {
            NOT_BEFORE => self.not_before = value.parse().ok(),
            PUBLISHER => self.publisher = Some(value.to_owned()),
            REPEATED => self.maybe_repeated = true,
            // It stays among the headers, so that a dead letter is revived as what it was.
            BUNDLE => {
                self.is_bundle = true;
                return false;
            }
            REASON => value.clone_into(&mut self.death().reason),
            DIED_AT => self.death().at = value.parse().unwrap_or_default(),
            DIED_ON => value.clone_into(&mut self.death().queue),
            _ => return false,
        }
        true
    }

    fn death(&mut self) -> &mut Death {
        let unknown = || Death { queue: String::new(), reason: String::new(), at: Timestamp::UNIX_EPOCH };
        self.death.get_or_insert_with(unknown)
    }
}

fn insert(table: &mut FieldTable, name: &str, value: &str) {
    if let Ok(name) = ShortString::try_new(name) {
        table.insert(name, AMQPValue::LongString(value.into()));
    }
}

/// A header as text. Lists and tables, which foreign publishers may send, are left out.
fn text_of(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        AMQPValue::Boolean(value) => Some(value.to_string()),
        AMQPValue::ShortShortInt(value) => Some(value.to_string()),
        AMQPValue::ShortInt(value) => Some(value.to_string()),
        AMQPValue::LongInt(value) => Some(value.to_string()),
        AMQPValue::LongLongInt(value) => Some(value.to_string()),
        AMQPValue::LongUInt(value) => Some(value.to_string()),
        _ => None,
    }
}
