//! Stores on a Redis of their own to test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dockbell_backends::keyring::Keyring;
use dockbell_backends::redis::{RedisConfig, RedisServerStats, RedisStore, RedisTimeouts};
use dockbell_backends::store::access::Access as _;
use dockbell_backends::store::claims::{Claim, Claims as _, Holder};
use dockbell_backends::store::marks::{Decision, LetterId};
use dockbell_backends::store::{AttemptRecord, HistoryQuery, PageRequest, Parking, Store, StoreError, Trial};
use dockbell_proto::audit::{Actor, Audited};
use dockbell_proto::callback::{Callback, CallbackId, CallbackState, Report};
use dockbell_proto::clock::Clock;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::{StandingChange, StandingWord};
use dockbell_proto::ids::{AuditId, TokenId};
use dockbell_proto::names::{Registry, Repository};
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::pattern::Pattern;
use dockbell_proto::policy::Suspension;
use dockbell_proto::secret::Secret;
use dockbell_proto::token::{Scope, Token, TokenHash};
use dockbell_proto::webhook::{Format, Webhook, WebhookPatch};
use dockbell_testkit::clock::ManualClock;
use dockbell_testkit::conformance::store::StoreHarness;
use dockbell_testkit::redis::RedisServer;
use dockbell_testkit::sample;
use dockbell_testkit::wait::until;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use crate::harness::{clock, new_keys};

pub(crate) fn config(server: &RedisServer) -> RedisConfig {
    RedisConfig {
        settings_url: Secret::new(server.url()),
        counters_url: Secret::new(server.url()),
        root_certificates: None,
        identity: None,
        prefix: "dockbell".to_owned(),
        accepts_empty: true,
        timeouts: RedisTimeouts::default(),
    }
}

pub(crate) async fn open(server: &RedisServer) -> RedisStore {
    started(&config(server), clock()).await
}

/// A store that has reached its servers, and has told those who listen that they missed what was before.
pub(crate) async fn started(config: &RedisConfig, clock: Arc<dyn Clock>) -> RedisStore {
    started_with(config, clock, Arc::new(Keyring::none())).await
}

pub(crate) async fn started_with(config: &RedisConfig, clock: Arc<dyn Clock>, keys: Arc<Keyring>) -> RedisStore {
    let store = RedisStore::start_sealed(config, clock, keys).unwrap();
    let mut changes = store.changes();
    store.trouble().wait_for(Option::is_none).await.unwrap();
    // On a machine that stands still, it was told before anybody could listen.
    drop(timeout(Duration::from_secs(5), changes.next()).await);
    store
}

pub(crate) fn webhook(number: u8) -> Webhook {
    sample::webhook(number, "team/app", Format::Dockerhub, "https://receiver.test/hook")
}

pub(crate) fn owed(webhook: &Webhook, id: &str) -> Delivery {
    sample::delivery(&webhook.id, &sample::batch(id, "team/app", &["latest"]))
}

pub(crate) fn failed(delivery: Delivery) -> AttemptRecord {
    AttemptRecord {
        delivery,
        at: sample::moment(),
        took: Duration::from_millis(120),
        outcome: Outcome::Refused { status: 500, retry_after: None },
        verdict: Verdict::Retry { at: sample::moment() + Duration::from_mins(1) },
        excerpt: None,
        suspension: Suspension::default(),
        told_as_of: None,
    }
}

pub(crate) fn parking(delivery: Delivery) -> Parking {
    let until = sample::moment() + Duration::from_mins(1);
    Parking { delivery, at: sample::moment(), until, reason: "it is suspended".to_owned(), limit: 10, is_held: false }
}

pub(crate) fn trial(delivery: &Delivery) -> Trial {
    let until = sample::moment() + Duration::from_mins(1);
    Trial { webhook: delivery.webhook.clone(), attempt: delivery.attempt_id(), until, trickle: 4 }
}

pub(crate) fn claim(delivery: &Delivery) -> Claim {
    let until = sample::moment() + Duration::from_secs(5);
    Claim { attempt: delivery.attempt_id(), holder: Holder::from_random(1), until }
}

pub(crate) fn reported(delivery: &Delivery) -> Callback {
    let report = Report { state: CallbackState::Success, description: None, context: None, target_url: None };
    let id = CallbackId { delivery: delivery.id.clone(), request: 0 };
    let (at, until) = (sample::moment(), sample::moment() + Duration::from_hours(24));
    Callback { id, webhook: delivery.webhook.clone(), report, at, until }
}

pub(crate) fn change() -> StandingChange {
    StandingChange { at: sample::moment(), standing: StandingWord::Disabled, reason: "by its owner".to_owned() }
}

pub(crate) fn token() -> Token {
    let id = TokenId::from_random([1; 16]);
    let (hash, created_at) = (TokenHash::of("any"), sample::moment());
    Token { id, name: "ci".to_owned(), hash, scope: Scope::Operator, created_at, expires_at: None }
}

pub(crate) fn noted() -> Audited {
    Audited {
        id: AuditId::from_random([1; 16]),
        at: sample::moment(),
        actor: Actor::Operator,
        address: None,
        action: "remove_webhook".to_owned(),
        subject: None,
        pattern: None,
        members: Vec::new(),
    }
}

