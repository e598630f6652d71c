//! What can happen to a Redis, and to the way there.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::redis::{RedisConfig, RedisStore, RedisTimeouts};
use dockbell_backends::store::{Notice, Store as _};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::secret::Secret;
use dockbell_proto::webhook::Webhook;
use dockbell_testkit::proxy::Proxy;
use dockbell_testkit::redis::RedisServer;
use dockbell_testkit::wait::until;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::harness::clock;
use crate::redis_harness::{
    assert_away, call_all, config, failed, open, owed, prepared, started, until_answered, webhook,
};

async fn open_by_proxy(server: &RedisServer) -> (Proxy, RedisStore) {
    let proxy = Proxy::start(server.addr()).await;
    let url = Secret::new(format!("redis://{}", proxy.addr()));
    let of_proxy = RedisConfig { settings_url: url.clone(), counters_url: url, ..config(server) };
    (proxy, started(&of_proxy, clock()).await)
}

const RECORDS: u32 = 60;

/// The delivery of this number; both webhooks have as many.
fn numbered(number: u32) -> Delivery {
    owed(&webhook(if number.is_multiple_of(2) { 1 } else { 2 }), &format!("b{number}"))
}

/// Makes records one after another while `fault` runs, each until it is answered, and once more, as
/// deliverers do. Returns how many were told that they were the first of their attempt: the others had timed
/// out, and arrived.
async fn record_all(store: &Arc<RedisStore>, pause: Duration, fault: impl Future<Output = ()>) -> u32 {
    let mut records = JoinSet::new();
    for number in 0..RECORDS {
        let (store, attempt) = (Arc::clone(store), failed(numbered(number)));
        records.spawn(async move {
            sleep(pause * number).await;
            let is_first = until("a record", || async { store.record(&attempt).await.ok() }).await.is_first;
            let again = until("a record again", || async { store.record(&attempt).await.ok() }).await;
            assert!(!again.is_first, "the attempt counted twice");
            is_first
        });
    }
    fault.await;
    records.join_all().await.into_iter().map(u32::from).sum()
}

