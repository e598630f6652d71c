//! Serves routes over HTTP/1, with or without TLS, and survives clients that are slow, many, or gone.

mod tls;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::lifecycle::{BoxError, Shutdown};

pub use tls::{ServerTls, ServerTlsError};

#[cfg(test)]
mod tests;

/// A client sends its headers in one or two packets; one that needs longer wants to hold the connection. It also bounds
/// the handshake of TLS, and how long an idle connection is kept.
const HEADER_LIMIT: Duration = Duration::from_secs(5);
/// The longest that a request may take to be read and answered.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// The longest life of a connection: it bounds clients that do not read their answers, and spreads the
/// others over new replicas.
const CONNECTION_LIMIT: Duration = Duration::from_mins(5);
/// How long requests in flight have to finish at shutdown.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// Browsers and proxies send some 30.
const MAX_HEADERS: usize = 100;
/// Head and buffer of one connection. A signed batch needs far less in headers.
const BUFFER_BYTES: usize = 64 * 1024;
/// More wait in the backlog of the kernel. Well under the usual limit of 1,024 open files per process
/// together with what else is open.
const MAX_CONNECTIONS: usize = 512;
/// A pause after the kernel refuses a connection, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where to listen, and how.
#[derive(Debug, Clone)]
pub struct Place {
    /// The address.
    pub address: SocketAddr,
    /// With it, only TLS is spoken there.
    pub tls: Option<ServerTls>,
}

impl From<SocketAddr> for Place {
    /// Without TLS.
    fn from(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }
}

impl Place {
    /// The scheme of its URLs.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<ServerTls>,
}

impl Listener {
    /// Takes an address; port 0 takes a free one. The error names the address.
    pub async fn bind(place: impl Into<Place>) -> io::Result<Self> {
        let Place { address, tls } = place.into();
        let name = |error: io::Error| io::Error::new(error.kind(), format!("listen on {address}: {error}"));
        let socket = TcpListener::bind(address).await.map_err(name)?;
        let address = socket.local_addr().map_err(name)?;
        Ok(Self { socket, address, tls })
    }

    /// The address, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` until shutdown is requested; then stops accepting and returns when the requests in
    /// flight are answered, at the latest after five seconds. Handlers find the client's address as
    /// [`ConnectInfo<SocketAddr>`].
    pub async fn serve(self, router: Router, shutdown: Shutdown) -> Result<(), BoxError> {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let (stream, client, permit) = tokio::select! {
                biased;
                () = shutdown.requested() => break,
                Some(ended) = connections.join_next() => {
                    report(ended);
                    continue;
                }
                accepted = accept(&self.socket, &room) => accepted?,
            };
            let acceptor = self.tls.as_ref().map(ServerTls::acceptor);
            let conversing = converse(acceptor, (stream, client), router.clone(), shutdown.clone());
            connections.spawn(async {
                conversing.await;
                drop(permit);
            });
        }
        drop(self.socket);
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
        Ok(())
    }
}

/// Waits for room before it accepts, so that what is too much waits outside. Cancelling it loses nothing.
async fn accept(
    socket: &TcpListener,
    room: &Arc<Semaphore>,
) -> Result<(TcpStream, SocketAddr, OwnedSemaphorePermit), BoxError> {
    let permit = Arc::clone(room).acquire_owned().await?;
    loop {
        match socket.accept().await {
            Ok((stream, client)) => return Ok((stream, client, permit)),
            Err(error) => {
                tracing::warn!(error = %error, "failed to accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection, to its end.
async fn converse(
    acceptor: Option<TlsAcceptor>,
    (stream, client): (TcpStream, SocketAddr),
    router: Router,
    shutdown: Shutdown,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "answers may be slow");
    }
    let Some(acceptor) = acceptor else { return serve_on(stream, client, router, shutdown).await };
    let shaken = tokio::select! {
        shaken = timeout(HEADER_LIMIT, acceptor.accept(stream)) => shaken,
        // Nothing was asked yet.
        () = shutdown.requested() => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve_on(stream, client, router, shutdown).await,
        Ok(Err(error)) => tracing::debug!(error = %error, "the handshake of TLS failed"),
        Err(_) => tracing::debug!("cut a connection whose handshake of TLS would not end"),
    }
}

async fn serve_on(stream: impl AsyncRead + AsyncWrite + Unpin, client: SocketAddr, router: Router, shutdown: Shutdown) {
    let service = service_fn(|request| answer(router.clone(), request, client));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT).max_headers(MAX_HEADERS);
    let connection = builder.max_buf_size(BUFFER_BYTES).serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);

    let last_limit = tokio::select! {
        ended = connection.as_mut() => return report_end(ended),
        () = shutdown.requested() => DRAIN_LIMIT,
        () = sleep(CONNECTION_LIMIT) => REQUEST_LIMIT,
    };
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = timeout(last_limit, connection).await {
        report_end(ended);
    } else {
        tracing::debug!("cut a connection that would not end");
    }
}

/// The router's answer, or 408 when it takes too long; the limit covers the reading of the body.
async fn answer(router: Router, request: Request<Incoming>, client: SocketAddr) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(client));
    match timeout(REQUEST_LIMIT, router.oneshot(request)).await {
        Ok(answer) => answer,
        Err(_) => Ok((StatusCode::REQUEST_TIMEOUT, [(header::CONNECTION, "close")]).into_response()),
    }
}

/// Clients that go away are everyday.
fn report_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection ended early");
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(error = %error, "serving a request panicked; its connection was closed");
    }
}
