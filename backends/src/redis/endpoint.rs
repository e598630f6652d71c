//! A server by its URL, and a connection to it.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, RedisError, Value};
use redis::{ServerErrorKind, cmd};

use super::config::{RedisOpenError, RedisTimeouts};

/// A silent peer is asked after 5 s, and given up after two more questions; what is sent must be
/// acknowledged within 5 s. Without these a half-open connection lives for a quarter of an hour.
const SILENCE: Duration = Duration::from_secs(5);
const QUESTION_EVERY: Duration = Duration::from_secs(3);
const QUESTIONS: u32 = 2;

/// Where to connect. Only a single server is known so far; whoever adds Sentinel or Cluster finds out here,
/// at each connecting, which server is the primary now, and nothing else changes: all keys share one slot.
#[derive(Clone)]
pub(super) struct Endpoint {
    client: Client,
    timeouts: RedisTimeouts,
}

impl Endpoint {
    /// Reads `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS.
    pub(super) fn parse(what: &str, url: &str, timeouts: RedisTimeouts) -> Result<Self, RedisOpenError> {
        // The error of the parser might show the password.
        let refuse = |problem: &str| RedisOpenError::Config(format!("{what} {problem}"));
        if !["redis://", "rediss://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(refuse("must begin with redis:// or rediss://"));
        }
        if url.contains('#') {
            return Err(refuse("must not have a fragment: certificates are always verified"));
        }
        let info = url.into_connection_info().map_err(|_| refuse("is not a URL of a Redis server"))?;
        let client = Client::open(info.set_tcp_settings(tcp_settings()));
        Ok(Self { client: client.map_err(|_| refuse("is not a URL of a Redis server"))?, timeouts })
    }

    /// A connection to a server that takes writes, for calls that are answered within the time-out.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        self.connect_to_wait(Duration::ZERO).await
    }

    /// A connection like that, for calls that wait up to `waiting` at the server.
    pub(super) async fn connect_to_wait(&self, waiting: Duration) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeouts.connect))
            .set_response_timeout(Some(self.timeouts.response + waiting));
        let connect = async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            verify(&mut connection).await.map(|()| connection)
        };
        let late = |_| RedisError::from((ErrorKind::Io, "no connection in time"));
        tokio::time::timeout(self.timeouts.connect, connect).await.map_err(late)?
    }

    pub(super) fn timeouts(&self) -> RedisTimeouts {
        self.timeouts
    }

    fn info(&self) -> &ConnectionInfo {
        self.client.get_connection_info()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info().addr().fmt(f)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info().addr().fmt(f)
    }
}

/// Asks whether the server is a primary. A replica answers pings and reads just as well, and refuses writes.
pub(super) async fn verify(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    match cmd("ROLE").query_async::<Vec<Value>>(connection).await {
        Ok(role) => match role.first() {
            Some(Value::BulkString(role)) if role == b"master" => Ok(()),
            _ => Err(RedisError::from((ErrorKind::Server(ServerErrorKind::ReadOnly), "the server is a replica"))),
        },
        // Who may not ask learns it from the first write.
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => Ok(()),
        Err(error) => Err(error),
    }
}

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(QUESTION_EVERY).with_retries(QUESTIONS);
    TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(SILENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Endpoint, RedisOpenError> {
        Endpoint::parse("store.redis.settings_url", url, RedisTimeouts::default())
    }

    #[test]
    fn a_url_is_refused_without_being_shown() {
        for url in ["http://a:canary@b", "redis://a:canary@b:99999", "rediss://:canary@b/#insecure", "redis://:canary@b/x"]
        {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.starts_with("store.redis.settings_url ") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn an_endpoint_shows_no_password() {
        let endpoint = parse("redis://user:canary@redis.test:6380/2").unwrap();
        assert_eq!(format!("{endpoint} {endpoint:?}").matches("canary").count(), 0);
        assert_eq!(endpoint.to_string(), "redis.test:6380");
    }
}