/// Every attempt counted once, and stands in the history once.
async fn assert_counted_once(store: &RedisStore) {
    for (number, failures) in [(1, RECORDS / 2), (2, RECORDS / 2 + 1)] {
        assert_eq!(store.health(&webhook(number).id).await.unwrap().consecutive_failures, failures);
    }
    for number in 0..RECORDS {
        let recorded = store.delivery(&numbered(number).id).await.unwrap().unwrap();
        assert_eq!(recorded.attempts.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_at_a_server_that_hangs_count_once() {
    let server = RedisServer::start().await;
    let store = prepared(open(&server).await).await;
    server.pause().await;
    let firsts = record_all(&store, Duration::from_millis(40), async {
        sleep(Duration::from_secs(4)).await;
        server.resume().await;
        until_answered(&store, Duration::from_secs(5)).await;
    });
    assert!(firsts.await < RECORDS, "no record arrived that had timed out");
    assert_counted_once(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_hangs_costs_few_callers_their_time() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    server.pause().await;
    let (began, mut slow) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(4) {
        let called = Instant::now();
        store.webhook(&webhook(1).id).await.unwrap_err();
        slow += u32::from(called.elapsed() > Duration::from_millis(100));
        sleep(Duration::from_millis(10)).await;
    }
    server.resume().await;
    assert!(slow <= 3, "{slow} calls waited");
}

/// How many calls of twenty callers waited in vain for an answer, in so long.
async fn calls_that_waited(store: &Arc<RedisStore>, during: Duration) -> u64 {
    let (before, mut callers) = (store.stats().settings.timeouts, JoinSet::new());
    for number in 0..20 {
        let store = Arc::clone(store);
        callers.spawn(async move {
            let began = Instant::now();
            while began.elapsed() < during {
                store.record(&failed(numbered(number))).await.unwrap_err();
                sleep(Duration::from_millis(20)).await;
            }
        });
    }
    callers.join_all().await;
    store.stats().settings.timeouts - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_fail_at_once_while_the_server_is_known_to_be_away() {
    let mut server = RedisServer::start().await;
    let (proxy, store) = open_by_proxy(&server).await;
    let store = prepared(store).await;
    // Everybody who asks before it is known waits, once.
    proxy.hold_from("");
    let found_out = calls_that_waited(&store, Duration::from_secs(2)).await;
    assert!((3..=40).contains(&found_out), "{found_out} calls waited");
    let known = calls_that_waited(&store, Duration::from_secs(4)).await;
    assert_eq!(known, 0, "held up");
    proxy.release();
    until_answered(&store, Duration::from_secs(5)).await;
    server.kill().await;
    assert_eq!(calls_that_waited(&store, Duration::from_secs(3)).await, 0, "killed");
    server.start_again().await;
    until_answered(&store, Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_too_late_costs_at_most_one_call_a_second_its_time() {
    const DURING: Duration = Duration::from_secs(10);
    let server = Arc::new(RedisServer::start().await);
    let timeouts = RedisTimeouts { response: Duration::from_millis(100), ..RedisTimeouts::default() };
    let store = started(&RedisConfig { timeouts, ..config(&server) }, clock()).await;
    let (mut slowness, slow_server) = (JoinSet::new(), Arc::clone(&server));
    slowness.spawn(async move {
        loop {
            slow_server.pause().await;
            sleep(Duration::from_millis(300)).await;
            slow_server.resume().await;
            sleep(Duration::from_millis(1)).await;
        }
    });
    // It is found out by several calls, as some are answered in time.
    until("it to be known", || async {
        drop(store.webhook(&webhook(1).id).await);
        store.trouble().borrow().as_ref().map(|_| ())
    })
    .await;
    let (began, mut waited) = (Instant::now(), 0);
    while began.elapsed() < DURING {
        let called = Instant::now();
        drop(store.webhook(&webhook(1).id).await);
        waited += u32::from(called.elapsed() > Duration::from_millis(90));
        sleep(Duration::from_millis(10)).await;
    }
    slowness.shutdown().await;
    server.resume().await;
    until_answered(&store, Duration::from_secs(5)).await;
    assert!(waited <= 10, "{waited} calls waited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_that_was_held_up_does_not_undo_a_later_one() {
    let server = RedisServer::start().await;
    let (proxy, store) = open_by_proxy(&server).await;
    let other = open(&server).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    // The question before the put does not name the new name, so that the put itself is held up.
    proxy.hold_from("early");
    store.put_webhook(&Webhook { name: "early".to_owned(), ..webhook(1) }).await.unwrap_err();
    other.put_webhook(&Webhook { name: "late".to_owned(), ..webhook(1) }).await.unwrap();
    let calls_before = evalsha_calls(&server).await;
    proxy.release();
    until("the put to arrive", || async { (evalsha_calls(&server).await > calls_before).then_some(()) }).await;
    assert_eq!(other.webhook(&webhook(1).id).await.unwrap().unwrap().name, "late");
}

async fn evalsha_calls(server: &RedisServer) -> u32 {
    let stats = server.run(&["INFO", "commandstats"]).await;
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
    line.split(',').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_over_a_way_that_is_half_open_for_long_count_once() {
    let server = RedisServer::start().await;
    let (proxy, store) = open_by_proxy(&server).await;
    let store = prepared(store).await;
    proxy.hold_from("");
    let firsts = record_all(&store, Duration::from_millis(300), async {
        sleep(Duration::from_secs(20)).await;
        assert!(store.trouble().borrow().is_some());
        proxy.release();
        until_answered(&store, Duration::from_secs(5)).await;
    });
    assert!(firsts.await < RECORDS, "no record arrived that had timed out");
    assert_counted_once(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_lead_nowhere_are_replaced() {
    let server = RedisServer::start().await;
    let (proxy, store) = open_by_proxy(&server).await;
    let mut changes = store.changes();
    proxy.hold_present();
    // The first call is made on a connection that nobody has found out about yet.
    store.webhook(&webhook(1).id).await.unwrap_err();
    until_answered(&store, Duration::from_secs(5)).await;
    let stats = store.stats();
    assert_eq!((stats.settings.connections, stats.counters), (2, None));
    assert!(stats.settings.timeouts >= 3, "{stats:?}");
    let notice = timeout(Duration::from_secs(5), changes.next()).await.unwrap().unwrap();
    assert_eq!(notice, Notice::Missed, "that of changes too");
    store.put_webhook(&webhook(1)).await.unwrap();
    let notice = timeout(Duration::from_secs(1), changes.next()).await.unwrap().unwrap();
    assert!(matches!(notice, Notice::Webhook { .. }), "{notice:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_flushed_is_away_and_not_empty() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    server.run(&["FLUSHALL"]).await;
    assert_away(&store, "the database has lost its marker").await;
    assert_eq!(server.run(&["DBSIZE"]).await, "0", "a refused call writes nothing");
    // Another process makes it a database anew; for this one it is another.
    let newcomer = open(&server).await;
    newcomer.put_webhook(&webhook(2)).await.unwrap();
    assert_away(&store, "the database is another one").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_came_back_without_its_data_is_away() {
    let mut server = RedisServer::start().await;
    let store = open(&server).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    server.kill().await;
    store.webhook(&webhook(1).id).await.unwrap_err();
    server.lose_data();
    server.start_again().await;
    let lost = || async { store.webhook(&webhook(1).id).await.err().filter(|e| e.0.contains("lost its marker")) };
    until("the database to be away", lost).await;
    assert_away(&store, "the database has lost its marker").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_set_back_is_away() {
    let mut server = RedisServer::start().await;
    let store = open(&server).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    let copy = server.copy_data();
    store.put_webhook(&webhook(2)).await.unwrap();
    server.kill().await;
    server.put_back(&copy);
    server.start_again().await;
    let older = || async { store.webhook(&webhook(1).id).await.err().filter(|e| e.0.contains("older")) };
    until("the database to be away", older).await;
    assert_away(&store, "the database is older than it was").await;
    let newcomer = open(&server).await;
    assert_eq!(newcomer.webhook(&webhook(1).id).await.unwrap(), Some(webhook(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_nothing_and_scripts_are_loaded_again() {
    let mut server = RedisServer::start().await;
    let store = open(&server).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    let first = store.record(&failed(owed(&webhook(1), "a"))).await.unwrap();
    server.kill().await;
    server.start_again().await;
    until_answered(&store, Duration::from_secs(5)).await;
    let again = store.record(&failed(owed(&webhook(1), "a"))).await.unwrap();
    assert!(first.is_first && !again.is_first);
    assert!(store.record(&failed(owed(&webhook(1), "b"))).await.unwrap().is_first);
    server.run(&["SCRIPT", "FLUSH"]).await;
    assert!(call_all(&store).await.values().all(Option::is_none));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_that_were_lost_stop_nothing() {
    let (settings, counters) = (RedisServer::start().await, RedisServer::start().await);
    let config = RedisConfig { counters_url: Secret::new(counters.url()), ..config(&settings) };
    let store = started(&config, clock()).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    for id in ["a", "b"] {
        store.record(&failed(owed(&webhook(1), id))).await.unwrap();
    }
    counters.run(&["FLUSHALL"]).await;
    assert_eq!(store.health(&webhook(1).id).await.unwrap().consecutive_failures, 0);
    assert_eq!(store.record(&failed(owed(&webhook(1), "c"))).await.unwrap().health.consecutive_failures, 1);
    assert_eq!(store.webhook(&webhook(1).id).await.unwrap(), Some(webhook(1)));
    assert_eq!(settings.run(&["EXISTS", "{dockbell}:history"]).await, "0");
    let stats = store.stats();
    assert!(stats.settings.connections > 0 && stats.counters.is_some_and(|of| of.connections > 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_while_the_connection_was_lost_is_said_to_be_missed() {
    let server = RedisServer::start().await;
    let (store, other) = (open(&server).await, open(&server).await);
    let mut changes = store.changes();
    other.put_webhook(&webhook(1)).await.unwrap();
    let notice = timeout(Duration::from_secs(1), changes.next()).await.unwrap().unwrap();
    assert!(matches!(notice, Notice::Webhook { .. }), "{notice:?}");
    server.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    until("a put", || async { other.put_webhook(&webhook(2)).await.ok() }).await;
    let notice = timeout(Duration::from_secs(5), changes.next()).await.unwrap().unwrap();
    assert_eq!(notice, Notice::Missed);
    // It is said again if the connection of calls was found to be lost after that of changes.
    let notice = loop {
        until("a put", || async { other.put_webhook(&webhook(3)).await.ok() }).await;
        let notice = timeout(Duration::from_secs(1), changes.next()).await.unwrap().unwrap();
        if notice != Notice::Missed {
            break notice;
        }
    };
    assert!(matches!(notice, Notice::Webhook { ref id, .. } if *id == webhook(3).id), "{notice:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_read_anew_when_calls_go_over_another_connection() {
    let server = RedisServer::start().await;
    let (proxy, store) = open_by_proxy(&server).await;
    let mut changes = store.changes();
    // Only the connection of calls is held up, from this put on.
    proxy.hold_from("early");
    store.put_webhook(&Webhook { name: "early".to_owned(), ..webhook(1) }).await.unwrap_err();
    let notice = timeout(Duration::from_secs(10), changes.next()).await.unwrap().unwrap();
    assert_eq!(notice, Notice::Missed);
    assert_eq!(store.stats().settings.connections, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_in_the_changes_is_said_to_be_missed() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    let mut changes = store.changes();
    server.run(&["HINCRBY", "{dockbell}:marker", "revision", "1"]).await;
    let notice = timeout(Duration::from_secs(5), changes.next()).await.unwrap().unwrap();
    assert_eq!(notice, Notice::Missed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_learns_that_the_store_is_closed() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    let mut changes = store.changes();
    store.close().await;
    assert_eq!(changes.next().await, None);
    assert_eq!(store.changes().next().await, None);
    assert_away(&store, "the store is closed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_was_removed_counts_again_when_its_put_is_repeated() {
    let (settings, counters) = (RedisServer::start().await, RedisServer::start().await);
    let config = RedisConfig { counters_url: Secret::new(counters.url()), ..config(&settings) };
    let store = started(&config, clock()).await;
    store.put_webhook(&webhook(1)).await.unwrap();
    store.remove_webhook(&webhook(1).id).await.unwrap();
    counters.pause().await;
    store.put_webhook(&webhook(1)).await.unwrap_err();
    counters.resume().await;
    until("the put again", || async { store.put_webhook(&webhook(1)).await.ok() }).await;
    let recorded = store.record(&failed(owed(&webhook(1), "a"))).await.unwrap();
    assert_eq!(recorded.health.consecutive_failures, 1);
    assert_eq!(settings.run(&["ZCARD", "{dockbell}:removed"]).await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_one_question_to_the_server() {
    let server = RedisServer::start().await;
    let store = prepared(open(&server).await).await;
    server.run(&["CONFIG", "RESETSTAT"]).await;
    for number in 0..RECORDS {
        store.record(&failed(numbered(number))).await.unwrap();
    }
    // The tasks of the store ask about once a second, too.
    let calls = evalsha_calls(&server).await;
    assert!((RECORDS..RECORDS + RECORDS / 2).contains(&calls), "{calls} scripts");
    let commands = server.run(&["INFO", "commandstats"]).await;
    assert!(!commands.contains("cmdstat_script") && !commands.contains("cmdstat_eval:"), "{commands}");
}
