//! What the store on Redis forgets, and when; no port promises it.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::redis::RedisStore;
use dockbell_backends::store::{
    AttemptRecord, HISTORY_KEPT, Health, HistoryQuery, PageRequest, Recorded, SETTLED_KEPT, Store as _,
};
use dockbell_proto::clock::Clock;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::policy::Suspension;
use dockbell_proto::webhook::{Format, Webhook};
use dockbell_testkit::clock::ManualClock;
use dockbell_testkit::redis::RedisServer;
use dockbell_testkit::sample;

use crate::harness::clock;
use crate::redis_harness::{config, started};

const DAY: Duration = Duration::from_hours(24);

async fn open_at(server: &RedisServer, clock: &Arc<ManualClock>) -> RedisStore {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    started(&config(server), clock).await
}

fn webhook() -> Webhook {
    sample::webhook(1, "*", Format::Batch, "https://receiver.test/")
}

fn owed(id: &str, tag: &str) -> Delivery {
    sample::delivery(&webhook().id, &sample::batch(id, "team/app", &[tag]))
}

fn refused(delivery: Delivery, clock: &ManualClock) -> AttemptRecord {
    AttemptRecord {
        delivery,
        at: clock.now(),
        took: Duration::from_secs(1),
        outcome: Outcome::Refused { status: 500, retry_after: None },
        verdict: Verdict::Retry { at: clock.now() + DAY },
        excerpt: None,
        suspension: Suspension::default(),
        told_as_of: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newest_is_kept_for_as_long_as_a_delivery_may_wait() {
    let (server, clock) = (RedisServer::start().await, clock());
    let store = open_at(&server, &clock).await;
    store.put_webhook(&webhook()).await.unwrap();
    let delivery = owed("a", "latest");
    store.record(&refused(delivery.clone(), &clock)).await.unwrap();
    let change = &delivery.content.changes[0];
    let (repository, tags) = ((&delivery.content.registry, &delivery.content.repository), [change.tag.clone()]);
    clock.advance((7 * DAY).saturating_sub(Duration::from_secs(1)));
    assert_eq!(store.newest(&webhook().id, repository, &tags).await.unwrap(), [Some(change.order.clone())]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.newest(&webhook().id, repository, &tags).await.unwrap(), [None]);
    // What has expired is not found any more, although the server may still have it.
    let generations = async || {
        let keys = server.run(&["KEYS", &format!("{{dockbell}}:newest:{}:*", webhook().id)]).await;
        let mut keys: Vec<_> = keys.lines().map(str::to_owned).collect();
        keys.sort();
        keys
    };
    assert_eq!(generations().await.len(), 1);
    store.record(&refused(owed("b", "other"), &clock)).await.unwrap();
    let [_, newest] = &*generations().await else { panic!("a generation lasts as long as what is in it") };
    let fields = server.run(&["HKEYS", newest]).await;
    assert_eq!(fields.trim(), "hub.test team/app other waits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_comes_after_its_webhook_was_removed_leaves_no_history() {
    let (server, clock) = (RedisServer::start().await, clock());
    let store = open_at(&server, &clock).await;
    store.put_webhook(&webhook()).await.unwrap();
    store.remove_webhook(&webhook().id).await.unwrap();
    let attempt = refused(owed("a", "latest"), &clock);
    let recorded = store.record(&attempt).await.unwrap();
    assert_eq!(recorded, Recorded { is_first: true, health: Health::default(), change: None });
    assert_eq!(store.settled(&[attempt.delivery.attempt_id()]).await.unwrap(), [Some(attempt.verdict)]);
    assert!(store.history(&HistoryQuery::default()).await.unwrap().items.is_empty());
    store.put_webhook(&webhook()).await.unwrap();
    store.record(&refused(owed("b", "latest"), &clock)).await.unwrap();
    assert_eq!(store.health(&webhook().id).await.unwrap().consecutive_failures, 1, "put again, it counts again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_that_has_expired_is_removed_by_later_records() {
    let (server, clock) = (RedisServer::start().await, clock());
    let store = open_at(&server, &clock).await;
    store.put_webhook(&webhook()).await.unwrap();
    for number in 0..8 {
        store.record(&refused(owed(&format!("old{number}"), "1.0"), &clock)).await.unwrap();
    }
    clock.advance(HISTORY_KEPT);
    for number in 0..4 {
        store.record(&refused(owed(&format!("new{number}"), "1.0"), &clock)).await.unwrap();
    }
    for index in ["history", "retrying"] {
        assert_eq!(server.run(&["ZCARD", &format!("{{dockbell}}:{index}")]).await, "4", "{index}");
    }
    assert_eq!(server.run(&["LLEN", &format!("{{dockbell}}:recent:{}", webhook().id)]).await, "4");
    let deliveries = server.run(&["KEYS", "{dockbell}:kept:*"]).await;
    assert_eq!(deliveries.lines().count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_the_server_forgot_is_made_anew_and_stays() {
    let (server, clock) = (RedisServer::start().await, clock());
    let store = open_at(&server, &clock).await;
    store.put_webhook(&webhook()).await.unwrap();
    let delivery = owed("a", "1.0");
    store.record(&refused(delivery.clone(), &clock)).await.unwrap();
    server.run(&["DEL", &format!("{{dockbell}}:kept:{}", delivery.id)]).await;
    clock.advance(HISTORY_KEPT);
    let again = Delivery { ordinal: 2, ..delivery.clone() };
    for attempt in [again, owed("b", "1.0"), owed("c", "1.0")] {
        store.record(&refused(attempt, &clock)).await.unwrap();
    }
    let page = PageRequest { after: None, limit: 10 };
    let history = store.history(&HistoryQuery { page, ..HistoryQuery::default() }).await.unwrap();
    assert_eq!(history.items.len(), 3);
    assert_eq!(store.delivery(&delivery.id).await.unwrap().unwrap().delivery.ordinal, 2);
    assert_eq!(server.run(&["ZCARD", "{dockbell}:history"]).await, "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_forgets_by_itself_what_nobody_asks_for_any_more() {
    let (server, clock) = (RedisServer::start().await, clock());
    let store = open_at(&server, &clock).await;
    store.put_webhook(&webhook()).await.unwrap();
    let delivery = owed("a", "1.0");
    store.record(&refused(delivery.clone(), &clock)).await.unwrap();
    let generation = clock.now().as_second() / (7 * 24 * 60 * 60);
    // Of what it is told for how long only now and then, it keeps more.
    let (minute, hour) = (Duration::from_mins(1), Duration::from_mins(61));
    for (key, kept, more) in [
        (format!("settled:{}", delivery.attempt_id()), SETTLED_KEPT, minute),
        (format!("kept:{}", delivery.id), HISTORY_KEPT, hour),
        (format!("recent:{}", webhook().id), HISTORY_KEPT, hour),
        (format!("newest:{}:{generation}", webhook().id), 14 * DAY, minute),
    ] {
        let left = server.run(&["TTL", &format!("{{dockbell}}:{key}")]).await.parse().unwrap();
        assert!((kept..=kept + more).contains(&Duration::from_secs(left)), "{key}: {left}");
    }
}
