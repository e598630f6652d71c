//! How much stands on queues, as far as the protocol tells.

use std::sync::atomic::Ordering;

use lapin::Connection;
use lapin::types::FieldTable;

use crate::bus::{Depth, Queue};

use super::config::AmqpConfig;
use super::connect::{self, CallError, within};
use super::delay::STEPS;
use super::incarnation::Incarnation;
use super::sizes::Sizes;
use super::sources::{self, Role};
use super::topology::passive;

/// The messages of `queues` that wait for a consumer. Nothing stands on a queue that is not there.
pub(super) async fn ready(config: &AmqpConfig, connection: &Connection, queues: Vec<String>) -> Result<u64, CallError> {
    let mut channel = connect::channel(config, connection).await?;
    let mut ready = 0;
    for queue in queues {
        let looking = channel.queue_declare(queue.into(), passive(), FieldTable::default());
        match within(config.options().call_timeout, "look at a queue", looking).await {
            Ok(found) => ready += u64::from(found.message_count()),
            Err(error) if error.is_not_found() => channel = connect::channel(config, connection).await?,
            Err(error) => return Err(error),
        }
    }
    connect::close_channel(config, &channel).await;
    Ok(ready)
}

/// The depth of a queue, with what earlier configurations left of it; events include the inbox. The protocol
/// tells what is ready; of what is handed out this process knows its own share only, and bytes are estimated by
/// the mean size of what it saw. Delayed messages of all queues wait on the same steps and are counted as
/// redeliveries, which nearly all of them are.
///
/// The broker answers after it has taken all acknowledgements that were written before to this connection.
pub(super) async fn depth(
    config: &AmqpConfig,
    incarnation: &Incarnation,
    sizes: &Sizes,
    queue: Queue,
) -> Result<Depth, CallError> {
    let roles = [Some(Role::Work(queue)), (queue == Queue::Events).then_some(Role::Inbox)];
    let left = &incarnation.left;
    let of = |role| sources::present(config, role).into_iter().chain(left.of(role).cloned());
    let queues = roles.into_iter().flatten().flat_map(of).map(|source| source.name).collect();
    let held = sizes.held(queue).load(Ordering::Relaxed);
    let messages = held + ready(config, &incarnation.connection, queues).await?;
    let mut delayed = 0;
    if queue == Queue::Redeliveries {
        let names = &config.options().names;
        let shards = 0..config.options().shards.get();
        let of_step = |step| shards.clone().map(move |shard| names.delay_queue(step, shard));
        let queues = STEPS.into_iter().flat_map(of_step).chain(left.delays.iter().cloned()).collect();
        delayed = ready(config, &incarnation.connection, queues).await?;
    }
    Ok(Depth { messages, delayed, bytes: (messages + delayed).saturating_mul(sizes.mean(queue)) })
}
