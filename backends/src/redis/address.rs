//! The servers that a URL names, and how the primary among them is found.

use std::fmt;
use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo};

use super::config::RedisConfigError;

/// A silent peer is asked after 5 s, and given up after two more questions; what is sent must be
/// acknowledged within 5 s. Without these a half-open connection lives for a quarter of an hour.
const SILENCE: Duration = Duration::from_secs(5);
const QUESTION_EVERY: Duration = Duration::from_secs(3);
const QUESTIONS: u32 = 2;

/// How the primary is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is the only server that is named.
    Single,
    /// The servers named are sentinels; one of them is asked for the primary of this name.
    Sentinels(String),
    /// The servers named belong to a cluster; one of them is asked where our slot is.
    Cluster,
}

/// The servers of a URL, with what is needed to connect to the primary.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) kind: Kind,
    /// At least one; each with user, password and database, which a sentinel is not told.
    pub(super) servers: Vec<ConnectionInfo>,
    /// What a sentinel is told instead.
    pub(super) sentinel: RedisConnectionInfo,
}

impl Address {
    /// Reads one of the forms that [`RedisConfig`](super::config::RedisConfig) lists. An error says what is
    /// wrong with `what`, and shows nothing of the URL, which may carry a password.
    pub(super) fn parse(what: &str, url: &str) -> Result<Self, RedisConfigError> {
        let refuse = |problem: &str| RedisConfigError(format!("{what} {problem}"));
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let (tls, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        if !matches!((tls, kind), ("redis" | "rediss", "" | "sentinel" | "cluster")) {
            return Err(refuse("must begin with redis:// or rediss://, or that with +sentinel or +cluster"));
        }
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if rest.contains('#') || parameters.contains('#') {
            return Err(refuse("must have no fragment; certificates are always verified"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        let (kind, port, database) = match kind {
            "" => (Kind::Single, 6379, path),
            "cluster" => (Kind::Cluster, 6379, path),
            _ => {
                let (name, database) = path.split_once('/').unwrap_or((path, ""));
                (Kind::Sentinels(name.to_owned()), 26379, database)
            }
        };
        if kind == Kind::Sentinels(String::new()) {
            return Err(refuse("must name the primary after the sentinels: /name"));
        }
        if kind == Kind::Single && hosts.contains(',') || kind == Kind::Cluster && !database.is_empty() {
            return Err(refuse("has too many parts: one server, or a cluster without a database"));
        }
        let parameters = Parameters::parse(parameters).filter(|found| found.is_empty() || kind.is_sentinels());
        let Some(parameters) = parameters else {
            return Err(refuse(
                "may have the parameters sentinel_user and sentinel_password with +sentinel, no others",
            ));
        };
        // The parser of URLs reads user and password of a sentinel where it reads those of a server.
        let sentinel = format!("redis://{}:{}@sentinel", parameters.user, parameters.password).into_connection_info();
        let sentinel = sentinel.map_err(|_| refuse("has a password of sentinels that is not percent-encoded"))?;
        let server = |host: &str| {
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
            let port = if has_port { String::new() } else { format!(":{port}") };
            let info = format!("{tls}://{user}{host}{port}/{database}").into_connection_info().ok()?;
            Some(info.set_tcp_settings(tcp_settings()))
        };
        let servers: Option<Vec<_>> = hosts.split(',').map(server).collect();
        let servers = servers.ok_or_else(|| refuse("is not the URL of a Redis server"))?;
        Ok(Self { kind, servers, sentinel: sentinel.redis_settings().clone() })
    }

    /// What is needed to connect to a server of which only host and port are known: as to `server`.
    pub(super) fn elsewhere(server: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
        let address = match server.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        server.clone().set_addr(address)
    }
}

impl Kind {
    fn is_sentinels(&self) -> bool {
        matches!(self, Self::Sentinels(_))
    }
}

/// The parameters of a URL, as they stand there.
#[derive(Default)]
struct Parameters<'a> {
    user: &'a str,
    password: &'a str,
}

impl<'a> Parameters<'a> {
    /// None if there are others.
    fn parse(text: &'a str) -> Option<Self> {
        let mut found = Self::default();
        for parameter in text.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=')? {
                ("sentinel_user", user) => found.user = user,
                ("sentinel_password", password) => found.password = password,
                _ => return None,
            }
        }
        Some(found)
    }

    fn is_empty(&self) -> bool {
        self.user.is_empty() && self.password.is_empty()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, server) in self.servers.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}", server.addr())?;
        }
        Ok(())
    }
}

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(QUESTION_EVERY).with_retries(QUESTIONS);
    TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(SILENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, RedisConfigError> {
        Address::parse("store.redis.settings_url", url)
    }

    #[test]
    fn a_url_is_refused_without_being_shown() {
        for url in [
            "http://a:canary@b",
            "canary",
            "redis://a:canary@b:99999",
            "redis://a:canary@b,c",
            "redis://:canary@b/x",
            "rediss://:canary@b/#insecure",
            "redis://b/?password=canary",
            "redis://b/?sentinel_password=canary",
            "redis+sentinel://b/main?sentinel_password=canary&x=y",
            "redis+sentinel://b/main?sentinel_password=can/ary",
            "redis+sentinel://:canary@a,b",
            "redis+cluster://:canary@a,b/1",
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.starts_with("store.redis.settings_url ") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_sentinel_is_told_its_own_password() {
        let url = "redis+sentinel://user:canary@a,b/main/3";
        for (parameters, user, password) in [
            ("", None, None),
            ("?sentinel_password=p%40ss%2Bword", None, Some("p@ss+word")),
            ("?sentinel_user=watcher&sentinel_password=x", Some("watcher"), Some("x")),
        ] {
            let address = parse(&format!("{url}{parameters}")).unwrap();
            assert_eq!((address.sentinel.username(), address.sentinel.password()), (user, password));
            assert_eq!(address.servers[1].redis_settings().password(), Some("canary"));
            assert!(!format!("{address:?}").contains("word"));
        }
    }

    #[test]
    fn an_address_shows_its_servers_and_no_password() {
        for (url, kind, shown) in [
            ("redis://user:canary@redis.test:6380/2", Kind::Single, "redis.test:6380"),
            ("rediss://:canary@redis.test", Kind::Single, "redis.test:6379"),
            ("redis+sentinel://:canary@a,b:7/main/3", Kind::Sentinels("main".to_owned()), "a:26379,b:7"),
            ("redis+cluster://:canary@a:1,b", Kind::Cluster, "a:1,b:6379"),
        ] {
            let address = parse(url).unwrap();
            assert_eq!((address.kind.clone(), format!("{address}")), (kind, shown.to_owned()));
            assert!(!format!("{address:?}").contains("canary"));
            assert_eq!(address.servers[0].redis_settings().password(), Some("canary"));
        }
    }
}
