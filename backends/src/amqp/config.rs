//! What the adapter must be told, checked.

use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

use dockbell_proto::secret::Secret;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};

use super::names::AmqpNames;
use crate::ClientIdentity;

/// More shards are more quorum queues than one broker should carry: each costs thirteen.
pub(super) const MOST_SHARDS: u16 = 64;
/// `RabbitMQ` warns of false alarms below 5 s; beyond a minute a dead peer holds its messages too long.
const HEARTBEATS: std::ops::RangeInclusive<u64> = 5..=60;
/// A queue must hold some of the largest messages.
const LEAST_BYTES: u64 = 1024 * 1024;

/// Who makes the exchanges and queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// This process, which needs the right to configure.
    Declare,
    /// Somebody else: they are looked for, and what is missing is reported.
    Verify,
}

/// What can be chosen, with its defaults.
#[derive(Debug, Clone)]
pub struct AmqpOptions {
    /// The names of exchanges and queues.
    pub names: AmqpNames,
    /// Who makes them.
    pub topology: Topology,
    /// Into how many queues each of events, deliveries and redeliveries is split.
    pub shards: NonZeroU16,
    /// The most bytes of each queue: of every shard of events, deliveries and redeliveries, and of every shard of
    /// every delay step. It is not shared among shards, because the bound of a queue that exists cannot change.
    pub queue_bytes: u64,
    /// The most bytes of the dead letters; the oldest go first.
    pub dead_bytes: u64,
    /// How long dead letters are kept.
    pub dead_age: Duration,
    /// Certificates in PEM, any of which may vouch for a broker of an `amqps` URL, beside those of the system.
    pub root_certificates: Option<Vec<u8>>,
    /// What is shown to a broker of an `amqps` URL that asks for a certificate.
    pub identity: Option<ClientIdentity>,
    /// How often the broker must be heard of; it is given up after twice this time.
    pub heartbeat: Duration,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for the answer to a call.
    pub call_timeout: Duration,
    /// The longest wait for the confirmation of a publish, after which its result is unknown.
    pub confirm_timeout: Duration,
    /// The most publishes that wait for their confirmations.
    pub in_flight: NonZeroU16,
}

impl Default for AmqpOptions {
    fn default() -> Self {
        Self {
            names: AmqpNames::default(),
            topology: Topology::Declare,
            shards: NonZeroU16::MIN,
            queue_bytes: 1024 * 1024 * 1024,
            dead_bytes: 1024 * 1024 * 1024,
            dead_age: Duration::from_hours(14 * 24),
            root_certificates: None,
            identity: None,
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(10),
            in_flight: NonZeroU16::MIN.saturating_add(999),
        }
    }
}

/// A configuration whose relations hold.
#[derive(Clone)]
pub struct AmqpConfig {
    servers: Vec<AMQPUri>,
    options: AmqpOptions,
}

/// Why a configuration does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmqpConfigError {
    /// There is nothing to connect to.
    #[error("no AMQP URL is given")]
    NoUrl,
    /// The text itself is not shown, because it holds a password.
    #[error("AMQP URL number {0} cannot be read; it has the form amqp://user:password@host:5672/vhost")]
    Url(usize),
    /// The operator means to be encrypted, and would not be.
    #[error("AMQP URL number {0} is not encrypted, although certificates are set; it must begin with amqps://")]
    Plaintext(usize),
    /// Nobody would be believed by them, which looks like a broker that is away.
    #[error("the root certificates are none in PEM")]
    Certificates,
    /// A number is outside its range.
    #[error("{0}")]
    Range(&'static str),
}

