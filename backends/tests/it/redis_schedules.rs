//! Random schedules of what can happen to a webhook, on a Redis that is disturbed all the while.

use std::thread;
use std::time::Duration;

use dockbell_backends::redis::{RedisConfig, RedisTimeouts};
use dockbell_proto::secret::Secret;
use dockbell_testkit::proxy::Proxy;
use dockbell_testkit::redis::RedisServer;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::redis_harness::{RedisStores, config};
use crate::schedules::{assert_enough_seen, run};

/// Each has a database of its own, on one server.
const WORKERS: u32 = 4;
const SCHEDULES: u32 = 10_000;
const STEPS: usize = 20;
/// Short, so that time-outs cost little. A machine that stands still makes more of them, which is as well.
const RESPONSE: Duration = Duration::from_millis(100);
/// How long nothing is disturbed, and how long an answer is held up.
const PEACE: Duration = Duration::from_secs(3);
const HELD_UP: Duration = Duration::from_millis(150);

/// A server that does not wait for its disk: it is not killed here.
async fn server() -> RedisServer {
    let server = RedisServer::start().await;
    assert_eq!(server.run(&["CONFIG", "SET", "appendonly", "no"]).await, "OK");
    server
}

async fn open(server: &RedisServer, proxy: &Proxy, worker: u32) -> RedisStores {
    let url = Secret::new(format!("redis://{}", proxy.addr()));
    RedisStores::open_as(&RedisConfig {
        settings_url: url.clone(),
        counters_url: url,
        prefix: format!("worker-{worker}"),
        timeouts: RedisTimeouts { response: RESPONSE, ..RedisTimeouts::default() },
        ..config(server)
    })
    .await
}

/// Breaks connections, holds calls up on their way, and holds answers up, in turn.
async fn disturb(server: &RedisServer, proxy: &Proxy, goes_on: impl Fn() -> bool) {
    let pause = HELD_UP.as_millis().to_string();
    for turn in (0..3).cycle() {
        sleep(PEACE).await;
        match turn {
            _ if !goes_on() => return,
            0 => drop(server.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await),
            1 => drop(server.run(&["CLIENT", "PAUSE", &pause, "ALL"]).await),
            _ => {
                proxy.hold_from("");
                sleep(HELD_UP).await;
                proxy.release();
            }
        }
    }
}

#[test]
fn the_store_on_redis_counts_as_the_model_does_whatever_happens_to_redis() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(server());
    let proxy = runtime.block_on(Proxy::start(server.addr()));
    let mut harnesses: Vec<_> = (0..WORKERS).map(|worker| runtime.block_on(open(&server, &proxy, worker))).collect();
    let runtime = &runtime;
    let words = thread::scope(|scope| {
        let mut workers = Vec::new();
        for harness in &mut harnesses {
            workers.push(scope.spawn(move || run(harness, runtime, SCHEDULES / WORKERS, STEPS)));
        }
        let at_work = || workers.iter().any(|worker| !worker.is_finished());
        runtime.block_on(disturb(&server, &proxy, at_work));
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    assert_enough_seen(&words, 100);
    let stats: Vec<_> = harnesses.iter().map(RedisStores::stats).collect();
    assert!(stats.iter().all(|stats| stats.connections > 5 && stats.timeouts > 5), "too little happened: {stats:?}");
}
