use axum::body::{Body, to_bytes};
use axum::routing::get;
use tower::ServiceExt as _;

use super::*;

/// Routes whose callers may make one request per second, ten at once.
fn limited_to_one(per_address: bool, per_token: bool, proxies: &[&str]) -> Router {
    let one = |is_limited: bool| is_limited.then_some(NonZeroU32::MIN);
    let proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
    let rates = Rates { per_address: one(per_address), per_token: one(per_token), proxies };
    let router = Router::new().route("/", get(|| async { "ok" }));
    limited(router, rates, "test", &opentelemetry::global::meter("test"))
}

async fn ask(router: &Router, peer: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::get("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
    router.clone().oneshot(request).await.unwrap()
}

/// How many of `count` requests are taken.
async fn taken(router: &Router, peer: &str, headers: &[(&str, &str)], count: usize) -> usize {
    let mut taken = 0;
    for _ in 0..count {
        taken += usize::from(ask(router, peer, headers).await.status() == 200);
    }
    taken
}

const MORE: usize = 20;

#[tokio::test]
async fn an_address_that_asks_too_much_is_told_when_to_come_back_and_others_are_served() {
    let router = limited_to_one(true, false, &[]);
    assert_eq!(taken(&router, "192.0.2.1", &[], 10).await, 10);
    let refused = ask(&router, "192.0.2.1", &[]).await;
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(refused.headers()[CONTENT_TYPE], "application/problem+json");
    let told = String::from_utf8(to_bytes(refused.into_body(), 10_000).await.unwrap().to_vec()).unwrap();
    assert!(told.contains("requests of this address"), "{told}");
    assert_eq!(taken(&router, "192.0.2.2", &[], 10).await, 10);
}

#[tokio::test]
async fn a_network_of_64_bits_is_one_caller_and_a_mapped_address_the_one_that_it_is() {
    let router = limited_to_one(true, false, &[]);
    assert_eq!(taken(&router, "2001:db8::1", &[], 10).await, 10);
    assert!(taken(&router, "2001:db8::ffff:1", &[], MORE).await < MORE);
    assert_eq!(taken(&router, "2001:db8:0:1::1", &[], 10).await, 10);
    assert_eq!(taken(&router, "192.0.2.1", &[], 10).await, 10);
    assert!(taken(&router, "::ffff:192.0.2.1", &[], MORE).await < MORE);
}

#[tokio::test]
async fn a_token_is_limited_wherever_it_is_used() {
    let router = limited_to_one(false, true, &[]);
    let bearer = |token| [("authorization", token)];
    assert_eq!(taken(&router, "192.0.2.1", &bearer("Bearer a"), 10).await, 10);
    assert!(taken(&router, "192.0.2.2", &bearer("Bearer a"), MORE).await < MORE);
    assert_eq!(taken(&router, "192.0.2.1", &bearer("Bearer b"), 10).await, 10);
    assert_eq!(taken(&router, "192.0.2.1", &[], MORE).await, MORE, "who presents nothing has no token to limit");
}

#[tokio::test]
async fn whom_a_proxy_asks_for_is_believed_of_the_proxies_that_are_named_alone() {
    let router = limited_to_one(true, false, &["10.0.0.0/8"]);
    let of = |client| [(FORWARDED_FOR, client)];
    for client in ["192.0.2.1", "192.0.2.2", "203.0.113.9, 192.0.2.3", "203.0.113.9, 192.0.2.4, 10.0.0.7"] {
        assert_eq!(taken(&router, "10.0.0.1", &of(client), 10).await, 10, "{client}");
    }
    assert!(taken(&router, "10.0.0.1", &of("192.0.2.1"), MORE).await < MORE);
    assert!(
        taken(&router, "10.0.0.1", &of("198.51.100.1, 192.0.2.1"), MORE).await < MORE,
        "it may write what it likes"
    );
    assert!(taken(&router, "192.0.2.1", &of("198.51.100.2"), MORE).await < MORE, "nobody asked it");
}

#[tokio::test]
async fn without_rates_nothing_is_limited() {
    let router = limited_to_one(false, false, &[]);
    assert_eq!(taken(&router, "192.0.2.1", &[("authorization", "Bearer a")], 1000).await, 1000);
}

#[test]
fn callers_are_forgotten_before_they_fill_the_memory() {
    let buckets = Buckets::new(NonZeroU32::MIN);
    for caller in 0..3 * CALLERS {
        buckets.take(caller).unwrap();
    }
    buckets.callers.run_pending_tasks();
    assert!(buckets.callers.entry_count() <= CALLERS);
}
