//! The HTTP client: connections to vetted addresses, TLS on top, kept for a while.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dockbell_chassis::crypto::tls_client;
use http::Uri;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;

use super::TransportError;
use super::dial::{BoxError, Dialler};
use super::roots::Roots;

/// How long an idle connection is kept. Proxies commonly close theirs later. Of a receiver that closes it sooner that is
/// noticed when it does, and another one is made; what is on its way just then is a failed attempt.
const IDLE: Duration = Duration::from_secs(15);
/// How many idle connections are kept per receiver.
const IDLE_PER_HOST: usize = 16;
/// What is read of an answer at once, and the most that its head may have, in bytes: servers take half of it as the head
/// of a request. Every connection holds so much.
const BUFFER: usize = 16 * 1024;
/// Receivers send some 20.
const HEADERS_LIMIT: usize = 200;

pub(super) type Client = legacy::Client<TimedConnector, Full<Bytes>>;

/// Makes connections, TLS included, within a time.
#[derive(Debug, Clone)]
pub(super) struct TimedConnector {
    inner: HttpsConnector<Dialler>,
    limit: Duration,
}

/// A connection was not made in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection was made in time")]
pub(super) struct ConnectTimedOut;

/// A client that knows no proxy of the environment, follows no redirect, decodes no compression and keeps no cookies: none of it is built
/// into it.
pub(super) fn client(dialler: Dialler, roots: &Roots, limit: Duration) -> Result<Client, TransportError> {
    let mut tls = tls_client(roots.certificates()).map_err(TransportError)?;
    // Servers of other protocols are not to take what is sent for theirs.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connector = TimedConnector { inner: HttpsConnector::from((dialler, tls)), limit };
    Ok(legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .http1_read_buf_exact_size(BUFFER)
        .http1_max_headers(HEADERS_LIMIT)
        .build(connector))
}

impl Service<Uri> for TimedConnector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(self.limit, self.inner.call(uri));
        Box::pin(async { connecting.await.map_err(|_| ConnectTimedOut)? })
    }
}
