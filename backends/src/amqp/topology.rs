//! The exchanges and queues as they must be.
//!
//! Arguments that can never change stand here; what an operator tunes belongs into policies of the broker.

mod leave;
mod survey;

use lapin::ExchangeKind;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use crate::bus::Queue;

use super::config::AmqpConfig;
use super::delay::{STEPS, Step};
use super::names::{INBOX_KEY, due_key, shard_key, step_key};

pub(super) use self::leave::leave_previous;
pub(super) use self::survey::establish;

/// Finite, because a message that is requeued without end threatens the broker, and far above what crashing
/// processes do to the innocent neighbours of a poisoned message.
const DELIVERY_LIMIT: i64 = 1_000;

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
    bindings: Vec<Place>,
    /// Exchanges and keys that fed it under another number of shards.
    unbound: Vec<Place>,
}

/// An exchange and a key.
type Place = (String, String);

/// All that is published to an exchange.
const ALL_KEYS: &str = "#";

/// Options that declare nothing.
pub(super) fn passive() -> QueueDeclareOptions {
    QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() }
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
        exchange(&names.operations, ExchangeKind::Topic),
    ];
    direct.into_iter().chain(others).collect()
}

/// What is dead-lettered into stands before what dead-letters.
fn queues(config: &AmqpConfig) -> Vec<Declared> {
    let shards = 0..config.options().shards.get();
    let mut queues = vec![dead_queue(config), unrouted_queue(config), inbox_queue(config)];
    for queue in Queue::ALL {
        queues.extend(shards.clone().map(|shard| work_queue(config, queue, shard)));
    }
    for step in STEPS {
        queues.extend(shards.clone().map(|shard| delay_queue(config, step, shard)));
    }
    queues
}

fn work_queue(config: &AmqpConfig, queue: Queue, shard: u16) -> Declared {
    let names = &config.options().names;
    let mut declared = Declared {
        name: names.queue(queue, shard),
        arguments: worked(config, queue),
        bindings: vec![
            (names.exchange(queue).to_owned(), shard_key(shard)),
            (names.due.clone(), due_key(queue, shard)),
        ],
        unbound: Vec::new(),
    };
    if queue == Queue::Events {
        declared.arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        if shard == 0 {
            feed_by_others(config, &mut declared, config.options().shards.get() == 1);
        }
    }
    declared
}

/// What others publish is on the only shard of events, or else here, whatever its repository: a producer
/// publishes it again under its key.
fn inbox_queue(config: &AmqpConfig) -> Declared {
    let names = &config.options().names;
    let mut declared = Declared {
        name: names.inbox_queue(),
        arguments: worked(config, Queue::Events),
        bindings: vec![(names.events.clone(), INBOX_KEY.to_owned())],
        unbound: Vec::new(),
    };
    feed_by_others(config, &mut declared, config.options().shards.get() > 1);
    declared
}

fn feed_by_others(config: &AmqpConfig, declared: &mut Declared, is_fed: bool) {
    let place = (config.options().names.registry.clone(), ALL_KEYS.to_owned());
    if is_fed { declared.bindings.push(place) } else { declared.unbound.push(place) }
}

/// The arguments of a queue whose messages are given up to the dead letters.
fn worked(config: &AmqpConfig, queue: Queue) -> FieldTable {
    let mut arguments = kept(config, &config.options().names.dead);
    arguments.insert("x-dead-letter-routing-key".into(), text(queue.as_str()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
    arguments
}

fn delay_queue(config: &AmqpConfig, step: Step, shard: u16) -> Declared {
    let names = &config.options().names;
    let mut arguments = kept(config, &names.due);
    let ttl = i64::try_from(step.queue_ttl().as_millis()).unwrap_or(i64::MAX);
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(ttl));
    let bindings = vec![(names.delay.clone(), step_key(step, shard))];
    Declared { name: names.delay_queue(step, shard), arguments, bindings, unbound: Vec::new() }
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
    let bindings = vec![(names.dead.clone(), ALL_KEYS.to_owned())];
    Declared { name: names.dead_queue(), arguments, bindings, unbound: Vec::new() }
}

/// The oldest go when it is full: nobody waits for them, and a full queue must not stop foreign publishers. Who
/// looks at them gives them back, which `RabbitMQ` from 4.0 on allows twenty times where nothing is said.
fn unrouted_queue(config: &AmqpConfig) -> Declared {
    let names = &config.options().names;
    let arguments = table([
        ("x-queue-type", text("quorum")),
        ("x-max-length-bytes", number(config.options().queue_bytes)),
        ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT)),
    ]);
    let bindings = vec![(names.unrouted.clone(), String::new())];
    Declared { name: names.unrouted_queue(), arguments, bindings, unbound: Vec::new() }
}

/// The arguments of a queue that loses nothing: what leaves it goes to an exchange, and is gone from it only
/// once it is durable there, which holds only while a full queue refuses.
fn kept(config: &AmqpConfig, dead_letter_exchange: &str) -> FieldTable {
    table([
        ("x-queue-type", text("quorum")),
        ("x-max-length-bytes", number(config.options().queue_bytes)),
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
