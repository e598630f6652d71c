//! A connection to the primary, wherever it is now.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError,
    ServerErrorKind, TlsCertificates, Value, cmd,
};
use tokio::time::timeout;

use super::address::{Address, Kind};
use super::config::{RedisConfig, RedisConfigError, RedisTimeouts};
use crate::ClientIdentity;

/// Where to connect. Which server is the primary is asked at each connecting, and names are resolved anew.
#[derive(Clone)]
pub(super) struct Endpoint {
    address: Address,
    /// A key of ours: all of them are in its slot.
    key: Arc<str>,
    root_certificates: Option<Arc<[u8]>>,
    identity: Option<ClientIdentity>,
    timeouts: RedisTimeouts,
}

impl Endpoint {
    /// The server of `url`, which [`Address::parse`] describes; `what` names the URL in errors.
    pub(super) fn parse(what: &str, url: &str, key: &Arc<str>, config: &RedisConfig) -> Result<Self, RedisConfigError> {
        let root_certificates: Option<Arc<[u8]>> = config.root_certificates.as_deref().map(Into::into);
        // Without any, nobody would be believed, which looks like a server that is away.
        let has_some = |pem: &Arc<[u8]>| String::from_utf8_lossy(pem).contains("-----BEGIN CERTIFICATE-----");
        if !root_certificates.as_ref().is_none_or(has_some) {
            return Err(RedisConfigError("the root certificates are none in PEM".to_owned()));
        }
        let address = Address::parse(what, url)?;
        let (identity, timeouts) = (config.identity.clone(), config.timeouts);
        let expects_tls = root_certificates.is_some() || identity.is_some();
        let endpoint = Self { address, key: Arc::clone(key), root_certificates, identity, timeouts };
        for server in &endpoint.address.servers {
            if expects_tls && !matches!(server.addr(), ConnectionAddr::TcpTls { .. }) {
                let problem = "is not encrypted, although certificates are set; it must begin with rediss";
                return Err(RedisConfigError(format!("{what} {problem}")));
            }
            let wrong = |error: RedisError| RedisConfigError(format!("{what} cannot be used: {error}"));
            endpoint.client(server.clone()).map_err(wrong)?;
        }
        Ok(endpoint)
    }

