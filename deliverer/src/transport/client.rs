//! The HTTP client: connections to vetted addresses, TLS on top, kept for a while.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dockbell_chassis::crypto::{Believed, Identity, OwnTls, Roots};
use dockbell_proto::tls::{ClientCertificate, TargetTls};
use http::Uri;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use moka::sync::Cache;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;

use super::UnusableTls;
use super::dial::{BoxError, Dialler};

/// How long an idle connection is kept. Proxies commonly close theirs later. Of a receiver that closes it sooner that is
/// noticed when it does, and another one is made; what is on its way just then is a failed attempt.
const IDLE: Duration = Duration::from_secs(15);
/// How many idle connections are kept per receiver.
const IDLE_PER_HOST: usize = 16;
/// How many clients of those who say otherwise about TLS are kept, and how long one that nobody uses.
const OTHERS: u64 = 256;
const OTHERS_KEPT: Duration = Duration::from_mins(5);
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

/// The clients of one way out: one for all, and one for each of those who say otherwise about TLS, so that no connection is
/// shared that was made otherwise.
#[derive(Debug)]
pub(super) struct Clients {
    all: Arc<Client>,
    /// By the fingerprint of what they say.
    others: Cache<[u8; 16], Arc<Client>>,
    believed: Believed,
    dialler: Dialler,
    limit: Duration,
}

impl Clients {
    pub(super) fn new(dialler: Dialler, roots: &Roots, limit: Duration) -> Result<Self, rustls::Error> {
        let believed = Believed::platform_and(roots);
        let all = Arc::new(client(dialler.clone(), believed.client(&OwnTls::default())?, limit));
        let others = Cache::builder().max_capacity(OTHERS).time_to_idle(OTHERS_KEPT).build();
        Ok(Self { all, others, believed, dialler, limit })
    }

    /// The client for those who say this.
    pub(super) fn of(&self, tls: &TargetTls) -> Result<Arc<Client>, UnusableTls> {
        if tls.is_default() {
            return Ok(Arc::clone(&self.all));
        }
        let fingerprint = tls.fingerprint();
        if let Some(client) = self.others.get(&fingerprint) {
            return Ok(client);
        }
        let config = self.believed.client(&own(tls)?).map_err(|error| UnusableTls(error.to_string()))?;
        let made = Arc::new(client(self.dialler.clone(), config, self.limit));
        self.others.insert(fingerprint, Arc::clone(&made));
        Ok(made)
    }
}

/// What a webhook says, read. It was read when it was saved, too.
fn own(tls: &TargetTls) -> Result<OwnTls, UnusableTls> {
    let roots = tls.ca_certificates.as_ref().map(|pem| Roots::read(pem.as_bytes())).transpose();
    let roots = roots.map_err(|error| UnusableTls(format!("ca_certificates {error}")))?.unwrap_or_default();
    let identity = tls.client.as_ref().map(|ClientCertificate { chain, key }| {
        Identity::from_pem(chain.clone().into_bytes(), key.expose().to_owned().into_bytes())
    });
    let identity = identity.transpose();
    let identity = identity.map_err(|error| UnusableTls(format!("client_certificate and client_key {error}")))?;
    Ok(OwnTls { roots, identity, skip_verify: tls.skip_verify })
}

/// A client that knows no proxy of the environment, follows no redirect, decodes no compression and keeps no cookies: none of it is built
/// into it.
fn client(dialler: Dialler, mut tls: ClientConfig, limit: Duration) -> Client {
    // Servers of other protocols are not to take what is sent for theirs.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connector = TimedConnector { inner: HttpsConnector::from((dialler, tls)), limit };
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .http1_read_buf_exact_size(BUFFER)
        .http1_max_headers(HEADERS_LIMIT)
        .build(connector)
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
