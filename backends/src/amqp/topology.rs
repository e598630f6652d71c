//! The exchanges and queues, declared or looked for.
//!
//! Arguments that can never change stand here; what an operator tunes belongs into policies of the broker.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ExchangeKind};

use crate::bus::Queue;

use super::config::{AmqpConfig, Topology};
use super::connect::{self, CallError, within};
use super::delay::{STEPS, Step};
use super::names::shard_key;

/// Finite, because a message that is requeued without end threatens the broker, and far above what crashing
/// processes do to the innocent neighbours of a poisoned message.
const DELIVERY_LIMIT: i64 = 1_000;

/// Why the topology is not as it must be.
#[derive(Debug, thiserror::Error)]
pub(super) enum TopologyError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("these are missing, or another role must declare them: {}", .0.join(", "))]
    Missing(Vec<String>),
}

#[derive(Debug)]
struct Exchange {
    name: String,
    kind: ExchangeKind,
    arguments: FieldTable,
}

#[derive(Debug)]
struct Declared {
    name: String,
    arguments: FieldTable,
    /// Exchanges and keys that feed it.
    bindings: Vec<(String, String)>,
}

/// Makes the topology as it must be, or finds that it is not.
pub(super) async fn establish(config: &AmqpConfig, connection: &Connection) -> Result<(), TopologyError> {
    match config.options().topology {
        Topology::Declare => Ok(declare(config, connection).await?),
        Topology::Verify => verify(config, connection).await,
    }
}

async fn declare(config: &AmqpConfig, connection: &Connection) -> Result<(), CallError> {
    let bound = config.options().call_timeout;
    let channel = connect::channel(config, connection).await?;
    for Exchange { name, kind, arguments } in exchanges(config) {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declared = channel.exchange_declare(name.into(), kind, options, arguments);
        within(bound, "declare an exchange", declared).await?;
    }
    for queue in queues(config) {
        declare_queue(config, &channel, queue).await?;
    }
    connect::close_channel(config, &channel).await;
    Ok(())
}

async fn declare_queue(config: &AmqpConfig, channel: &Channel, queue: Declared) -> Result<(), CallError> {
    let bound = config.options().call_timeout;
    let Declared { name, arguments, bindings } = queue;
    let name = ShortString::from(name);
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    within(bound, "declare a queue", channel.queue_declare(name.clone(), options, arguments)).await?;
    for (exchange, key) in bindings {
        let options = QueueBindOptions::default();
        let bound_to = channel.queue_bind(name.clone(), exchange.into(), key.into(), options, FieldTable::default());
        within(bound, "bind a queue", bound_to).await?;
    }
    Ok(())
}

/// Looks for every exchange and queue. A look that fails closes its channel, so each failure costs a new one.
/// Arguments and bindings cannot be looked at this way; what cannot be routed is refused when it is published.
async fn verify(config: &AmqpConfig, connection: &Connection) -> Result<(), TopologyError> {
    let bound = config.options().call_timeout;
    let mut missing = Vec::new();
    let mut channel = connect::channel(config, connection).await?;
    for exchange in exchanges(config) {
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let name = ShortString::from(exchange.name.as_str());
        let found = channel.exchange_declare(name, exchange.kind, options, FieldTable::default());
        if is_missing(within(bound, "look for an exchange", found).await)? {
            missing.push(format!("exchange {}", exchange.name));
            channel = connect::channel(config, connection).await?;
        }
    }
    for queue in queues(config) {
        let found = channel.queue_declare(queue.name.as_str().into(), passive(), FieldTable::default());
        if is_missing(within(bound, "look for a queue", found).await)? {
            missing.push(format!("queue {}", queue.name));
            channel = connect::channel(config, connection).await?;
        }
    }
    connect::close_channel(config, &channel).await;
    if missing.is_empty() { Ok(()) } else { Err(TopologyError::Missing(missing)) }
}

/// Options that declare nothing.
pub(super) fn passive() -> QueueDeclareOptions {
    QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() }
}

