//! Strays: what others published and nothing was bound to take, on the queue behind the alternate exchange.

use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::{Channel, Connection};

use crate::bus::{BusError, Stray};

use super::config::AmqpConfig;
use super::connect::{self, CallError, within};
use super::outbox::Outbox;
use super::parcel::Parcel;

/// The most strays and bytes that one look or one replay takes.
const MOST_STRAYS: u32 = 1_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Up to `limit` strays, oldest first, which are then given back.
pub(super) async fn look(config: &AmqpConfig, connection: &Connection, limit: u32) -> Result<Vec<Stray>, CallError> {
    let channel = connect::channel(config, connection).await?;
    let (mut strays, mut bytes, mut last) = (Vec::new(), 0, None);
    for _ in 0..limit.min(MOST_STRAYS) {
        let Some(delivery) = get(config, &channel).await? else { break };
        last = Some(delivery.delivery_tag);
        let key = delivery.routing_key.to_string();
        let Parcel { id, headers, body, .. } = Parcel::read(delivery);
        bytes += body.len();
        strays.push(Stray { key, id, headers, body });
        if bytes >= MOST_BYTES {
            break;
        }
    }
    if let Some(tag) = last {
        // What an error leaves is given back when the channel closes, which newer brokers count as a failed delivery.
        let options = BasicNackOptions { multiple: true, requeue: true };
        within(config.options().call_timeout, "give strays back", channel.basic_nack(tag, options)).await?;
    }
    connect::close_channel(config, &channel).await;
    Ok(strays)
}

/// Publishes up to `limit` strays to where what others publish goes, and says how many. Those before an error are
/// replayed all the same, so that it is told only if there are none.
pub(super) async fn replay(outbox: &Outbox, connection: &Connection, limit: u32) -> Result<u32, BusError> {
    let config = &outbox.config;
    let away = |error: CallError| BusError::Away(error.to_string());
    let channel = connect::channel(config, connection).await.map_err(away)?;
    let (mut count, mut failed) = (0, None);
    while count < limit.min(MOST_STRAYS) && failed.is_none() {
        match replay_one(outbox, &channel).await {
            Ok(true) => count += 1,
            Ok(false) => break,
            Err(error) => failed = Some(error),
        }
    }
    // What was got and not acknowledged goes back, and the broker has carried out the acknowledgements.
    connect::close_channel(config, &channel).await;
    match failed {
        Some(error) if count == 0 => Err(error),
        Some(error) => {
            tracing::warn!(%error, count, "not all strays were replayed");
            Ok(count)
        }
        None => Ok(count),
    }
}

/// Says whether there was one.
async fn replay_one(outbox: &Outbox, channel: &Channel) -> Result<bool, BusError> {
    let away = |error: CallError| BusError::Away(error.to_string());
    let Some(delivery) = get(&outbox.config, channel).await.map_err(away)? else { return Ok(false) };
    let tag = delivery.delivery_tag;
    let publishing = outbox.publish_as_others_do(Parcel::read(delivery)).await;
    publishing.map_err(|error| BusError::Away(error.to_string()))?;
    let acknowledging = channel.basic_ack(tag, BasicAckOptions::default());
    within(outbox.config.options().call_timeout, "acknowledge", acknowledging).await.map_err(away)?;
    Ok(true)
}

async fn get(config: &AmqpConfig, channel: &Channel) -> Result<Option<Delivery>, CallError> {
    let queue = config.options().names.unrouted_queue().into();
    let getting = channel.basic_get(queue, BasicGetOptions::default());
    let got = within(config.options().call_timeout, "look for strays", getting).await?;
    Ok(got.map(|message| message.delivery))
}
