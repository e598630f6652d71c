//! How much stands on queues, as far as the protocol tells.

use std::sync::atomic::Ordering;

use lapin::Connection;
use lapin::types::FieldTable;

use crate::bus::{Depth, Queue};

use super::config::AmqpConfig;
use super::connect::{self, CallError, within};
use super::delay::STEPS;
use super::sizes::Sizes;
use super::topology::passive;

/// The messages of `queues` that wait for a consumer.
pub(super) async fn ready(config: &AmqpConfig, connection: &Connection, queues: Vec<String>) -> Result<u64, CallError> {
    let channel = connect::channel(config, connection).await?;
    let mut ready = 0;
    for queue in queues {
        let looking = channel.queue_declare(queue.into(), passive(), FieldTable::default());
        let found = within(config.options().call_timeout, "look at a queue", looking).await?;
        ready += u64::from(found.message_count());
    }
    connect::close_channel(config, &channel).await;
    Ok(ready)
}

/// The depth of a queue. The protocol tells what is ready; of what is handed out this process knows its own
/// share only, and bytes are estimated by the mean size of what it saw. Delayed messages of all queues wait
/// on the same steps and are counted as redeliveries, which nearly all of them are.
///
/// The broker answers after it has taken all acknowledgements that were written before to this connection.
pub(super) async fn depth(
    config: &AmqpConfig,
    connection: &Connection,
    sizes: &Sizes,
    queue: Queue,
) -> Result<Depth, CallError> {
    let names = &config.options().names;
    let shards = 0..config.options().shards.get();
    let held = sizes.held(queue).load(Ordering::Relaxed);
    let queues = shards.clone().map(|shard| names.queue(queue, shard)).collect();
    let messages = held + ready(config, connection, queues).await?;
    let mut delayed = 0;
    if queue == Queue::Redeliveries {
        let of_step = |step| shards.clone().map(move |shard| names.delay_queue(step, shard));
        delayed = ready(config, connection, STEPS.into_iter().flat_map(of_step).collect()).await?;
    }
    Ok(Depth { messages, delayed, bytes: (messages + delayed).saturating_mul(sizes.mean()) })
}
