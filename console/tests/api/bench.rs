//! A console on a bench of its own.

use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use dockbell_backends::bus::{Outgoing, Queue, Received};
use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_backends::store::AttemptRecord;
use dockbell_backends::{Bus as _, Store as _};
use dockbell_console::{Console, Operators, router};
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::clock::Clock;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::message::Message;
use dockbell_proto::operations::OperatorEvent;
use dockbell_proto::order::Order;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::policy::Policy;
use dockbell_proto::token::TokenHash;
use dockbell_testkit::clock::ManualClock;
use dockbell_testkit::sample::moment;
use dockbell_testkit::wait::DEADLINE;

pub(crate) const TOKEN: &str = "the-admin-token";

pub(crate) struct Bench {
    router: Router,
    pub(crate) backend: Arc<Embedded>,
    told: Arc<Mutex<Vec<OperatorEvent>>>,
    pub(crate) clock: Arc<ManualClock>,
    _folder: TempDir,
}

impl Bench {
    pub(crate) fn open() -> Self {
        Self::open_where(true, false)
    }

    /// Where the operator lets receivers be believed whatever they show.
    pub(crate) fn open_allowing_skipped_verification() -> Self {
        Self::open_where(true, true)
    }

    /// Where the operator has set no public URL.
    pub(crate) fn open_without_callbacks() -> Self {
        Self::open_where(false, false)
    }

    fn open_where(takes_callbacks: bool, allows_skip_verify: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(moment()));
        let time: Arc<dyn Clock> = clock.clone();
        let backend = Arc::new(Embedded::open(folder.path(), Arc::clone(&time), EmbeddedLimits::default()).unwrap());
        let told = Arc::<Mutex<Vec<OperatorEvent>>>::default();
        let telling = Arc::clone(&told);
        let router = router(Console {
            webhooks_per_pattern: 100,
            store: backend.clone(),
            bus: backend.clone(),
            operators: Operators::new(move |event| telling.lock().unwrap().push(event)),
            clock: time,
            targets: Arc::new(AddressPolicy::default()),
            policy: Policy::default(),
            allows_skip_verify,
            takes_callbacks,
            admin_token: TokenHash::of(TOKEN),
            rng: Mutex::new(StdRng::seed_from_u64(7)),
        });
        Self { router, backend, told, clock, _folder: folder }
    }

    /// What operators were told.
    pub(crate) fn told(&self) -> Vec<OperatorEvent> {
        self.told.lock().unwrap().clone()
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    /// Sends a request with the admin token, and with a body unless it is null.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        self.call_as(TOKEN, method, path, body).await
    }

    /// The same with another token.
    pub(crate) async fn call_as(&self, token: &str, method: Method, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header(AUTHORIZATION, format!("Bearer {token}"));
        let request = match body {
            Value::Null => request.body(Body::empty()),
            body => request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string())),
        };
        self.send(request.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, Value::Null).await
    }

    /// Makes a token and returns it.
    pub(crate) async fn token(&self, token: Value) -> String {
        self.clock.advance(Duration::from_millis(1));
        let answer = self.post("/api/v1/tokens", token).await;
        assert_eq!(answer.status, 201, "{:?}", answer.body);
        text(&answer.json()["token"])
    }

    /// Makes a token for `repository` and returns it.
    pub(crate) async fn token_for(&self, repository: &str, permissions: &[&str]) -> String {
        self.token(json!({ "name": "owner", "repositories": [repository], "permissions": permissions })).await
    }

    /// Makes a webhook on `repository` and returns its id.
    pub(crate) async fn webhook_on(&self, repository: &str) -> String {
        let mut webhook = new_webhook();
        webhook["repository"] = json!(repository);
        // Lists are ordered by the time at which a webhook was made.
        self.clock.advance(Duration::from_millis(1));
        text(&self.post("/api/v1/webhooks", webhook).await.json()["id"])
    }

    /// Records an attempt of `delivery` that the receiver answered with `status`.
    pub(crate) async fn record(&self, delivery: &Delivery, status: u16) {
        let (outcome, verdict) = if status < 300 {
            (Outcome::Accepted { status }, Verdict::Delivered)
        } else {
            (Outcome::Refused { status, retry_after: None }, Verdict::Dead { reason: "the receiver said no".into() })
        };
        self.record_as(delivery, outcome, verdict).await;
    }

    /// Records that `delivery` was not sent, because of `by`.
    pub(crate) async fn record_superseded(&self, delivery: &Delivery, by: &Order) {
        let verdict = Verdict::Superseded { by: by.clone() };
        self.record_as(delivery, Outcome::Superseded { by: by.clone() }, verdict).await;
    }

    /// Records that `delivery` was not sent, because its webhook was disabled.
    pub(crate) async fn record_skipped(&self, delivery: &Delivery) {
        let reason = "the webhook is disabled".to_owned();
        self.record_as(delivery, Outcome::Withheld { reason: reason.clone() }, Verdict::Skipped { reason }).await;
    }

    /// Records an attempt of `delivery` that is made again a minute later.
    pub(crate) async fn record_retrying(&self, delivery: &Delivery) {
        let at = self.clock.now() + Duration::from_mins(1);
        self.record_as(delivery, Outcome::Refused { status: 500, retry_after: None }, Verdict::Retry { at }).await;
    }

    async fn record_as(&self, delivery: &Delivery, outcome: Outcome, verdict: Verdict) {
        self.clock.advance(Duration::from_millis(1));
        let attempt = AttemptRecord {
            delivery: delivery.clone(),
            at: self.clock.now(),
            took: Duration::from_millis(34),
            outcome,
            verdict,
            excerpt: Some("an answer".to_owned()),
            suspension: dockbell_proto::policy::Suspension::default(),
            told_as_of: None,
        };
        assert!(self.backend.record(&attempt).await.unwrap().is_first);
    }

    /// Gives a delivery up, and returns the position of its dead letter.
    pub(crate) async fn bury(&self, delivery: &Delivery, reason: &str) -> u64 {
        self.bury_message(Queue::Redeliveries, Outgoing::carrying(&Message::Delivery(delivery.clone())), reason).await
    }

    /// Gives a message up, and returns the position of its dead letter.
    pub(crate) async fn bury_message(&self, queue: Queue, message: Outgoing, reason: &str) -> u64 {
        self.clock.advance(Duration::from_millis(1));
        self.backend.bury(queue, message, reason.to_owned()).await.unwrap();
        self.backend.dead_letters(0, 1_000).await.unwrap().last().unwrap().position
    }

    /// The next message that a deliverer would get.
    pub(crate) async fn next_redelivery(&self) -> Received {
        let mut consumer = self.backend.consume(Queue::Redeliveries, NonZeroU16::MIN).await.unwrap();
        tokio::time::timeout(DEADLINE, consumer.next()).await.unwrap().unwrap()
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }

    /// The kind of the problem that this answer must be, of `status`.
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{:?}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(!text(&problem["title"]).is_empty() && !text(&problem["detail"]).is_empty());
        text(&problem["type"]).trim_start_matches("urn:dockbell:problem:").to_owned()
    }
}

pub(crate) fn new_webhook() -> Value {
    json!({
        "name": "deploy", "repository": "team/app", "url": "https://ci.test/hooks?token=canary-url", "format": "dockerhub",
        "headers": { "Authorization": "Bearer canary-header" },
    })
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}

/// The member `name` of each entry of a list.
pub(crate) fn each(list: &Value, name: &str) -> Vec<String> {
    list.as_array().unwrap_or_else(|| panic!("not a list: {list}")).iter().map(|entry| text(&entry[name])).collect()
}
