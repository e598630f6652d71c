//! How the store on Redis keeps standing and what waits; no port promises it.

use std::time::Duration;

use dockbell_backends::redis::{RedisConfig, RedisStore};
use dockbell_backends::store::{Health, Recorded, Store as _};
use dockbell_proto::health::{Standing, StandingWord};
use dockbell_proto::secret::Secret;
use dockbell_testkit::redis::RedisServer;
use dockbell_testkit::sample;
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
    server.run(&["HSET", &key("health"), "from", "0"]).await;
    assert!(store.begin_trial(&trial(&parked)).await.unwrap());
    let kinds = ["health", "waiting", "trials", "standings", "newest", "newest-until", "history"];
    for kind in kinds {
        let left: i64 = server.run(&["TTL", &key(kind)]).await.parse().unwrap();
        assert!(left > 0, "{kind}: {left}");
    }
    store.remove_webhook(&webhook(1).id).await.unwrap();
    for kind in kinds {
        assert_eq!(server.run(&["EXISTS", &key(kind)]).await, "0", "{kind}");
    }
}

fn key(kind: &str) -> String {
    format!("{{dockbell}}:{kind}:{}", webhook(1).id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_before_there_were_standings_is_read() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    let text = server.run(&["HGET", "{dockbell}:webhooks", webhook(1).id.as_str()]).await;
    assert!(!text.contains("policy") && !text.contains("disabled_reason"), "{text}");
    let micros = sample::moment().as_microsecond().to_string();
    server.run(&["HSET", &key("health"), "failures", "7", "since", &micros]).await;
    let since = Some(sample::moment());
    let expected = Health { consecutive_failures: 7, failing_since: since, ..Health::default() };
    assert_eq!(store.health(&webhook(1).id).await.unwrap(), expected);
    let mut attempt = failed(owed(&webhook(1), "a"));
    attempt.at += Duration::from_mins(1);
    store.record(&attempt).await.unwrap();
    let mut attempt = failed(owed(&webhook(1), "b"));
    attempt.at += Duration::from_mins(2);
    let health = store.record(&attempt).await.unwrap().health;
    assert_eq!((health.consecutive_failures, health.failing_since), (9, since));
    assert!(matches!(health.standing, Standing::Suspended { level: 1, .. }), "{health:?}");
}
