//! A Redis that answers, but not what it was asked for: each call fails, and all is back without a new start.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::redis::RedisStore;
use dockbell_backends::store::{Store as _, StoreError};
use dockbell_proto::pattern::Pattern;
use dockbell_proto::webhook::WebhookPatch;
use dockbell_testkit::redis::RedisServer;
use dockbell_testkit::sample;
use dockbell_testkit::wait::until;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::redis_harness::{call_all, change, failed, open, owed, parking, prepared, until_answered, webhook};

/// Waits until every call fails, at least one of them for the reason `why`.
async fn until_refused(store: &RedisStore, why: &str) {
    let refused = || async {
        let ends: Vec<Option<StoreError>> = call_all(store).await.into_values().collect();
        let is_why = |end: &StoreError| end.to_string().to_lowercase().contains(why);
        (ends.iter().all(Option::is_some) && ends.iter().flatten().any(is_why)).then_some(())
    };
    until(why, refused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_left_until_it_is_a_primary_again() {
    let (server, primary) = (RedisServer::start().await, RedisServer::start().await);
    let store = open(&server).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    // It keeps its own data: the primary to be asks for a password that the replica does not have.
    primary.run(&["CONFIG", "SET", "requirepass", "secret"]).await;
    let port = primary.addr().port().to_string();
    server.run(&["REPLICAOF", "127.0.0.1", &port]).await;
    let error = store.put_webhook(&webhook(2)).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("read"), "{error}");
    until("a refusal to read", || async { store.webhook(&webhook(1).id).await.err() }).await;
    server.run(&["REPLICAOF", "NO", "ONE"]).await;
    until_answered(&store, Duration::from_secs(5)).await;
    store.put_webhook(&webhook(2)).await.unwrap();
    assert_eq!(store.webhook(&webhook(1).id).await.unwrap(), Some(webhook(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lost_its_primary_is_left_until_it_is_one_itself() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    server.run(&["CONFIG", "SET", "replica-serve-stale-data", "no"]).await;
    server.run(&["REPLICAOF", "127.0.0.1", "1"]).await;
    until_refused(&store, "master").await;
    server.run(&["REPLICAOF", "NO", "ONE"]).await;
    until_answered(&store, Duration::from_secs(5)).await;
    assert_eq!(store.webhook(&webhook(1).id).await.unwrap(), Some(webhook(1)));
    store.put_webhook(&webhook(2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_still_reads_its_files_is_not_used_and_not_empty() {
    let mut server = RedisServer::start().await;
    let store = prepared(open(&server).await).await;
    let fill = "for i = 1, 60000 do redis.call('SET', i, i) end";
    server.run(&["EVAL", fill, "0"]).await;
    server.kill().await;
    server.start_again_slowly(Duration::from_micros(100)).await;
    let is_loading = |why: &Option<Arc<str>>| why.as_ref().is_some_and(|why| why.to_lowercase().contains("loading"));
    timeout(Duration::from_secs(30), store.trouble().wait_for(is_loading)).await.unwrap().unwrap();
    until_refused(&store, "loading").await;
    let connections = store.stats().settings.connections;
    assert_eq!(connections, 1, "a connection is not used before the server can");
    server.read_on().await;
    until_answered(&store, Duration::from_secs(10)).await;
    assert_eq!(store.webhook(&webhook(1).id).await.unwrap(), Some(webhook(1)));
    assert!(!store.record(&failed(owed(&webhook(2), "first"))).await.unwrap().is_first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_busy_with_a_script_is_used_again_when_it_ends() {
    let server = Arc::new(RedisServer::start().await);
    let store = prepared(open(&server).await).await;
    server.run(&["CONFIG", "SET", "lua-time-limit", "50"]).await;
    let (mut scripts, of_script) = (JoinSet::new(), Arc::clone(&server));
    scripts.spawn(async move { of_script.run(&["EVAL", "while true do end", "0"]).await });
    until_refused(&store, "busy").await;
    assert_eq!(server.run(&["SCRIPT", "KILL"]).await, "OK");
    until_answered(&store, Duration::from_secs(5)).await;
    assert!(store.record(&failed(owed(&webhook(1), "a"))).await.unwrap().is_first);
    assert_eq!(store.health(&webhook(1).id).await.unwrap().consecutive_failures, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_memory_refuses_what_is_new_whole_and_reads_on() {
    let server = RedisServer::start().await;
    let store = prepared(open(&server).await).await;
    server.run(&["CONFIG", "SET", "maxmemory", "1mb"]).await;
    let error = store.record(&failed(owed(&webhook(1), "a"))).await.unwrap_err();
    assert!(error.to_string().contains("memory"), "{error}");
    let refused = call_all(&store).await.into_iter().filter_map(|(call, error)| error.map(|_| call));
    assert_eq!(
        refused.collect::<BTreeSet<_>>(),
        BTreeSet::from(["claim", "first_seen", "mark_dead", "note", "put_token", "put_webhook", "record"])
    );
    let parked = owed(&webhook(1), "parked");
    let error = store.park(&parking(parked.clone())).await.unwrap_err();
    assert!(error.to_string().contains("memory"), "{error}");
    assert_eq!(store.delivery(&parked.id).await.unwrap(), None);
    assert!(store.keep_change(&webhook(1).id, &change()).await.is_err());
    assert_eq!(store.health(&webhook(1).id).await.unwrap().consecutive_failures, 0);
    // A change of what is there has its whole effect or none.
    let moved = WebhookPatch { pattern: Some(Pattern::Everything), ..WebhookPatch::default() };
    let patched = store.patch_webhook(&webhook(1).id, &moved, sample::moment()).await;
    let expected = patched.ok().flatten().unwrap_or_else(|| webhook(1));
    assert_eq!(store.webhooks_on(&expected.pattern).await.unwrap()[0], expected);
    server.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let recorded = store.record(&failed(owed(&webhook(1), "a"))).await.unwrap();
    assert!(recorded.is_first);
    assert_eq!(recorded.health.consecutive_failures, 1);
}
