//! How the store on Redis is configured, and why a configuration can never work.

use std::time::Duration;

use dockbell_proto::secret::Secret;

use crate::ClientIdentity;

/// How long the store waits for Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisTimeouts {
    /// For a connection, with everything that is asked before it is used.
    pub connect: Duration,
    /// For an answer. A call that took longer has failed, although it may have had its effect.
    pub response: Duration,
}

impl Default for RedisTimeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(2), response: Duration::from_millis(500) }
    }
}

/// Where the store is. The URLs may carry a password, so they are never shown. Each is one of
///
/// - `redis://[user:password@]host[:port][/database]`
/// - `redis+sentinel://[user:password@]host[:port][,host[:port]…]/name[/database]`, where the hosts are
///   sentinels and the name, the user and the password are those of the primary; if sentinels ask for a
///   password too, it follows as `?sentinel_password=…`, and their user as `&sentinel_user=…`
/// - `redis+cluster://[user:password@]host[:port][,host[:port]…]`
///
/// with `rediss` in place of `redis` for TLS, to sentinels too. What is special in a URL is percent-encoded
/// in passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// The server that keeps webhooks. It must be persistent.
    pub settings_url: Secret,
    /// The server that keeps health and history; it may be the same. Losing what it holds only delays what
    /// follows from failures.
    pub counters_url: Secret,
    /// The certificates, in PEM, of those who may vouch for servers that are reached by TLS; none: whom the
    /// platform trusts. The process must have installed a provider of rustls.
    pub root_certificates: Option<Vec<u8>>,
    /// What is shown to servers that are reached by TLS and ask for a certificate.
    pub identity: Option<ClientIdentity>,
    /// What the names of all keys begin with: letters, digits, `-` and `_`.
    pub prefix: String,
    /// Whether an empty database is taken as a new one, and marked. Otherwise it is away until another process
    /// has done so: one that is started by itself, to add capacity, must not take a database that was lost for
    /// one without webhooks.
    pub accepts_empty: bool,
    /// How long to wait.
    pub timeouts: RedisTimeouts,
}

/// Nothing but another configuration helps. It shows nothing of the URLs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RedisConfigError(pub String);
