//! The proxy of an operator, through which every attempt goes if there is one.
//!
//! It is asked for a tunnel (CONNECT) to an address that was judged, never for a name, so that it leads nowhere else than
//! attempts without it; http URLs go through a tunnel too. What it is at fault for is no fault of a receiver.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dockbell_proto::secret::Secret;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::dial::{BoxError, alternating, first_of};
use super::names::Names;

/// The most that the head of its answer may have, in bytes.
const HEAD_LIMIT: usize = 8 * 1024;
/// The most headers of its answer.
const HEADERS_LIMIT: usize = 64;
/// How many addresses of a receiver are tried one after the other.
const TRIES: usize = 3;

/// A proxy, as it is set.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    /// The value of `Proxy-Authorization`, if it asks for one.
    authorization: Option<Secret>,
}

/// The text is not the URL of a proxy that could be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyUrlError {
    /// It is no URL, or says more than where the proxy is and what it asks for.
    #[error(
        "must be a URL such as http://proxy.example.com:3128 or http://user:password@10.0.0.1:3128, and nothing behind it"
    )]
    Form,
    /// It would look up names itself, or is reached in another way.
    #[error("must begin with http://: a proxy is asked for tunnels to addresses by HTTP CONNECT; SOCKS is not spoken")]
    Scheme,
}

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    /// It cannot be reached.
    #[error("the proxy cannot be reached")]
    Away(#[source] BoxError),
    /// It does not answer as a proxy does.
    #[error("the proxy does not answer as one")]
    Strange,
    /// It asks for other credentials.
    #[error("the proxy asks for other credentials")]
    Credentials,
    /// It does not lead there.
    #[error("the proxy refuses to connect to the host")]
    Refused,
    /// It could not connect.
    #[error("the proxy could not connect to the host (HTTP {0})")]
    Failed(u16),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

impl Proxy {
    /// Reads its URL: where it is, and the user and password that it asks for.
    pub fn parse(text: &str) -> Result<Self, ProxyUrlError> {
        let url = Url::parse(text).map_err(|_| ProxyUrlError::Form)?;
        if url.scheme() != "http" {
            return Err(ProxyUrlError::Scheme);
        }
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|_| is_bare).ok_or(ProxyUrlError::Form)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().ok_or(ProxyUrlError::Form)?;
        Ok(Self { host, port, authorization: authorization(&url) })
    }

    /// A connection to one of these addresses, at least one, all of which were judged. Names are looked up within `budget`.
    pub(super) async fn tunnel(
        self: Arc<Self>,
        addresses: Vec<IpAddr>,
        port: u16,
        (names, budget): (&Names, Duration),
    ) -> Result<TcpStream, ProxyError> {
        let mut failure = ProxyError::Strange;
        for ip in addresses.into_iter().take(TRIES) {
            let reached = timeout(budget, self.reach(names, budget)).await;
            let stream = reached.map_err(|elapsed| ProxyError::Away(elapsed.into()))?.map_err(ProxyError::Away)?;
            match self.connect(stream, SocketAddr::new(ip, port)).await {
                Err(failed @ ProxyError::Failed(_)) => failure = failed,
                ended => return ended,
            }
        }
        Err(failure)
    }

    async fn reach(&self, names: &Names, budget: Duration) -> Result<TcpStream, BoxError> {
        let found = match self.host.parse() {
            Ok(literal) => vec![literal],
            Err(_) => names.look_up(&self.host, budget).await?,
        };
        Ok(first_of(alternating(found), self.port).await?)
    }

    async fn connect(&self, mut stream: TcpStream, to: SocketAddr) -> Result<TcpStream, ProxyError> {
        let mut head = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n");
        if let Some(authorization) = &self.authorization {
            head.push_str("proxy-authorization: ");
            head.push_str(authorization.expose());
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        let answered = async {
            stream.write_all(head.as_bytes()).await?;
            read_status(&mut stream).await
        };
        match answered.await.map_err(|error: io::Error| ProxyError::Away(error.into()))? {
            Some(200..=299) => Ok(stream),
            Some(407) => Err(ProxyError::Credentials),
            Some(status @ 500..) => Err(ProxyError::Failed(status)),
            Some(400..) => Err(ProxyError::Refused),
            _ => Err(ProxyError::Strange),
        }
    }
}

/// Source: RFC 7617, section 2.
fn authorization(url: &Url) -> Option<Secret> {
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let password = url.password().unwrap_or_default();
    if url.username().is_empty() && password.is_empty() {
        return None;
    }
    let pair = [decoded(url.username()), decoded(password)].join(&b':');
    Some(Secret::new(format!("Basic {}", STANDARD.encode(pair))))
}

/// The status of an answer, once its head is complete; none if it is no head, or something stands behind it: nobody
/// has spoken through the tunnel yet.
async fn read_status(stream: &mut TcpStream) -> io::Result<Option<u16>> {
    let mut head = Vec::with_capacity(256);
    while head.len() < HEAD_LIMIT {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
        let mut answer = httparse::Response::new(&mut headers);
        match answer.parse(&head) {
            Ok(httparse::Status::Partial) => {}
            // An answer that refuses may have a body, which nobody reads.
            Ok(httparse::Status::Complete(length)) if length == head.len() || answer.code >= Some(300) => {
                return Ok(answer.code);
            }
            Ok(httparse::Status::Complete(_)) | Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_told_by_its_url_alone() {
        let proxy = Proxy::parse("http://proxy.test:3128").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port, &proxy.authorization), ("proxy.test", 3128, &None));
        let proxy = Proxy::parse("http://alice:can%3Aary@[fd00::1]/").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("fd00::1", 80));
        // `alice:can:ary` in base64.
        assert_eq!(proxy.authorization.as_ref().unwrap().expose(), "Basic YWxpY2U6Y2FuOmFyeQ==");
        assert_eq!(format!("{proxy:?}"), "Proxy(fd00::1:80)");
        for (text, error) in [
            ("", ProxyUrlError::Form),
            ("proxy.test:3128", ProxyUrlError::Scheme),
            ("http://proxy.test/path", ProxyUrlError::Form),
            ("http://proxy.test/?a=b", ProxyUrlError::Form),
            ("https://proxy.test", ProxyUrlError::Scheme),
            ("socks5://proxy.test:1080", ProxyUrlError::Scheme),
            ("socks5h://proxy.test:1080", ProxyUrlError::Scheme),
        ] {
            assert_eq!(Proxy::parse(text), Err(error), "{text}");
        }
    }
}
