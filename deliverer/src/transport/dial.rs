//! Connections: only ever to addresses that the policy has permitted.
//!
//! Literal addresses, names and whatever else a URL says pass through here, so that there is one place where an address
//! is judged, and it is the place where it is dialled.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use http::uri::Scheme;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tower::Service;

use super::proxy::Proxy;
use super::resolve::VettingResolver;

/// How long an address has before the next one is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// Dials the hosts of URLs.
#[derive(Debug, Clone)]
pub(super) struct Dialler {
    resolver: VettingResolver,
    proxy: Option<Arc<Proxy>>,
}

/// The URL names no host that could be dialled.
#[derive(Debug, thiserror::Error)]
#[error("the URL names no host")]
struct NoHost;

/// What answered is not what was dialled.
#[derive(Debug, thiserror::Error)]
#[error("the connection leads to another address")]
pub(super) struct Elsewhere;

impl Dialler {
    /// One that dials through `proxy`, if there is one, and never past it.
    pub(super) fn new(resolver: VettingResolver, proxy: Option<Arc<Proxy>>) -> Self {
        Self { resolver, proxy }
    }

    async fn dial(self, uri: Uri) -> Result<TokioIo<TcpStream>, BoxError> {
        let (host, port) = place_of(&uri).ok_or(NoHost)?;
        let stream = match self.proxy {
            None => first_of(alternating(self.resolver.vetted(host, port).await?), port).await?,
            Some(proxy) => {
                let found = alternating(self.resolver.vetted_for_others(host, port).await?);
                proxy.tunnel(found, port, self.resolver.names_within()).await?
            }
        };
        Ok(TokioIo::new(stream))
    }
}

impl Service<Uri> for Dialler {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().dial(uri))
    }
}

/// The host, without the brackets of an IPv6 address, and the port.
fn place_of(uri: &Uri) -> Option<(&str, u16)> {
    let host = uri.host()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let default = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    Some((host, uri.port_u16().unwrap_or(default)))
}

/// IPv6 and IPv4 in turn, so that where one of them leads nowhere the other does not wait for all of it (RFC 8305,
/// section 4).
pub(super) fn alternating(found: Vec<IpAddr>) -> Vec<IpAddr> {
    let (six, four): (Vec<IpAddr>, Vec<IpAddr>) = found.into_iter().partition(IpAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut alternating = Vec::with_capacity(six.len() + four.len());
    while six.len() + four.len() > 0 {
        alternating.extend(six.next());
        alternating.extend(four.next());
    }
    alternating
}

/// The first connection that is made. The error is that of the last one that failed.
pub(super) async fn first_of(addresses: Vec<IpAddr>, port: u16) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
    let mut dialling = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        dialling.extend(waiting.next().map(connect));
        let is_last = waiting.len() == 0;
        let dialled = tokio::select! {
            dialled = dialling.next() => dialled,
            () = sleep(HEAD_START), if !is_last => continue,
        };
        match dialled {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => failure = error,
            None => return Err(failure),
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // What was judged must be what was reached: Linux, for one, leads 0.0.0.0 to 127.0.0.1.
    if stream.peer_addr()? != address {
        return Err(io::Error::other(Elsewhere));
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_place_is_the_host_and_the_port_that_the_scheme_has_by_default() {
        let place = |uri: &str| {
            let uri = uri.parse().unwrap();
            place_of(&uri).map(|(host, port)| format!("{host} {port}"))
        };
        assert_eq!(place("http://a.test/").as_deref(), Some("a.test 80"));
        assert_eq!(place("https://a.test/").as_deref(), Some("a.test 443"));
        assert_eq!(place("https://[::1]:8443/").as_deref(), Some("::1 8443"));
        assert_eq!(place("/a"), None);
    }

    #[test]
    fn neither_kind_of_address_waits_for_all_of_the_other() {
        let found = ips(&["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"]);
        assert_eq!(alternating(found), ips(&["2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::3"]));
    }

    #[tokio::test]
    async fn the_next_address_is_dialled_when_one_refuses_and_the_last_refusal_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let began = Instant::now();
        let stream = first_of(ips(&["127.0.0.2", "127.0.0.3", "127.0.0.1"]), port).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert!(began.elapsed() < HEAD_START, "a refusal is not waited for");
        let refused = first_of(ips(&["127.0.0.2", "127.0.0.3"]), port).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn an_address_that_leads_elsewhere_is_not_talked_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let refused = first_of(ips(&["0.0.0.0"]), port).await.unwrap_err();
        assert!(refused.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<Elsewhere>), "{refused}");
    }
}
