//! What the adapters of the servers count of themselves, as metrics.

use std::sync::Arc;

use dockbell_backends::amqp::{Amqp, AmqpStats};
use dockbell_backends::redis::{RedisServerStats, RedisStore};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

/// Tells what `amqp` counts, as long as it is there.
pub(crate) fn of_amqp(meter: &Meter, amqp: &Arc<Amqp>) {
    let counter = |name, description, tell: fn(&AmqpStats, &dyn AsyncInstrument<u64>)| {
        let amqp = Arc::downgrade(amqp);
        let observe = move |instrument: &dyn AsyncInstrument<u64>| {
            if let Some(amqp) = amqp.upgrade() {
                tell(&amqp.stats(), instrument);
            }
        };
        meter.u64_observable_counter(name).with_description(description).with_callback(observe).build();
    };
    counter("dockbell.amqp.connections", "Connections made to the broker, by purpose", |stats, instrument| {
        instrument.observe(stats.consuming_connections, &[KeyValue::new("purpose", "consume")]);
        instrument.observe(stats.publishing_connections, &[KeyValue::new("purpose", "publish")]);
    });
    counter("dockbell.amqp.publishes", "Publishes to the broker, by their result", |stats, instrument| {
        let results = [
            ("confirmed", stats.confirmed),
            ("returned", stats.returned),
            ("refused", stats.refused),
            ("unknown", stats.unknown),
        ];
        for (result, count) in results {
            instrument.observe(count, &[KeyValue::new("result", result)]);
        }
    });
    counter("dockbell.amqp.consumers_rebuilt", "Consumers that were made again", |stats, instrument| {
        instrument.observe(stats.consumers_rebuilt, &[]);
    });
    let amqp = Arc::downgrade(amqp);
    let blocked = meter.u64_observable_gauge("dockbell.amqp.blocked");
    let blocked = blocked.with_description("1 while the broker takes no publishes, as in an alarm");
    let observe = move |instrument: &dyn AsyncInstrument<u64>| {
        if let Some(amqp) = amqp.upgrade() {
            instrument.observe(amqp.stats().is_blocked.into(), &[]);
        }
    };
    blocked.with_callback(observe).build();
}

/// Tells what `redis` counts, as long as it is there.
pub(crate) fn of_redis(meter: &Meter, redis: &Arc<RedisStore>) {
    let counter = |name, description, count: fn(&RedisServerStats) -> u64| {
        let redis = Arc::downgrade(redis);
        let observe = move |instrument: &dyn AsyncInstrument<u64>| {
            let Some(stats) = redis.upgrade().map(|redis| redis.stats()) else { return };
            for (server, stats) in [("settings", Some(stats.settings)), ("counters", stats.counters)] {
                if let Some(stats) = stats {
                    instrument.observe(count(&stats), &[KeyValue::new("server", server)]);
                }
            }
        };
        meter.u64_observable_counter(name).with_description(description).with_callback(observe).build();
    };
    counter("dockbell.redis.connections", "Connections made to a server of the store", |stats| stats.connections);
    counter("dockbell.redis.timeouts", "Calls that a server did not answer in time", |stats| stats.timeouts);
}
