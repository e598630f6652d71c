//! Deliverers are replaced one after the other under load, and nobody outside notices.

use std::time::Duration;

use dockbell_testkit::oracle::{Hit, Judgement, Repeats, Terms};
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::receiver::{Answer, Receiver};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::fleet::Fleet;
use crate::load::Load;

const DELIVERERS: usize = 4;
/// The time-out of an attempt.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long a process may take to end after the last attempt.
const SETTLING: Duration = Duration::from_secs(2);
const PACE: Duration = Duration::from_millis(400);
/// How long a deliverer takes part before the next one is replaced.
const LIFE: Duration = Duration::from_secs(1);
const EVENTS: usize = 6_000;
const QUICK: Answer = Answer::Late(Duration::from_millis(20), 200);
/// Well within the time-out, and long enough to be under way when a deliverer is told to end.
const SLOW: Answer = Answer::Late(Duration::from_millis(1_500), 200);
/// One of so many answers is slow.
const SLOW_ONE_IN: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliverers_restarted_one_by_one_lose_nothing_and_repeat_nothing() {
    let (node, receiver) = (Node::start().await, Receiver::start().await);
    let answers = |number: usize| if number.is_multiple_of(SLOW_ONE_IN) { SLOW } else { QUICK };
    receiver.answer_always(QUICK);
    receiver.answer_with((0..EVENTS).map(answers).collect());
    let fleet = Fleet::new(&node)
        .await
        .with("DOCKBELL_DELIVERY_TIMEOUT", &format!("{}s", TIMEOUT.as_secs()))
        .with("DOCKBELL_DELIVERY_CONNECT_TIMEOUT", "2s");
    let console = fleet.console().await;
    console.caller.add_webhook(("*", "batch", &receiver.url("/batch"))).await;
    let producer = fleet.producer().await;
    let mut deliverers = Vec::new();
    for _ in 0..DELIVERERS {
        deliverers.push(fleet.deliverer().await);
    }
    let callers = watch::Sender::new(vec![producer.caller.clone()]);
    let load = Load::start(EVENTS, PACE, &callers.subscribe());
    receiver.wait_for(1).await;

    let (mut slowest, mut under_way) = (Duration::ZERO, 0);
    for _ in 0..DELIVERERS {
        // The load is what takes time here, not a wait for something to happen.
        sleep(LIFE).await;
        let deliverer = deliverers.remove(0);
        let told = Instant::now();
        let ended = deliverer.stop_well().await;
        slowest = slowest.max(told.elapsed());
        assert!(!ended.stderr.contains("broken off"), "{}", ended.stderr);
        let is_under_way = |at: Instant| at < told && told < at + Duration::from_millis(1_500);
        under_way += receiver.requests().iter().filter(|seen| seen.answer == SLOW && is_under_way(seen.at)).count();
        deliverers.push(fleet.deliverer().await);
    }
    let reported = load.over().await;
    let sightings = reported.read_all(&receiver).await;
    let hits = vec![
        Hit { name: "slow attempts under way when a deliverer ended", times: under_way, least: DELIVERERS },
        Hit { name: "accepted events", times: reported.ledger.accepted(), least: EVENTS },
    ];
    let report = reported.judge(&sightings, &Terms { repeats: Repeats::Together(0), hits, ..Terms::default() });
    eprintln!("the slowest end took {slowest:?}");
    assert_eq!(report.judgement(), Judgement::Passed, "{report}");
    assert!(slowest <= TIMEOUT + SETTLING, "an end took {slowest:?}");
}
