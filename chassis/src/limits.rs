//! How many requests a caller may make, by its address and by what it presents.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use ipnet::IpNet;
use moka::sync::Cache;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use serde_json::json;

#[cfg(test)]
mod tests;

/// A caller may make the requests of so many seconds at once, if it made none for as long.
const BURST_SECONDS: u32 = 10;
/// How many callers are remembered; those that are forgotten begin anew.
const CALLERS: u64 = 10_000;
/// How long a caller is remembered that makes no request: by then its burst is whole again.
const REMEMBERED: Duration = Duration::from_mins(1);
/// What a proxy says whom it asks for (not standardised; every proxy knows it).
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Who makes a request, as far as the proxies that are believed say. Every request that [`limited`] lets through
/// carries it as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// How many requests per second; none is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rates {
    /// Of one address; of IPv6, of one network of 64 bits, which is what one customer has.
    pub per_address: Option<NonZeroU32>,
    /// Of one `Authorization`.
    pub per_token: Option<NonZeroU32>,
    /// Proxies that are believed whom they ask for (`X-Forwarded-For`).
    pub proxies: Vec<IpNet>,
}

/// Refuses what is more than the rates with 429 and a `Retry-After`, before anything else looks at it. `listener` names
/// in `dockbell_limited_requests_total` what is limited.
pub fn limited(router: Router, rates: Rates, listener: &'static str, meter: &Meter) -> Router {
    let limiter = Arc::new(Limiter {
        addresses: rates.per_address.map(Buckets::new),
        tokens: rates.per_token.map(Buckets::new),
        proxies: rates.proxies,
        hasher: RandomState::new(),
        refused: meter
            .u64_counter("dockbell_limited_requests")
            .with_description("Requests that were refused because their caller made too many")
            .build(),
        listener,
    });
    router.route_layer(from_fn_with_state(limiter, limit))
}

struct Limiter {
    addresses: Option<Buckets<IpAddr>>,
    tokens: Option<Buckets<u64>>,
    proxies: Vec<IpNet>,
    /// Tokens are remembered by a hash that nobody outside can foresee.
    hasher: RandomState,
    refused: Counter<u64>,
    listener: &'static str,
}

async fn limit(State(limiter): State<Arc<Limiter>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let client = peer.map(|peer| limiter.client_of(peer, request.headers()));
    match limiter.admit(client, request.headers()) {
        Ok(()) => {
            if let Some(client) = client {
                request.extensions_mut().insert(ClientAddress(client));
            }
            next.run(request).await
        }
        Err((of, wait)) => {
            let labels = [KeyValue::new("listener", limiter.listener), KeyValue::new("limit", of)];
            limiter.refused.add(1, &labels);
            too_many(of, wait)
        }
    }
}

impl Limiter {
    /// The error is what was used up, and how long until there is more.
    fn admit(&self, client: Option<IpAddr>, headers: &HeaderMap) -> Result<(), (&'static str, Duration)> {
        if let (Some(addresses), Some(client)) = (&self.addresses, client) {
            addresses.take(network_of(client)).map_err(|wait| ("address", wait))?;
        }
        if let (Some(tokens), Some(token)) = (&self.tokens, headers.get(AUTHORIZATION)) {
            tokens.take(self.hasher.hash_one(token)).map_err(|wait| ("token", wait))?;
        }
        Ok(())
    }

    /// Who asks: the last address that was added by a proxy that is believed. What stands before it anybody can write.
    fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let is_believed = |ip: &IpAddr| self.proxies.iter().any(|proxy| proxy.contains(ip));
        let mut client = peer.to_canonical();
        let listed = headers.get_all(FORWARDED_FOR).into_iter().filter_map(|value| value.to_str().ok());
        let named: Vec<&str> = listed.flat_map(|value| value.split(',')).collect();
        let mut before = named.iter().rev().map_while(|ip| ip.trim().parse::<IpAddr>().ok());
        while is_believed(&client)
            && let Some(ip) = before.next()
        {
            client = ip.to_canonical();
        }
        client
    }
}

fn network_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

/// A bucket for each caller.
struct Buckets<K> {
    quota: Quota,
    callers: Cache<K, Arc<DefaultDirectRateLimiter>>,
}

impl<K: Hash + Eq + Send + Sync + 'static> Buckets<K> {
    fn new(per_second: NonZeroU32) -> Self {
        let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1));
        let callers = Cache::builder().max_capacity(CALLERS).time_to_idle(REMEMBERED).build();
        Self { quota: Quota::per_second(per_second).allow_burst(burst), callers }
    }

    fn take(&self, caller: K) -> Result<(), Duration> {
        let bucket = self.callers.get_with(caller, || Arc::new(DefaultDirectRateLimiter::direct(self.quota)));
        bucket.check().map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

/// Problem details (RFC 9457), as all problems of the API are told.
fn too_many(of: &str, wait: Duration) -> Response {
    let seconds = wait.as_secs() + 1;
    let body = json!({
        "type": "urn:dockbell:problem:too-many-requests",
        "title": "Too Many Requests",
        "status": 429,
        "detail": format!("there were too many requests of this {of}; try again in {seconds} s"),
    });
    let headers = [(CONTENT_TYPE, "application/problem+json".to_owned()), (RETRY_AFTER, seconds.to_string())];
    (StatusCode::TOO_MANY_REQUESTS, headers, body.to_string()).into_response()
}