/// A refusal by the broker means that it is not there; anything else is a failed look.
fn is_missing<T>(found: Result<T, CallError>) -> Result<bool, CallError> {
    match found {
        Ok(_) => Ok(false),
        Err(CallError::Refused(error)) if matches!(error.kind(), lapin::ErrorKind::ProtocolError(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

fn exchanges(config: &AmqpConfig) -> Vec<Exchange> {
    let names = &config.options().names;
    let exchange = |name: &str, kind| Exchange { name: name.to_owned(), kind, arguments: FieldTable::default() };
    let mut registry = exchange(&names.registry, ExchangeKind::Topic);
    registry.arguments = table([("alternate-exchange", text(&names.unrouted))]);
    let direct = Queue::ALL.map(|queue| exchange(names.exchange(queue), ExchangeKind::Direct));
    let others = [
        exchange(&names.unrouted, ExchangeKind::Fanout),
        registry,
        exchange(&names.delay, ExchangeKind::Topic),
        exchange(&names.due, ExchangeKind::Topic),
        exchange(&names.dead, ExchangeKind::Topic),
    ];
    direct.into_iter().chain(others).collect()
}

/// What is dead-lettered into stands before what dead-letters.
fn queues(config: &AmqpConfig) -> Vec<Declared> {
    let shards = 0..config.options().shards.get();
    let mut queues = vec![dead_queue(config), unrouted_queue(config)];
    for queue in Queue::ALL {
        queues.extend(shards.clone().map(|shard| work_queue(config, queue, shard)));
    }
    for step in STEPS {
        queues.extend(shards.clone().map(|shard| delay_queue(config, step, shard)));
    }
    queues
}

/// What others publish to the registry exchange goes to the first shard, whatever its repository.
fn work_queue(config: &AmqpConfig, queue: Queue, shard: u16) -> Declared {
    let names = &config.options().names;
    let mut arguments = kept(config, &names.dead);
    arguments.insert("x-dead-letter-routing-key".into(), text(queue.as_str()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
    let due = (names.due.clone(), format!("*.{}.{}", queue.as_str(), shard_key(shard)));
    let mut bindings = vec![(names.exchange(queue).to_owned(), shard_key(shard)), due];
    if queue == Queue::Events {
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        if shard == 0 {
            bindings.push((names.registry.clone(), "#".to_owned()));
        }
    }
    Declared { name: names.queue(queue, shard), arguments, bindings }
}

fn delay_queue(config: &AmqpConfig, step: Step, shard: u16) -> Declared {
    let names = &config.options().names;
    let mut arguments = kept(config, &names.due);
    let ttl = i64::try_from(step.queue_ttl().as_millis()).unwrap_or(i64::MAX);
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(ttl));
    let bindings = vec![(names.delay.clone(), format!("{}.*.{}", step.name, shard_key(shard)))];
    Declared { name: names.delay_queue(step, shard), arguments, bindings }
}

fn dead_queue(config: &AmqpConfig) -> Declared {
    let names = &config.options().names;
    let age = format!("{}s", config.options().dead_age.as_secs());
    let arguments = table([
        ("x-queue-type", text("stream")),
        ("x-max-age", text(&age)),
        ("x-max-length-bytes", number(config.options().dead_bytes)),
        ("x-stream-max-segment-size-bytes", number(config.segment_bytes())),
    ]);
    Declared { name: names.dead_queue(), arguments, bindings: vec![(names.dead.clone(), "#".to_owned())] }
}

/// The oldest go when it is full: nobody waits for them, and a full queue must not stop foreign publishers.
fn unrouted_queue(config: &AmqpConfig) -> Declared {
    let names = &config.options().names;
    let arguments = table([("x-queue-type", text("quorum")), ("x-max-length-bytes", number(config.shard_bytes()))]);
    Declared { name: names.unrouted_queue(), arguments, bindings: vec![(names.unrouted.clone(), String::new())] }
}

/// The arguments of a queue that loses nothing: what leaves it goes to an exchange, and is gone from it only
/// once it is durable there, which holds only while a full queue refuses.
fn kept(config: &AmqpConfig, dead_letter_exchange: &str) -> FieldTable {
    table([
        ("x-queue-type", text("quorum")),
        ("x-max-length-bytes", number(config.shard_bytes())),
        ("x-overflow", text("reject-publish")),
        ("x-dead-letter-exchange", text(dead_letter_exchange)),
        ("x-dead-letter-strategy", text("at-least-once")),
    ])
}

fn table<const N: usize>(arguments: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn number(value: u64) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(value).unwrap_or(i64::MAX))
}
