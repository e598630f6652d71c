//! How the store on Redis keeps standing and what waits; no port promises it.

use std::time::Duration;

use dockbell_backends::redis::{RedisConfig, RedisStore};
use dockbell_backends::store::{Recorded, Store as _};
use dockbell_proto::health::StandingWord;
use dockbell_proto::secret::Secret;
use dockbell_testkit::redis::RedisServer;
use tokio::time::Instant;

use crate::harness::clock;
use crate::redis_harness::{change, config, failed, open, owed, parking, started, trial, webhook};

/// Lets attempts of five deliveries fail, by which the first webhook is suspended.
async fn suspend(store: &RedisStore) -> Recorded {
    let mut last = None;
    for number in 0..5 {
        let mut attempt = failed(owed(&webhook(1), &format!("b{number}")));
        attempt.at += Duration::from_secs(3 * number);
        last = Some(store.record(&attempt).await.unwrap());
    }
    let last = last.unwrap();
    assert_eq!(last.change.as_ref().map(|change| change.standing), Some(StandingWord::Suspended));
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_standing_is_told_without_a_revision_of_settings() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    suspend(&store).await;
    // A server that lost its last second would be taken for an older database, if it were one.
    assert_eq!(server.run(&["HGET", "{dockbell}:marker", "revision"]).await, "1");
    assert_eq!(server.run(&["XLEN", "{dockbell}:changes"]).await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_succeeds_although_its_change_cannot_be_told() {
    let (settings, counters) = (RedisServer::start().await, RedisServer::start().await);
    let config = RedisConfig { counters_url: Secret::new(counters.url()), ..config(&settings) };
    let store = started(&config, clock()).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    settings.pause().await;
    let began = Instant::now();
    let recorded = suspend(&store).await;
    // What it may cost is one time-out; the rest is for a machine that stands still.
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    assert_eq!(store.changes_of(&webhook(1).id).await.unwrap(), [recorded.change.unwrap()]);
    settings.resume().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_of_a_webhook_is_forgotten_some_day_and_at_once_when_it_is_removed() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    suspend(&store).await;
    let parked = owed(&webhook(1), "parked");
    store.park(&parking(parked.clone())).await.unwrap();
    store.keep_change(&webhook(1).id, &change()).await.unwrap();
    // The time of its suspension is not over, but a question is noted only when it is granted.
    let text = server.run(&["GET", &key("counters")]).await;
    let mut fields: Vec<_> = text.split(',').collect();
    fields[6] = "0";
    server.run(&["SET", &key("counters"), &fields.join(","), "KEEPTTL"]).await;
    assert!(store.begin_trial(&trial(&parked)).await.unwrap());
    let newest = server.run(&["KEYS", &format!("{}:*", key("newest"))]).await;
    let mut keys = vec![newest];
    keys.extend(["counters", "waiting", "trials", "standings", "recent"].map(key));
    for key in &keys {
        let left: i64 = server.run(&["TTL", key]).await.parse().unwrap();
        assert!(left > 0, "{key}: {left}");
    }
    store.remove_webhook(&webhook(1).id).await.unwrap();
    for key in &keys {
        assert_eq!(server.run(&["EXISTS", key]).await, "0", "{key}");
    }
}

fn key(kind: &str) -> String {
    format!("{{dockbell}}:{kind}:{}", webhook(1).id)
}

/// Versions before this one kept the same in other types. What they left goes by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_in_another_layout_does_not_stand_in_the_way() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    let text = server.run(&["HGET", "{dockbell}:webhooks", webhook(1).id.as_str()]).await;
    assert!(!text.contains("policy") && !text.contains("disabled_reason"), "{text}");
    let delivery = owed(&webhook(1), "a");
    server.run(&["HSET", &key("health"), "failures", "7"]).await;
    server.run(&["HSET", &key("newest"), "hub.test team/app latest waits", "1 2"]).await;
    server.run(&["ZADD", &key("history"), "0", &format!("8000000000000000.{}", delivery.id)]).await;
    server.run(&["HSET", &format!("{{dockbell}}:delivery:{}", delivery.id), "state", "retrying"]).await;
    let recorded = store.record(&failed(delivery.clone())).await.unwrap();
    assert_eq!(recorded.health.consecutive_failures, 1);
    assert_eq!(store.delivery(&delivery.id).await.unwrap().unwrap().attempts.len(), 1);
    assert!(store.remove_webhook(&webhook(1).id).await.unwrap());
}
