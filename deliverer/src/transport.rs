//! The one way out: POSTs to webhooks, within bounds of time, size and address.
//!
//! The client knows no proxy, follows no redirect and decodes no compression. Literal addresses are judged
//! with the URL, resolved ones when a connection is made; a name's answers are only ever dialled after
//! they were judged.

mod dates;
mod failure;
pub mod names;
mod resolve;
pub mod roots;
mod routes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockbell_chassis::crypto::http_client;
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::clock::Clock;
use dockbell_proto::outcome::{Outcome, Phase};
use dockbell_proto::target::TargetUrl;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::time::{Instant, timeout_at};

use dates::{Dates, date_of};
use names::Names;
use resolve::VettingResolver;
use roots::Roots;

/// How much of an answer's body is kept, in bytes; the rest is not read.
const BODY_KEPT: usize = 16 * 1024;
/// How long an idle connection is kept. Proxies commonly close theirs later. Of a receiver that closes it sooner that is
/// noticed when it does, and another one is made; what is on its way just then is a failed attempt.
const IDLE: Duration = Duration::from_secs(15);
/// A port that stands for all that other services have: TCPMUX, which nobody runs.
const A_SERVICE: u16 = 1;
/// How many idle connections are kept per receiver.
const IDLE_PER_HOST: usize = 16;

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
    /// A port that an exception of the policy is limited to has a client of its own, because a resolver is
    /// not told the port.
    by_port: BTreeMap<u16, Client>,
    /// For ports of other services, at which only exceptions are dialled.
    services: Client,
    other: Client,
    deadlines: Deadlines,
    clock: Arc<dyn Clock>,
    dates: Dates,
}

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("set up the HTTP client")]
pub struct TransportError(#[source] reqwest::Error);

impl Transport {
    /// A client that dials only what `policy` permits. `clock` dates answers that do not date themselves.
    pub fn new(
        outside: &Outside,
        policy: &Arc<AddressPolicy>,
        deadlines: Deadlines,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TransportError> {
        let resolver =
            |port| VettingResolver::new(Arc::clone(&outside.names), Arc::clone(policy), port, deadlines.connect);
        let client = |port| client(resolver(port), &outside.roots, deadlines).map_err(TransportError);
        let by_port = policy.excepted_ports().map(|port| Ok((port, client(Some(port))?))).collect::<Result<_, _>>()?;
        let (services, other) = (client(Some(A_SERVICE))?, client(None)?);
        Ok(Self { by_port, services, other, deadlines, clock, dates: Dates::default() })
    }

    /// The bounds of an attempt's time.
    pub fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// Makes one attempt. It ends at the deadline whatever the receiver does.
    ///
    /// Dropping the future closes the connection; the receiver may or may not have acted.
    pub async fn post(&self, post: Post) -> Exchange {
        let began = Instant::now();
        let deadline = began + self.deadlines.total;
        let (outcome, body) = self.exchange(post, deadline).await;
        Exchange { outcome, body, took: began.elapsed() }
    }

    fn client_for(&self, port: u16) -> &Client {
        let otherwise = if AddressPolicy::is_of_services(port) { &self.services } else { &self.other };
        self.by_port.get(&port).unwrap_or(otherwise)
    }

    async fn exchange(&self, post: Post, deadline: Instant) -> (Outcome, Vec<u8>) {
        let (url, host) = (post.url.expose().clone(), post.url.host().to_owned());
        let client = self.client_for(url.port_or_known_default().unwrap_or_default());
        let request = client.post(url).headers(post.headers).body(post.body).send();
        let response = match timeout_at(deadline, request).await {
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
        match timeout_at(deadline, read(response)).await {
            Ok(Ok(body)) => (answered, body),
            Ok(Err(error)) => (failure::classify(&error), Vec::new()),
            Err(_) => (Outcome::TimedOut { phase: Phase::Body }, Vec::new()),
        }
    }
}

fn client(resolver: VettingResolver, roots: &Roots, deadlines: Deadlines) -> Result<Client, reqwest::Error> {
    let resolver = Arc::new(resolver);
    http_client(|| {
        Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .http1_only()
            .retry(reqwest::retry::never())
            .dns_resolver(Arc::clone(&resolver))
            .tls_certs_merge(roots.certificates())
            .connect_timeout(deadlines.connect)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .tcp_nodelay(true)
    })
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

/// Reads the beginning of a body. Of what is too long the rest is never read and its connection is closed.
async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = BODY_KEPT - body.len();
        body.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        if body.len() == BODY_KEPT {
            break;
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
