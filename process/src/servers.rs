//! The settings of the servers that processes share: `RabbitMQ` and Redis.

use std::num::NonZeroU16;

use dockbell_backends::ClientIdentity;
use dockbell_backends::amqp::{AmqpConfig, AmqpConfigError, AmqpNames, AmqpOptions, Topology};
use dockbell_backends::redis::{RedisConfig, RedisTimeouts};
use dockbell_chassis::config::Reader;
use dockbell_proto::secret::Secret;

use crate::files;

const AMQP_URL: &str = "amqp.url";
const REDIS_URL: &str = "redis.url";
/// What the names of exchanges, queues and keys begin with.
const PREFIX: &str = "dockbell";

/// Both servers.
#[derive(Debug, Clone)]
pub struct Servers {
    /// The broker.
    pub amqp: AmqpConfig,
    /// The store.
    pub redis: RedisConfig,
}

impl Servers {
    /// Reads the settings of both. None if neither is set; one without the other is noted as wrong.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let (amqp, redis) = (read_amqp(reader), read_redis(reader));
        let (has_amqp, has_redis) = (reader.is_given(AMQP_URL), reader.is_given(REDIS_URL));
        for (is_alone, given, missing) in
            [(has_amqp && !has_redis, AMQP_URL, REDIS_URL), (has_redis && !has_amqp, REDIS_URL, AMQP_URL)]
        {
            if is_alone {
                reader.reject(missing, format!("is missing: {given} is set, and one is of no use without the other"));
            }
        }
        Some(Self { amqp: amqp?, redis: redis? })
    }

    /// Reads the settings of both, for a process that cannot do without them.
    pub fn require(reader: &mut Reader) -> Option<Self> {
        let servers = Self::read(reader);
        if !reader.is_given(AMQP_URL) && !reader.is_given(REDIS_URL) {
            missing(reader, AMQP_URL, "amqp://user:password@host:5672/vhost");
            missing(reader, REDIS_URL, "redis://user:password@host:6379");
        }
        servers
    }
}

/// Reads the settings of the broker, for a process that cannot do without it and needs no store.
pub fn require_amqp(reader: &mut Reader) -> Option<AmqpConfig> {
    let config = read_amqp(reader);
    if !reader.is_given(AMQP_URL) {
        missing(reader, AMQP_URL, "amqp://user:password@host:5672/vhost");
    }
    config
}

fn missing(reader: &mut Reader, key: &str, form: &str) {
    reader.reject(key, format!("is missing: this process needs it, in the form {form}"));
}

fn read_amqp(reader: &mut Reader) -> Option<AmqpConfig> {
    let urls = reader.texts(AMQP_URL);
    let options = read_options(reader);
    let urls: Vec<Secret> = urls?.into_iter().map(Secret::new).collect();
    match AmqpConfig::new(&urls, options) {
        Ok(config) => Some(config),
        Err(error @ (AmqpConfigError::NoUrl | AmqpConfigError::Url(_) | AmqpConfigError::Plaintext(_))) => {
            reader.reject(AMQP_URL, error.to_string());
            None
        }
        Err(error) => {
            reader.reject("amqp", error.to_string());
            None
        }
    }
}

fn read_options(reader: &mut Reader) -> AmqpOptions {
    const MIB: u64 = 1024 * 1024;
    let default = AmqpOptions::default();
    let declares = reader.flag("amqp.declare", true);
    let shards = reader.count("amqp.shards", default.shards.get(), 1..=64);
    AmqpOptions {
        names: read_names(reader),
        topology: if declares { Topology::Declare } else { Topology::Verify },
        shards: NonZeroU16::new(shards).unwrap_or(NonZeroU16::MIN),
        queue_bytes: reader.count("amqp.queue_bytes", default.queue_bytes, MIB..=1 << 40),
        dead_bytes: reader.count("amqp.dead_bytes", default.dead_bytes, MIB..=1 << 40),
        dead_age: reader.duration("amqp.dead_age", default.dead_age),
        heartbeat: reader.duration("amqp.heartbeat", default.heartbeat),
        root_certificates: files::content(reader, "amqp.ca_file"),
        identity: read_identity(reader, "amqp"),
        ..default
    }
}

fn read_names(reader: &mut Reader) -> AmqpNames {
    let prefix = reader.text("amqp.prefix").unwrap_or_else(|| PREFIX.to_owned());
    let mut names = AmqpNames::with_prefix(&prefix);
    if let Some(version) = reader.text("amqp.version") {
        names.version = version;
    }
    names.previous = reader.text("amqp.previous_version");
    let members: [(&str, &mut String); 10] = [
        ("registry", &mut names.registry),
        ("inbox", &mut names.inbox),
        ("events", &mut names.events),
        ("deliveries", &mut names.deliveries),
        ("redeliveries", &mut names.redeliveries),
        ("delay", &mut names.delay),
        ("due", &mut names.due),
        ("dead", &mut names.dead),
        ("unrouted", &mut names.unrouted),
        ("operations", &mut names.operations),
    ];
    for (member, name) in members {
        if let Some(given) = reader.text(&format!("amqp.names.{member}")) {
            *name = given;
        }
    }
    names
}

/// Reads the settings of the store, if they are given, for a process that can do without it.
pub fn read_redis(reader: &mut Reader) -> Option<RedisConfig> {
    let url = reader.text(REDIS_URL).map(Secret::new);
    let counters_url = reader.text("redis.counters_url").map(Secret::new);
    let prefix = reader.text("redis.prefix").unwrap_or_else(|| PREFIX.to_owned());
    let root_certificates = files::content(reader, "redis.ca_file");
    let identity = read_identity(reader, "redis");
    let settings_url = url?;
    let config = RedisConfig {
        counters_url: counters_url.unwrap_or_else(|| settings_url.clone()),
        settings_url,
        root_certificates,
        identity,
        prefix,
        accepts_empty: true,
        timeouts: RedisTimeouts::default(),
    };
    if let Err(error) = config.check() {
        reader.reject(REDIS_URL, error.to_string());
        return None;
    }
    Some(config)
}

fn read_identity(reader: &mut Reader, section: &str) -> Option<ClientIdentity> {
    let identity = files::client_identity(reader, section)?;
    let text = |pem: &[u8]| String::from_utf8_lossy(pem).into_owned();
    Some(ClientIdentity { chain: text(identity.chain()), key: Secret::new(text(identity.expose_key())) })
}
