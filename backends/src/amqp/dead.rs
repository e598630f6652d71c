//! Dead letters: read from their stream, which keeps them.

use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, Consumer};

use crate::bus::{DeadLetter, Queue};

use super::config::AmqpConfig;
use super::connect::{self, CallError, within};
use super::parcel::{Death, Parcel};

/// The most letters and bytes that one look returns.
const MOST_LETTERS: u16 = 1_000;
/// How many letters may be on their way.
const PREFETCH: u16 = 16;
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// A stream does not tell where it ends: it has ended when nothing comes for a while.
const FIRST_WAIT: Duration = Duration::from_millis(1_500);
const NEXT_WAIT: Duration = Duration::from_millis(300);

/// Up to `limit` letters after `position`, which is one more than the offset of a letter in the stream. A stream
/// lets go of what is too old by whole segments, and late; here it is gone at `now`.
pub(super) async fn letters(
    config: &AmqpConfig,
    connection: &Connection,
    position: u64,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<DeadLetter>, CallError> {
    let limit = u16::try_from(limit).unwrap_or(MOST_LETTERS).min(MOST_LETTERS);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let channel = connect::channel(config, connection).await?;
    let mut consumer = subscribe(config, &channel, position).await?;
    let mut letters = Vec::new();
    let (mut bytes, mut wait) = (0, FIRST_WAIT);
    while letters.len() < usize::from(limit) && bytes < MOST_BYTES {
        let Ok(Some(delivery)) = tokio::time::timeout(wait, consumer.next()).await else { break };
        let delivery = delivery?;
        // A stream keeps what is acknowledged, and hands out more for it.
        let more = channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default());
        within(config.options().call_timeout, "read on", more).await?;
        if let Some(letter) = read(delivery)
            && letter.position > position
            && !is_expired(config, &letter, now)
        {
            bytes += letter.body.len();
            letters.push(letter);
        }
        wait = NEXT_WAIT;
    }
    drop(consumer);
    connect::close_channel(config, &channel).await;
    Ok(letters)
}

/// A stream wants a bound of what is unsettled, which is also what lapin holds for us.
async fn subscribe(config: &AmqpConfig, channel: &Channel, offset: u64) -> Result<Consumer, CallError> {
    let bound = config.options().call_timeout;
    within(bound, "set the prefetch", channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-stream-offset".into(), AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)));
    let queue = config.options().names.dead_queue().into();
    let options = BasicConsumeOptions::default();
    within(bound, "read dead letters", channel.basic_consume(queue, ShortString::default(), options, arguments)).await
}

/// Of a letter whose time is unknown the broker alone decides.
fn is_expired(config: &AmqpConfig, letter: &DeadLetter, now: Timestamp) -> bool {
    let age = Duration::try_from(now.duration_since(letter.at)).unwrap_or_default();
    letter.at != Timestamp::UNIX_EPOCH && age >= config.options().dead_age
}

/// When the broker gave a message up, by its own clock to the second.
fn died_at(headers: &FieldTable) -> Option<Timestamp> {
    let AMQPValue::FieldArray(deaths) = headers.inner().get("x-death")? else { return None };
    let AMQPValue::FieldTable(death) = deaths.as_slice().first()? else { return None };
    match death.inner().get("time")? {
        AMQPValue::Timestamp(seconds) => Timestamp::from_second(i64::try_from(*seconds).ok()?).ok(),
        _ => None,
    }
}

/// A letter that the broker itself gave up has no reason of ours: it was handed out too often.
fn read(delivery: Delivery) -> Option<DeadLetter> {
    let headers = delivery.properties.headers().as_ref()?;
    let offset = match headers.inner().get("x-stream-offset")? {
        AMQPValue::LongLongInt(offset) => u64::try_from(*offset).ok()?,
        _ => return None,
    };
    let by_broker = Death {
        queue: delivery.routing_key.to_string(),
        reason: "handed out too often".to_owned(),
        at: died_at(headers).unwrap_or(Timestamp::UNIX_EPOCH),
    };
    let Parcel { id, headers, body, death, .. } = Parcel::read(delivery);
    let Death { queue, reason, at } = death.unwrap_or(by_broker);
    let queue = Queue::ALL.into_iter().find(|known| known.as_str() == queue)?;
    Some(DeadLetter { position: offset + 1, queue, reason, at, id, headers, body })
}