impl AmqpConfig {
    /// Reads the URLs of one cluster's nodes and checks the options.
    pub fn new(urls: &[Secret], options: AmqpOptions) -> Result<Self, AmqpConfigError> {
        if urls.is_empty() {
            return Err(AmqpConfigError::NoUrl);
        }
        check(&options)?;
        let expects_tls = options.root_certificates.is_some() || options.identity.is_some();
        let read = |(index, url): (usize, &Secret)| {
            let mut uri: AMQPUri = url.expose().parse().map_err(|_| AmqpConfigError::Url(index + 1))?;
            if expects_tls && uri.scheme != AMQPScheme::AMQPS {
                return Err(AmqpConfigError::Plaintext(index + 1));
            }
            uri.query.heartbeat = u16::try_from(options.heartbeat.as_secs()).ok();
            Ok(uri)
        };
        let servers = urls.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { servers, options })
    }

    /// The options.
    pub fn options(&self) -> &AmqpOptions {
        &self.options
    }

    /// Whom to believe over TLS, and what to show.
    pub(super) fn tls(&self) -> OwnedTLSConfig {
        let cert_chain = self.options.root_certificates.as_deref();
        let identity = self.options.identity.as_ref().map(|identity| OwnedIdentity::PKCS8 {
            pem: identity.chain.clone().into_bytes(),
            key: identity.key.expose().into(),
        });
        OwnedTLSConfig { identity, cert_chain: cert_chain.map(|pem| String::from_utf8_lossy(pem).into_owned()) }
    }

    /// The server of the `attempt`th connection: all in turn, from any first one.
    pub(super) fn server(&self, attempt: usize) -> AMQPUri {
        let index = attempt.checked_rem(self.servers.len()).unwrap_or_default();
        self.servers.get(index).cloned().unwrap_or_default()
    }

    /// The bound of the stream's segments: a stream is trimmed by whole segments.
    pub(super) fn segment_bytes(&self) -> u64 {
        (self.options.dead_bytes / 8).clamp(LEAST_BYTES, 500_000_000)
    }
}

fn check(options: &AmqpOptions) -> Result<(), AmqpConfigError> {
    let has_some = |pem: &Vec<u8>| String::from_utf8_lossy(pem).contains("-----BEGIN CERTIFICATE-----");
    if !options.root_certificates.as_ref().is_none_or(has_some) {
        return Err(AmqpConfigError::Certificates);
    }
    let refused = [
        (options.shards.get() > MOST_SHARDS, "there can be at most 64 shards"),
        (!HEARTBEATS.contains(&options.heartbeat.as_secs()), "the heartbeat must be 5 s to 60 s"),
        (options.queue_bytes < LEAST_BYTES, "a queue must hold at least 1 MiB"),
        (options.dead_bytes < LEAST_BYTES, "the dead letters must hold at least 1 MiB"),
        (options.dead_age < Duration::from_hours(1), "dead letters must be kept for at least 1 h"),
        (options.connect_timeout.is_zero() || options.call_timeout.is_zero(), "a time-out must not be 0"),
        (options.confirm_timeout < Duration::from_secs(1), "the time-out of confirmations must be at least 1 s"),
    ];
    match refused.into_iter().find(|(is_refused, _)| *is_refused) {
        Some((_, reason)) => Err(AmqpConfigError::Range(reason)),
        None => options.names.check().map_err(AmqpConfigError::Range),
    }
}

/// Shows hosts, never user or password.
impl fmt::Debug for AmqpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<&str> = self.servers.iter().map(|server| server.authority.host.as_str()).collect();
        f.debug_struct("AmqpConfig").field("hosts", &hosts).field("options", &self.options).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, options: AmqpOptions) -> Result<AmqpConfig, AmqpConfigError> {
        AmqpConfig::new(&[Secret::new(url)], options)
    }

    #[test]
    fn what_is_shown_of_a_configuration_holds_no_password() {
        let config = read("amqp://user:canary@broker.test/vhost", AmqpOptions::default()).unwrap();
        let shown = format!("{config:?}");
        assert!(shown.contains("broker.test") && !shown.contains("canary"), "{shown}");
        let refused = read("no url with canary", AmqpOptions::default()).unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("canary"));
    }

    #[test]
    fn a_configuration_whose_relations_do_not_hold_is_refused() {
        let url = "amqp://broker.test";
        let refused = [
            AmqpOptions { heartbeat: Duration::from_secs(1), ..AmqpOptions::default() },
            AmqpOptions { queue_bytes: LEAST_BYTES - 1, ..AmqpOptions::default() },
            AmqpOptions { shards: 65.try_into().unwrap(), ..AmqpOptions::default() },
            AmqpOptions {
                names: AmqpNames { version: String::new(), ..AmqpNames::default() },
                ..AmqpOptions::default()
            },
        ];
        for options in refused {
            assert!(read(url, options.clone()).is_err(), "{options:?}");
        }
        assert_eq!(AmqpConfig::new(&[], AmqpOptions::default()).unwrap_err(), AmqpConfigError::NoUrl);
    }

    #[test]
    fn the_servers_are_tried_in_turn() {
        let urls = ["amqp://a.test", "amqp://b.test"].map(Secret::new);
        let config = AmqpConfig::new(&urls, AmqpOptions::default()).unwrap();
        let hosts: Vec<String> = (0..3).map(|attempt| config.server(attempt).authority.host).collect();
        assert_eq!(hosts, ["a.test", "b.test", "a.test"]);
    }
}
