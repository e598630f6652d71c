//! The one way out: POSTs to webhooks, within bounds of time, size and address.
//!
//! The client knows no proxy but the one that an operator sets, follows no redirect and decodes no compression
//! (`docs/decisions/0016-attempts-go-out-through-hyper-util.md`). Every address is judged where it is dialled, literals
//! with the URL as well.

mod client;
mod dates;
mod dial;
mod failure;
pub mod names;
pub mod proxy;
mod resolve;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockbell_chassis::crypto::Roots;
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::clock::Clock;
use dockbell_proto::outcome::{Outcome, Phase};
use dockbell_proto::target::TargetUrl;
use dockbell_proto::tls::TargetTls;
use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use client::{Client, Clients};
use dates::{Dates, date_of};
use dial::Dialler;
use names::Names;
use proxy::Proxy;
use resolve::VettingResolver;

/// How much of an answer's body is kept, in bytes: what the history shows, and enough behind it that a secret across its end
/// is found whole. Every open answer holds so much.
const BODY_KEPT: usize = 4 * 1024;
/// How much of it is read, in bytes, so that the connection can be used again. What is longer is cut off with it.
const BODY_READ: usize = 64 * 1024;

/// The bounds of an attempt's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For the connection alone, with its TLS handshake.
    pub connect: Duration,
    /// For all of it: connection, head and body of the answer.
    pub total: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(15) }
    }
}

/// What is known of the world outside, whoever is to be reached.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Where names lead.
    pub names: Arc<Names>,
    /// Who may vouch for receivers, besides those whom the system trusts.
    pub roots: Roots,
    /// Through whom everybody is reached; directly, if none.
    pub proxy: Option<Arc<Proxy>>,
}

/// What an attempt sends.
#[derive(Debug)]
pub struct Post {
    /// Where to.
    pub url: TargetUrl,
    /// All headers but `host` and `content-length`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What happened.
    pub outcome: Outcome,
    /// The beginning of the answer's body; empty when there was no answer.
    pub body: Vec<u8>,
    /// How long it took.
    pub took: Duration,
}

/// The HTTP client of the deliverer.
#[derive(Debug)]
pub struct Transport {
    clients: Clients,
    deadlines: Deadlines,
    clock: Arc<dyn Clock>,
    dates: Dates,
}

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("set up the HTTP client")]
pub struct TransportError(#[source] rustls::Error);

/// What a webhook says about the TLS of its receiver cannot be used. Nothing of it is shown.
#[derive(Debug, thiserror::Error)]
#[error("what the webhook says about TLS cannot be used: {0}")]
pub(crate) struct UnusableTls(String);

impl Transport {
    /// A client that dials only what `policy` permits. `clock` dates answers that do not date themselves.
    pub fn new(
        outside: &Outside,
        policy: &Arc<AddressPolicy>,
        deadlines: Deadlines,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TransportError> {
        let resolver = VettingResolver::new(Arc::clone(&outside.names), Arc::clone(policy), deadlines.connect);
        let dialler = Dialler::new(resolver, outside.proxy.clone());
        let clients = Clients::new(dialler, &outside.roots, deadlines.connect).map_err(TransportError)?;
        Ok(Self { clients, deadlines, clock, dates: Dates::default() })
    }

    /// The bounds of an attempt's time.
    pub fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// Makes one attempt. It ends at the deadline whatever the receiver does.
    ///
    /// Dropping the future closes the connection; the receiver may or may not have acted.
    pub async fn post(&self, post: Post) -> Exchange {
        self.post_with(post, &TargetTls::default()).await
    }

    /// The same to a receiver of whose TLS this is otherwise.
    pub async fn post_with(&self, post: Post, tls: &TargetTls) -> Exchange {
        let began = Instant::now();
        let deadline = began + self.deadlines.total;
        let (outcome, body) = match self.clients.of(tls) {
            Ok(client) => self.exchange(&client, post, deadline).await,
            Err(unusable) => (Outcome::Blocked { reason: unusable.to_string() }, Vec::new()),
        };
        Exchange { outcome, body, took: began.elapsed() }
    }

    async fn exchange(&self, client: &Client, post: Post, deadline: Instant) -> (Outcome, Vec<u8>) {
        let host = post.url.host().to_owned();
        let Ok(request) = request(post) else { return (unsendable(), Vec::new()) };
        let response = match timeout_at(deadline, client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return (failure::classify(&error), Vec::new()),
            Err(_) => return (Outcome::TimedOut { phase: Phase::Headers }, Vec::new()),
        };
        let (now, date) = (self.clock.now(), date_of(response.headers()));
        if let Some(date) = date {
            self.dates.compare(&host, date, now);
        }
        // What a receiver dates it dates by its own clock, which may be wrong.
        let answered = outcome_of(response.status(), response.headers(), date.unwrap_or(now));
        match read(response, deadline).await {
            Ok(body) => (answered, body),
            Err(outcome) => (outcome, Vec::new()),
        }
    }
}

fn request(post: Post) -> Result<Request<Full<Bytes>>, http::uri::InvalidUri> {
    let mut request = Request::new(Full::new(post.body));
    *request.uri_mut() = Uri::try_from(post.url.expose().as_str())?;
    *request.method_mut() = Method::POST;
    *request.headers_mut() = post.headers;
    request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    Ok(request)
}

/// What the readers of URLs and of requests do not agree on is no use to guess at.
fn unsendable() -> Outcome {
    Outcome::Blocked { reason: "the url cannot be sent in a request".to_owned() }
}

fn outcome_of(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Outcome {
    if status.is_success() {
        return Outcome::Accepted { status: status.as_u16() };
    }
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
    Outcome::Refused { status: status.as_u16(), retry_after }
}

/// Reads `Retry-After`: seconds or a date (RFC 9110, section 10.2.3). A date that has passed asks for nothing.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    Some(Duration::try_from(dates::read(text)?.duration_since(now)).unwrap_or_default())
}

/// Reads a body and returns its beginning. What is longer than is read is never asked for: its connection is closed. Once
/// all is there that is kept, the status counts, whatever becomes of the rest.
async fn read(response: Response<Incoming>, deadline: Instant) -> Result<Vec<u8>, Outcome> {
    let (mut body, mut kept, mut length) = (response.into_body(), Vec::new(), 0);
    loop {
        let read = match timeout_at(deadline, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => Ok(frame),
            Ok(Some(Err(error))) => Err(failure::classify(&error)),
            Err(_) => Err(Outcome::TimedOut { phase: Phase::Body }),
        };
        let frame = match read {
            Ok(frame) => frame,
            Err(_) if kept.len() == BODY_KEPT => break,
            Err(outcome) => return Err(outcome),
        };
        let Ok(chunk) = frame.into_data() else { continue };
        let room = BODY_KEPT - kept.len();
        kept.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        length += chunk.len();
        if length >= BODY_READ {
            break;
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests;
