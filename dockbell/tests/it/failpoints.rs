//! No event is lost and hardly one is told twice, at whichever point a producer dies.

use std::collections::BTreeMap;

use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::receiver::Receiver;
use dockbell_testkit::wait;
use serde_json::Value;

use crate::calls::{Caller, push};
use crate::fleet::Fleet;
use crate::payload::{event_ids, json};
use crate::process::Home;

/// The points of a producer on the way of a batch; which passage ends it; and how often an event may be told then.
/// An event that is durable and not answered for is reported again, under the same id. Before its publish begins a
/// batch is nowhere else. From then on it may be stored and its events come back all the same: as long as all of them do,
/// they make the same batch, which is known by its id. Only when some are acknowledged and others are not, do the others
/// make a batch of their own; and an acknowledgement that was made need not have reached the bus when the process dies.
const POINTS: [(&str, u32, usize); 9] = [
    ("events durable", 1, 1),
    ("delivered", 2, 1),
    ("in window", 2, 1),
    ("batch sealed", 1, 1),
    ("publish begun", 1, 1),
    ("batch stored", 1, 1),
    ("confirm seen", 1, 1),
    ("acknowledged", 1, 2),
    ("all acknowledged", 1, 2),
];
/// Events of one window.
const EVENTS: usize = 3;
/// Long enough for a slow machine to report them within it.
const QUIET: (&str, &str) = ("DOCKBELL_WINDOW_QUIET", "500ms");
const MAX_WAIT: (&str, &str) = ("DOCKBELL_WINDOW_MAX_WAIT", "3s");
const FAILPOINT: &str = "FAILPOINT";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_wherever_the_one_process_dies() {
    let receiver = Receiver::start().await;
    let mut home = Home::new().with(QUIET.0, QUIET.1).with(MAX_WAIT.0, MAX_WAIT.1);
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("*", "batch", &receiver.url("/"))).await;
    dockbell.stop_well().await;
    for (index, (point, passage, _)) in POINTS.iter().enumerate() {
        home = home.with(FAILPOINT, &format!("{point}:{passage}"));
        let dockbell = home.up().await;
        let rest = report(&dockbell.caller, (0..EVENTS).map(|event| event_of(index, event)).collect()).await;
        assert_eq!(dockbell.ended().await.code, None, "{point} ends it");
        home = home.with(FAILPOINT, "");
        let dockbell = home.up().await;
        settle(&dockbell.caller, rest, &receiver, index).await;
        dockbell.stop_well().await;
    }
    judge(&receiver);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_wherever_a_producer_of_a_fleet_dies() {
    let (node, receiver) = (Node::start().await, Receiver::start().await);
    let mut fleet = Fleet::new(&node).await.with(QUIET.0, QUIET.1).with(MAX_WAIT.0, MAX_WAIT.1);
    let console = fleet.console().await;
    console.caller.add_webhook(("*", "batch", &receiver.url("/"))).await;
    let deliverer = fleet.deliverer().await;
    for (index, (point, passage, _)) in POINTS.iter().enumerate() {
        fleet = fleet.with(FAILPOINT, &format!("{point}:{passage}"));
        let producer = fleet.producer().await;
        producer.until_ready().await;
        let rest = report(&producer.caller, (0..EVENTS).map(|event| event_of(index, event)).collect()).await;
        assert_eq!(producer.ended().await.code, None, "{point} ends it");
        fleet = fleet.with(FAILPOINT, "");
        let producer = fleet.producer().await;
        producer.until_ready().await;
        settle(&producer.caller, rest, &receiver, index).await;
        producer.stop_well().await;
    }
    // What is under way is delivered before it ends, so that nothing comes after the judgement.
    deliverer.stop_well().await;
    judge(&receiver);
}

/// What comes after the events has a repository of its own, to leave their window alone.
fn event_of(index: usize, event: usize) -> Value {
    let repository = if event < EVENTS { "app" } else { "sentinel" };
    push(&id_of(index, event), &format!("team/{repository}-{index}"), &format!("t-{event}"))
}

fn id_of(index: usize, event: usize) -> String {
    format!("e-{index}-{event}")
}

/// Reports events one after the other, and returns those that were not taken.
async fn report(caller: &Caller, events: Vec<Value>) -> Vec<Value> {
    let mut rest = Vec::new();
    for event in events {
        let answer = caller.report_request(event.to_string()).send().await;
        if answer.is_ok_and(|answer| answer.status() == 202) {
            continue;
        }
        rest.push(event);
    }
    rest
}

/// Like a registry, repeats what was not taken. Returns once everything has come, and one event behind it.
async fn settle(caller: &Caller, rest: Vec<Value>, receiver: &Receiver, index: usize) {
    assert_eq!(report(caller, rest).await, Vec::<Value>::new(), "it is up again");
    until_told(receiver, (0..EVENTS).map(|event| id_of(index, event)).collect()).await;
    assert_eq!(report(caller, vec![event_of(index, EVENTS)]).await, Vec::<Value>::new());
    until_told(receiver, vec![id_of(index, EVENTS)]).await;
}

async fn until_told(receiver: &Receiver, ids: Vec<String>) {
    let told = async || {
        let told = times_told(receiver);
        ids.iter().all(|id| told.contains_key(id)).then_some(())
    };
    wait::until(&format!("{ids:?}"), told).await;
}

/// How often each event was told.
fn times_told(receiver: &Receiver) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for request in receiver.requests() {
        for id in event_ids(&json(&request)) {
            *told.entry(id).or_default() += 1;
        }
    }
    told
}

fn judge(receiver: &Receiver) {
    let mut told = times_told(receiver);
    let mut too_often = Vec::new();
    for (index, (point, _, allowed)) in POINTS.iter().enumerate() {
        let times: Vec<usize> = (0..=EVENTS).map(|event| told.remove(&id_of(index, event)).unwrap_or(0)).collect();
        eprintln!("{point}: events told {times:?} times");
        let is_explained = times.iter().all(|times| (1..=*allowed).contains(times)) && times[EVENTS] == 1;
        too_often.extend((!is_explained).then_some((point, times)));
    }
    assert_eq!(too_often, [], "told more often than the end explains, or never");
    assert_eq!(told, BTreeMap::new(), "told and never reported");
}