/// Every call of the port, and how each ended.
pub(crate) async fn call_all(store: &RedisStore) -> BTreeMap<&'static str, Option<StoreError>> {
    let (webhook, patch) = (webhook(9), WebhookPatch::default());
    let delivery = owed(&webhook, "any");
    let content = &delivery.content;
    let (registry, repository) = (Registry::parse("hub.test").unwrap(), Repository::parse("a").unwrap());
    let tags = [content.changes[0].tag.clone()];
    let page = PageRequest { after: None, limit: 10 };
    let letter = LetterId { position: 1, at: sample::moment() };
    BTreeMap::from([
        ("put_webhook", store.put_webhook(&webhook).await.err()),
        ("patch_webhook", store.patch_webhook(&webhook.id, &patch, sample::moment()).await.err()),
        ("reseal", store.reseal(&webhook.id).await.err()),
        ("remove_webhook", store.remove_webhook(&webhook.id).await.err()),
        ("webhook", store.webhook(&webhook.id).await.err()),
        ("webhooks", store.webhooks(&page).await.err()),
        ("webhooks_on", store.webhooks_on(&Pattern::Everything).await.err()),
        ("first_seen", store.first_seen(&registry, &repository, sample::moment()).await.err()),
        ("record", store.record(&failed(delivery.clone())).await.err()),
        ("settled", store.settled(&[delivery.attempt_id()]).await.err()),
        ("claim", store.claim(&claim(&delivery)).await.err()),
        ("health", store.health(&webhook.id).await.err()),
        ("park", store.park(&parking(owed(&webhook, "parked"))).await.err()),
        ("begin_trial", store.begin_trial(&trial(&delivery)).await.err()),
        ("reset_health", store.reset_health(&webhook.id).await.err()),
        ("forget_skipped", store.forget_skipped(&webhook.id).await.err()),
        ("keep_change", store.keep_change(&webhook.id, &change()).await.err()),
        ("changes_of", store.changes_of(&webhook.id).await.err()),
        ("newest", store.newest(&webhook.id, (&content.registry, &content.repository), &tags).await.err()),
        ("history", store.history(&HistoryQuery::default()).await.err()),
        ("delivery", store.delivery(&delivery.id).await.err()),
        ("take_request", store.take_request(&delivery.id).await.err()),
        ("mark_dead", store.mark_dead(&[letter], Decision::Revived).await.err()),
        ("keep_callback", store.keep_callback(&reported(&delivery)).await.err()),
        ("callbacks", store.callbacks(&[reported(&delivery).id]).await.err()),
        ("claim_news", store.claim_news(&delivery, sample::moment()).await.err()),
        ("keep_told", store.keep_told(&delivery, sample::moment()).await.err()),
        ("put_token", store.put_token(&token()).await.err()),
        ("token", store.token(&token().id).await.err()),
        ("tokens", store.tokens(&page).await.err()),
        ("remove_token", store.remove_token(&token().id).await.err()),
        ("note", store.note(&noted()).await.err()),
        ("audit", store.audit(&page).await.err()),
        ("dead_marks", store.dead_marks(&[letter]).await.err()),
    ])
}

pub(crate) async fn assert_away(store: &RedisStore, why: &str) {
    for (call, error) in call_all(store).await {
        let error = error.unwrap_or_else(|| panic!("{call} was answered"));
        assert!(error.to_string().contains(why), "{call}: {error}");
    }
}

pub(crate) async fn until_answered(store: &RedisStore, within: Duration) {
    let began = Instant::now();
    until("an answer", || async { store.webhook(&webhook(1).id).await.ok() }).await;
    assert!(began.elapsed() < within, "it took {:?}", began.elapsed());
}

/// A store with two webhooks, and with the script of records loaded: a call that finds none has no effect.
pub(crate) async fn prepared(store: RedisStore) -> Arc<RedisStore> {
    store.put_webhook(&webhook(1)).await.unwrap();
    store.put_webhook(&webhook(2)).await.unwrap();
    store.record(&failed(owed(&webhook(2), "first"))).await.unwrap();
    Arc::new(store)
}

/// Two stores on one server, as two processes have them.
pub(crate) struct RedisStores {
    _server: Option<RedisServer>,
    clock: Arc<ManualClock>,
    stores: (Arc<RedisStore>, Arc<RedisStore>),
}

impl RedisStores {
    pub(crate) async fn open() -> Self {
        let server = RedisServer::start().await;
        let stores = Self::open_as(&config(&server)).await;
        Self { _server: Some(server), ..stores }
    }

    /// On a server that is not theirs.
    pub(crate) async fn open_as(config: &RedisConfig) -> Self {
        let clock = clock();
        let keys = new_keys();
        let open = || started_with(config, Arc::<ManualClock>::clone(&clock), Arc::clone(&keys));
        let stores = (Arc::new(open().await), Arc::new(open().await));
        Self { _server: None, clock, stores }
    }

    /// What was counted of the server by the first.
    pub(crate) fn stats(&self) -> RedisServerStats {
        self.stores.0.stats().settings
    }
}

#[async_trait]
impl StoreHarness for RedisStores {
    fn stores(&self) -> (Arc<dyn Store>, Arc<dyn Store>) {
        (Arc::<RedisStore>::clone(&self.stores.0), Arc::<RedisStore>::clone(&self.stores.1))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}