    /// A connection to a server that takes writes, for calls that are answered within the time-out.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        self.connect_to_wait(Duration::ZERO).await
    }

    /// A connection like that, for calls that wait up to `waiting` at the server.
    pub(super) async fn connect_to_wait(&self, waiting: Duration) -> Result<MultiplexedConnection, RedisError> {
        let connect = async {
            let mut connection = self.dial(self.primary().await?, waiting).await?;
            verify(&mut connection).await.map(|()| connection)
        };
        timeout(self.timeouts.connect, connect).await.map_err(late)?
    }

    pub(super) fn timeouts(&self) -> RedisTimeouts {
        self.timeouts
    }

    async fn dial(&self, server: ConnectionInfo, waiting: Duration) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeouts.connect))
            .set_response_timeout(Some(self.timeouts.response + waiting));
        self.client(server)?.get_multiplexed_async_connection_with_config(&config).await
    }

    fn client(&self, server: ConnectionInfo) -> Result<Client, RedisError> {
        let client_tls = self.identity.as_ref().map(|identity| ClientTlsConfig {
            client_cert: identity.chain.clone().into_bytes(),
            client_key: identity.key.expose().into(),
        });
        let root_cert = self.root_certificates.as_deref().map(<[u8]>::to_vec);
        match server.addr() {
            ConnectionAddr::TcpTls { .. } if client_tls.is_some() || root_cert.is_some() => {
                Client::build_with_tls(server, TlsCertificates { client_tls, root_cert })
            }
            _ => Client::open(server),
        }
    }

    /// The server that is the primary now, as the first says that answers.
    async fn primary(&self) -> Result<ConnectionInfo, RedisError> {
        // All of them, and the primary, within the time for a connection.
        let each = self.timeouts.connect / u32::try_from(self.address.servers.len() + 1).unwrap_or(u32::MAX);
        let mut failure = RedisError::from((ErrorKind::Client, "no server is named"));
        for server in &self.address.servers {
            let asked = match &self.address.kind {
                Kind::Single => return Ok(server.clone()),
                Kind::Sentinels(name) => timeout(each, self.ask_sentinel(server, name)).await,
                Kind::Cluster => timeout(each, self.ask_cluster(server)).await,
            };
            match asked.map_err(late) {
                Ok(Ok((host, port))) => return Ok(Address::elsewhere(server, host, port)),
                Ok(Err(error)) | Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn ask_sentinel(&self, sentinel: &ConnectionInfo, name: &str) -> Result<(String, u16), RedisError> {
        // User, password and database of a server are those of the primary.
        let sentinel = sentinel.clone().set_redis_settings(self.address.sentinel.clone());
        let mut connection = self.dial(sentinel, Duration::ZERO).await?;
        let found = cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name).query_async(&mut connection).await?;
        let unknown =
            || RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "the sentinel knows no such primary"));
        Option::ok_or_else(found, unknown)
    }

    async fn ask_cluster(&self, member: &ConnectionInfo) -> Result<(String, u16), RedisError> {
        let mut connection = self.dial(member.clone(), Duration::ZERO).await?;
        let slot: i64 = cmd("CLUSTER").arg("KEYSLOT").arg(&*self.key).query_async(&mut connection).await?;
        let ranges: Vec<(i64, i64, Vec<Value>)> =
            ranges(cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?);
        let range = ranges.into_iter().find(|(first, last, _)| (first..=last).contains(&&slot));
        let primary = range.and_then(|(.., mut primary)| {
            let port = redis::from_redis_value(primary.get(1)?.clone()).ok()?;
            let host: Option<String> = redis::from_redis_value(primary.swap_remove(0)).ok()?;
            Some((host.filter(|host| !host.is_empty()), port))
        });
        match (primary, member.addr()) {
            (Some((Some(host), port)), _) => Ok((host, port)),
            // It does not know its own name, which is then the one it was reached by.
            (Some((None, port)), ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. }) => {
                Ok((host.clone(), port))
            }
            _ => Err(RedisError::from((ErrorKind::Server(ServerErrorKind::ClusterDown), "nobody has our slot"))),
        }
    }
}

/// The slots of a cluster: first, last, and host and port of the primary, among other things.
fn ranges(answer: Vec<Vec<Value>>) -> Vec<(i64, i64, Vec<Value>)> {
    let range = |entry: Vec<Value>| match <[Value; 3]>::try_from(entry.into_iter().take(3).collect::<Vec<_>>()) {
        Ok([Value::Int(first), Value::Int(last), Value::Array(primary)]) => Some((first, last, primary)),
        _ => None,
    };
    answer.into_iter().filter_map(range).collect()
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// Asks whether the server is a primary and answers calls. A replica answers pings and reads just as well, and
/// refuses writes; one that reads its files says that it is a primary, and refuses even pings.
pub(super) async fn verify(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    allow(cmd("PING").query_async(connection).await)?;
    let role: Vec<Value> = allow(cmd("ROLE").query_async(connection).await)?;
    match role.first() {
        None => Ok(()),
        Some(Value::BulkString(role)) if role == b"master" => Ok(()),
        Some(_) => Err(RedisError::from((ErrorKind::Server(ServerErrorKind::ReadOnly), "the server is a replica"))),
    }
}

/// Who may not ask learns it from the first write.
fn allow(answer: Result<Value, RedisError>) -> Result<Vec<Value>, RedisError> {
    match answer {
        Ok(Value::Array(parts)) => Ok(parts),
        Ok(_) => Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What is said when time ran out.
pub(super) fn late(_: tokio::time::error::Elapsed) -> RedisError {
    RedisError::from((ErrorKind::Io, "no answer in time"))
}
