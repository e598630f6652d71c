//! The disk of the broker is full of what a receiver that is down is owed.

use std::collections::{BTreeMap, BTreeSet};

use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::receiver::{Answer, Receiver, Recorded};
use dockbell_testkit::wait;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::calls::push;
use crate::fleet::Fleet;
use crate::payload::{delivery_id, event_ids, json as body};

const PUSHES: usize = 100;
/// Several, so that deliveries take much more room than events.
const WEBHOOKS: usize = 4;
const DELIVERIES: usize = PUSHES * WEBHOOKS;
/// How much of the room that they take must be free again. Logs are removed in parts, so some of it stays for a while.
const ROOM: u64 = 5 * 1024 * 1024;
/// Deliveries that must be attempted twice during the alarm.
const AGAIN: usize = 20;
/// Nearly as large as the description of a repository may be.
const DESCRIPTION: usize = 24_000;
/// Enough for nothing to be given up: while the bus takes nothing, each lasts some seconds.
const PAUSES: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_alarm_that_failed_deliveries_caused_is_over_when_their_receiver_heals() {
    let (node, receiver) = (Node::start_in_memory().await, Receiver::start().await);
    let fleet = Fleet::new(&node)
        .await
        .with("DOCKBELL_WINDOW_QUIET", "50ms")
        .with("DOCKBELL_WINDOW_MAX_WAIT", "200ms")
        .with("DOCKBELL_DELIVERY_SCHEDULE", &["1s"; PAUSES].join(","))
        .with("DOCKBELL_POLICY_SUSPEND_FAILURES", "1000000");
    let console = fleet.console().await;
    for number in 0..WEBHOOKS {
        console.caller.add_webhook(("*", "batch", &receiver.url(&format!("/{number}")))).await;
    }
    let (producer, deliverer) = (fleet.producer().await, fleet.deliverer().await);
    producer.until_ready().await;
    deliverer.until_ready().await;
    receiver.answer_always(Answer::Status(500));
    for number in 0..PUSHES {
        producer.caller.report(&large_push(&format!("e-{number}"))).await;
    }
    receiver.wait_for(DELIVERIES).await;
    node.demand_room(ROOM).await;
    let late = large_push("late").to_string();
    let refused = async || {
        let answer = producer.caller.report_request(late.clone()).send().await.unwrap();
        (answer.status() == 503 && node.has_alarm().await).then_some(())
    };
    wait::until("the alarm", refused).await;
    // They fail again, which nobody can publish, and yet are attempted once more.
    let before = receiver.requests().len();
    let enough = async || (attempted_twice(&receiver.requests()[before..]) >= AGAIN).then_some(());
    wait::until("further attempts during the alarm", enough).await;
    assert!(node.has_alarm().await);

    // Nobody makes room but those who deliver.
    receiver.answer_always(Answer::Status(200));
    let healed = Instant::now();
    wait::until("the end of the alarm", async || (!node.has_alarm().await).then_some(())).await;
    eprintln!("the alarm was over {:?} after the receiver healed", healed.elapsed());
    wait::until("all that was owed", async || (accepted(&receiver) == DELIVERIES).then_some(())).await;
    producer.caller.report(&large_push("after")).await;
    for member in [producer, deliverer, console] {
        member.stop_well().await;
    }
}

/// How many deliveries were attempted more than once in these requests.
fn attempted_twice(requests: &[Recorded]) -> usize {
    let mut times = BTreeMap::<&str, usize>::new();
    for request in requests {
        *times.entry(delivery_id(request)).or_default() += 1;
    }
    times.values().filter(|times| **times > 1).count()
}

/// How many of the deliveries were accepted.
fn accepted(receiver: &Receiver) -> usize {
    let requests = receiver.requests().into_iter().filter(|request| request.answer == Answer::Status(200));
    let pairs = requests.flat_map(|request| {
        let ids = event_ids(&body(&request)).into_iter().filter(|id| id.starts_with("e-"));
        ids.map(|id| (request.path_and_query.clone(), id)).collect::<Vec<_>>()
    });
    pairs.collect::<BTreeSet<_>>().len()
}

fn large_push(id: &str) -> Value {
    let mut event = push(id, &format!("team/{id}"), "t");
    event["metadata"] = json!({ "full_description": "x".repeat(DESCRIPTION) });
    event
}
