//! Lets the queues of the version before be fed no more, so that they are drained.

use lapin::Connection;

use crate::amqp::config::AmqpConfig;
use crate::amqp::connect::CallError;
use crate::amqp::delay::STEPS;
use crate::amqp::names::{INBOX_KEY, due_key, shard_key, step_key};
use crate::bus::Queue;

use super::ALL_KEYS;
use super::survey::Survey;

/// Takes the version before, which has `shards` shards, out of our exchanges. What its processes still publish, and
/// what waits on its steps, comes to the present queues, which take the place of its further shards too. Returns what was refused.
pub(in crate::amqp) async fn leave_previous(
    config: &AmqpConfig,
    connection: &Connection,
    shards: u16,
) -> Result<Vec<String>, CallError> {
    let names = &config.options().names;
    let Some(previous) = names.previous() else { return Ok(Vec::new()) };
    let mut survey = Survey::begin(config, connection).await?;
    let registry = (names.registry.clone(), ALL_KEYS.to_owned());
    for shard in 0..shards {
        let present = shard % config.options().shards;
        for queue in Queue::ALL {
            let due = (names.due.clone(), due_key(queue, shard));
            let mut places = vec![(names.exchange(queue).to_owned(), shard_key(shard)), due];
            survey.bind(&names.queue(queue, present), &places).await?;
            places.extend((queue == Queue::Events).then(|| registry.clone()));
            survey.unbind(&previous.queue(queue, shard), &places).await?;
        }
        for step in STEPS {
            let place = [(names.delay.clone(), step_key(step, shard))];
            survey.bind(&names.delay_queue(step, present), &place).await?;
            survey.unbind(&previous.delay_queue(step, shard), &place).await?;
        }
    }
    let inbox = (names.events.clone(), INBOX_KEY.to_owned());
    survey.unbind(&previous.inbox_queue(), &[registry, inbox]).await?;
    survey.unbind(&previous.dead_queue(), &[(names.dead.clone(), ALL_KEYS.to_owned())]).await?;
    survey.unbind(&previous.unrouted_queue(), &[(names.unrouted.clone(), String::new())]).await?;
    Ok(survey.end().await)
}
