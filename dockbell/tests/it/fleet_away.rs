//! Scenarios of a fleet whose Redis is there and yet is not: behind a way that leads nowhere, or without its counters.

use std::time::Duration;

use dockbell_testkit::proxy::{Fault, Proxy};
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::redis::RedisServer;
use dockbell_testkit::wait;
use reqwest::Method;
use serde_json::Value;
use tokio::time::timeout;

use crate::calls::push;
use crate::fleet::Fleet;
use crate::fleet_faults::Crew;
use crate::payload::{delivery_id, event_ids, json};

/// Within which all is as before once a fault is over: five seconds, with room for a slow machine.
const BACK: Duration = Duration::from_secs(20);

/// Nothing is reset: what is sent to Redis arrives nowhere, and nobody is told.
pub(crate) async fn a_store_that_is_half_open_stops_no_known_repository(fleet: Fleet<'_>) {
    let proxy = Proxy::start(fleet.redis.addr()).await;
    let fleet = fleet.with("DOCKBELL_REDIS_URL", &format!("redis://{}", proxy.addr()));
    let crew = Crew::of(&fleet).await;
    crew.warm_up().await;
    proxy.begin(Fault::BlackHole);
    crew.push_on("hole").await;
    for deliverer in &crew.deliverers {
        let told = deliverer.until_told(|told| told["ready"] == false).await;
        assert_ne!(told["components"]["redis"], "ready", "{told}");
    }
    crew.push_on("known").await;
    crew.producer.caller.report(&push("unknown", "team/unknown", "1")).await;
    let held = async || {
        let queue = fleet.node.queue(&fleet.host, "dockbell.deliveries.v1.00").await;
        (queue["messages_unacknowledged"] == 1).then_some(())
    };
    wait::until("the batch of the unknown repository to be held", held).await;
    let is_here = || crew.events("/batch").contains("unknown");
    assert!(!is_here(), "no webhook is known of it");

    proxy.heal();
    let back = async {
        wait::until("what was held", async || is_here().then_some(())).await;
        for deliverer in &crew.deliverers {
            deliverer.until_ready().await;
        }
        crew.push_on("healed").await;
    };
    assert!(timeout(BACK, back).await.is_ok(), "all is as before within {BACK:?}");
    crew.assert_recorded().await;
    let requests = crew.receiver.requests();
    let mut ids: Vec<&str> = requests.iter().map(delivery_id).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "nothing comes twice");
    crew.stop_well().await;
}

/// The settings are kept by a server of their own, and with them that nothing is to be sent.
pub(crate) async fn a_disabled_webhook_stays_disabled_when_the_counters_are_flushed(fleet: Fleet<'_>) {
    let counters = RedisServer::start().await;
    let fleet = fleet.with("DOCKBELL_REDIS_COUNTERS_URL", &counters.url());
    let (mut crew, gone) = (Crew::of(&fleet).await, Receiver::start().await);
    gone.answer_always(Answer::Status(410));
    let made = crew.console.caller.add_webhook(("*", "batch", &gone.url("/"))).await;
    crew.push_on("before").await;
    let is_disabled = |webhook: &Value| webhook["standing"] == "disabled";
    let reason = crew.until_shown(1, is_disabled).await["disabled_reason"].clone();
    assert!(reason.as_str().is_some_and(|reason| reason.contains("410")), "{reason}");

    counters.run(&["FLUSHALL"]).await;
    // One deliverer remembers, and the other has nothing but what the servers keep.
    let [remembering, other] = crew.deliverers;
    other.stop_well().await;
    crew.deliverers = [remembering, fleet.deliverer().await];
    for deliverer in &crew.deliverers {
        deliverer.until_ready().await;
    }
    let told = crew.receiver.requests().len();
    crew.push_on("after").await;
    let batches = crew.receiver.requests().len() - told;
    let path = format!("deliveries?webhook={}&state=skipped&limit=100", made.id);
    let skipped = async || {
        let page = crew.console.caller.read(&path).await;
        (page["items"].as_array()?.len() >= batches).then_some(())
    };
    wait::until("all of them to be skipped", skipped).await;
    let sent = |prefix: &str| gone.requests().iter().flat_map(|r| event_ids(&json(r))).any(|id| id.starts_with(prefix));
    assert!(sent("before") && !sent("after"), "nothing is sent");
    let webhook = crew.webhook(1).await;
    assert!(is_disabled(&webhook) && webhook["disabled_reason"] == reason, "{webhook}");

    gone.answer_always(Answer::Status(200));
    let enabled = serde_json::json!({ "enabled": true });
    let answer = crew.console.caller.api(Method::PATCH, &format!("webhooks/{}", made.id), Some(enabled)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    crew.until_shown(1, |webhook| webhook["standing"] == "healthy").await;
    crew.push_on("enabled").await;
    wait::until("what is new to be sent", async || sent("enabled").then_some(())).await;
    crew.stop_well().await;
}
