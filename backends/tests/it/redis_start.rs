//! How a store on Redis starts, and what it says of its servers.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::redis::{RedisConfig, RedisStore};
use dockbell_backends::store::{Notice, Store as _};
use dockbell_proto::secret::Secret;
use dockbell_testkit::redis::RedisServer;
use dockbell_testkit::wait::until;
use tokio::time::timeout;

use crate::harness::clock;
use crate::redis_harness::{assert_away, config, open, started, until_answered, webhook};

/// Waits until the store says so of its servers.
async fn until_trouble(store: &RedisStore, what: &str) -> String {
    let mut trouble = store.trouble();
    let is_it = |trouble: &Option<Arc<str>>| trouble.as_ref().is_some_and(|why| why.contains(what));
    let found = timeout(Duration::from_secs(30), trouble.wait_for(is_it)).await;
    found.unwrap_or_else(|_| panic!("waited in vain for: {what}")).unwrap().as_deref().unwrap().to_owned()
}

async fn until_well(store: &RedisStore) {
    timeout(Duration::from_secs(30), store.trouble().wait_for(Option::is_none)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_starts_without_its_server_and_finds_it_later() {
    let mut server = RedisServer::start().await;
    server.kill().await;
    let url = Secret::new(format!("redis://:canary@{}", server.addr()));
    let config = RedisConfig { settings_url: url.clone(), counters_url: url, ..config(&server) };
    let store = RedisStore::start(&config, clock()).unwrap();
    let mut changes = store.changes();
    assert_away(&store, "").await;
    let trouble = until_trouble(&store, "refused").await;
    let named = format!("settings and counters on redis at {}: ", server.addr());
    assert!(trouble.starts_with(&named) && !trouble.contains("canary"), "{trouble}");
    server.start_again().await;
    // The password of the URL is one that the server has, too.
    until_trouble(&store, "assword").await;
    server.run(&["CONFIG", "SET", "requirepass", "canary"]).await;
    until_well(&store).await;
    until_answered(&store, Duration::from_secs(5)).await;
    let notice = timeout(Duration::from_secs(5), changes.next()).await.unwrap();
    assert_eq!(notice, Some(Notice::Missed), "the database was reached");
    store.put_webhook(&webhook(1)).await.unwrap();
    let notice = timeout(Duration::from_secs(1), changes.next()).await.unwrap();
    assert!(matches!(notice, Some(Notice::Webhook { .. })), "{notice:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_which_the_marker_is_missing_is_not_taken() {
    let server = RedisServer::start().await;
    server.run(&["HSET", "{dockbell}:webhooks", "x", "y"]).await;
    let store = RedisStore::start(&config(&server), clock()).unwrap();
    until_trouble(&store, "webhooks and no marker: restore it").await;
    assert_away(&store, "webhooks and no marker").await;
    server.run(&["DEL", "{dockbell}:webhooks"]).await;
    until_answered(&store, Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_can_never_work_is_refused() {
    let server = RedisServer::start().await;
    let wrong_prefix = RedisConfig { prefix: "a{b}".to_owned(), ..config(&server) };
    let wrong_url = RedisConfig { counters_url: Secret::new("http://:canary@redis.test"), ..config(&server) };
    for (wrong, said) in [(wrong_prefix, "prefix"), (wrong_url, "the URL of counters")] {
        let error = RedisStore::start(&wrong, clock()).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("canary"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_names_the_server_and_ends_with_it() {
    let (mut settings, mut counters) = (RedisServer::start().await, RedisServer::start().await);
    let config = RedisConfig { counters_url: Secret::new(counters.url()), ..config(&settings) };
    let store = started(&config, clock()).await;
    counters.kill().await;
    let trouble = until_trouble(&store, "counters on redis").await;
    assert!(!trouble.contains("settings"), "{trouble}");
    settings.kill().await;
    until_trouble(&store, "settings on redis").await;
    counters.start_again().await;
    settings.start_again().await;
    until_well(&store).await;
    store.close().await;
    until_trouble(&store, "the store is closed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_flushed_is_trouble_until_it_is_restored() {
    let mut server = RedisServer::start().await;
    let store = open(&server).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    let copy = server.copy_data();
    server.run(&["FLUSHALL"]).await;
    // No call is needed to find out.
    until_trouble(&store, "the database has lost its marker; restore it, or restart every process").await;
    server.kill().await;
    server.put_back(&copy);
    server.start_again().await;
    until_well(&store).await;
    assert_eq!(store.webhook(&webhook(1).id).await.unwrap(), Some(webhook(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_is_taken_as_a_new_one_by_none_but_those_who_may() {
    let server = RedisServer::start().await;
    let careful = RedisConfig { accepts_empty: false, ..config(&server) };
    let store = RedisStore::start(&careful, clock()).unwrap();
    until_trouble(&store, "the database is empty: restore it, or start dockbell console or dockbell up").await;
    assert!(store.webhook(&webhook(1).id).await.is_err(), "nothing follows from what may be lost");
    open(&server).await;
    until_well(&store).await;
    assert_eq!(store.webhook(&webhook(1).id).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn persistence_is_asked_at_every_connecting() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    assert_eq!((store.persistence().is_safe(), store.persistence().note()), (Some(true), None));
    let noted = async |what: &str| {
        server.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        let is_noted = || async { store.persistence().note().filter(|note| note.contains(what)) };
        until(what, is_noted).await;
        until_well(&store).await;
        store.persistence().is_safe()
    };
    server.run(&["CONFIG", "SET", "appendonly", "no"]).await;
    assert_eq!(noted("appendonly is off and no snapshots are made (set appendonly yes)").await, Some(false));
    for setting in [["appendonly", "yes"], ["maxmemory", "100mb"], ["maxmemory-policy", "allkeys-lru"]] {
        server.run(&[&["CONFIG", "SET"][..], &setting].concat()).await;
    }
    assert_eq!(noted("set maxmemory-policy noeviction").await, Some(false));
    server.run(&["ACL", "SETUSER", "default", "-info", "-config"]).await;
    assert_eq!(noted("not known").await, None);
}
