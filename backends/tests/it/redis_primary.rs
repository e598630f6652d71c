//! A primary that is found through others: sentinels, or a cluster.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::redis::{RedisConfig, RedisStore};
use dockbell_backends::store::Store as _;
use dockbell_proto::secret::Secret;
use dockbell_proto::webhook::{Format, Webhook};
use dockbell_testkit::redis::RedisServer;
use dockbell_testkit::sample;
use dockbell_testkit::wait::until;
use tokio::time::Instant;

use crate::harness::clock;
use crate::redis_harness::{config, started};

fn webhook(number: u8) -> Webhook {
    sample::webhook(number, "*", Format::Batch, "https://receiver.test/")
}

async fn open(server: &RedisServer, url: &str) -> RedisStore {
    let url = Secret::new(url);
    let config = RedisConfig { settings_url: url.clone(), counters_url: url, ..config(server) };
    started(&config, clock()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_is_asked_of_the_sentinels_again_after_a_failover() {
    let (mut primary, replica) = (RedisServer::start().await, RedisServer::start().await);
    let port = primary.addr().port().to_string();
    replica.run(&["REPLICAOF", "127.0.0.1", &port]).await;
    let in_step = || async { replica.run(&["INFO", "replication"]).await.contains("link_status:up").then_some(()) };
    until("the replica", in_step).await;
    let sentinel = RedisServer::start_sentinel(&primary).await;
    let replica_known = || async {
        let replicas = sentinel.run(&["SENTINEL", "REPLICAS", "main"]).await;
        replicas.contains(&replica.addr().port().to_string()).then_some(())
    };
    // A sentinel asks primaries every ten seconds.
    until("the sentinel to know the replica", replica_known).await;
    // The first one named does not listen.
    let store = open(&primary, &format!("redis+sentinel://127.0.0.1:1,{}/main", sentinel.addr())).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    let arrived = || async { (replica.run(&["EXISTS", "{dockbell}:webhooks"]).await == "1").then_some(()) };
    until("the replica to have the webhook", arrived).await;
    primary.kill().await;
    let port = replica.addr().port().to_string();
    let ask = &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"];
    let named = || async { sentinel.run(ask).await.contains(&port).then_some(()) };
    until("another primary to be named", named).await;
    let named_at = Instant::now();
    until("the new primary", || async { store.put_webhook(&webhook(2)).await.ok() }).await;
    assert!(named_at.elapsed() < Duration::from_secs(5), "it took {:?}", named_at.elapsed());
    assert_eq!(store.webhook(&webhook(1).id).await.unwrap(), Some(webhook(1)));
    assert_eq!(replica.run(&["HLEN", "{dockbell}:webhooks"]).await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_and_the_primary_are_told_their_own_passwords() {
    let primary = RedisServer::start_with_password("of the primary").await;
    let sentinel = RedisServer::start_sentinel_with_password(&primary, "of@sentinels").await;
    let start = async |parameters: &str| {
        let url = format!("redis+sentinel://:of%20the%20primary@{}/main{parameters}", sentinel.addr());
        let url = Secret::new(url);
        let config = RedisConfig { settings_url: url.clone(), counters_url: url, ..config(&primary) };
        let store = RedisStore::start(&config, clock()).unwrap();
        let is_known = |why: &Option<Arc<str>>| why.as_ref().is_none_or(|why| !why.contains("not connected yet"));
        let trouble = store.trouble().wait_for(is_known).await.unwrap().as_deref().map(str::to_owned);
        (store, trouble)
    };
    let (store, trouble) = start("?sentinel_password=of%40sentinels").await;
    assert_eq!(trouble, None);
    store.put_webhook(&webhook(1)).await.unwrap();
    for parameters in ["", "?sentinel_password=of%20the%20primary"] {
        let trouble = start(parameters).await.1.unwrap();
        assert!(trouble.to_lowercase().contains("auth") && !trouble.contains("primary@"), "{trouble}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_of_a_cluster_that_has_our_slot_is_found_and_found_again() {
    let (one, two) = (RedisServer::start_for_cluster().await, RedisServer::start_for_cluster().await);
    let slot = one.run(&["CLUSTER", "KEYSLOT", "{dockbell}:"]).await;
    one.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    two.run(&["CLUSTER", "MEET", "127.0.0.1", &one.addr().port().to_string()]).await;
    let formed = || async { two.run(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok").then_some(()) };
    until("the cluster", formed).await;
    let store = open(&one, &format!("redis+cluster://{},{}", two.addr(), one.addr())).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    assert_eq!(one.run(&["HLEN", "{dockbell}:webhooks"]).await, "1");

    // The slot moves, keys and all, as an operator moves it.
    let (from, to) = (one.run(&["CLUSTER", "MYID"]).await, two.run(&["CLUSTER", "MYID"]).await);
    two.run(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]).await;
    one.run(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]).await;
    let port = two.addr().port().to_string();
    for key in one.run(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).await.lines() {
        one.run(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]).await;
    }
    for member in [&two, &one] {
        member.run(&["CLUSTER", "SETSLOT", &slot, "NODE", &to]).await;
    }
    let moved = || async { store.put_webhook(&webhook(2)).await.ok() };
    tokio::time::timeout(Duration::from_secs(10), until("the other member", moved)).await.unwrap();
    assert_eq!(store.webhook(&webhook(1).id).await.unwrap(), Some(webhook(1)));
    assert_eq!(two.run(&["HLEN", "{dockbell}:webhooks"]).await, "2");
}
