//! A fault of our own in one piece of work: the process says so and ends, or goes on; nothing is lost either way.

use dockbell_testkit::receiver::Receiver;
use dockbell_testkit::wait;

use crate::calls::push;
use crate::payload::{event_ids, json};
use crate::process::Home;

/// Where the work panics, and how often what it was about may be told then: who dies between a request and its record
/// makes it again.
const POINTS: [(&str, usize); 6] = [
    ("in window", 1),
    ("batch sealed", 1),
    ("message handed out", 1),
    ("standing looked up", 1),
    ("answer read", 2),
    ("attempt recorded", 1),
];

/// Half a process is worse than none: whoever started it sees that it ended, and starts it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_one_piece_of_work_ends_the_process_with_its_reason_and_loses_nothing() {
    let receiver = Receiver::start().await;
    let mut home = Home::new();
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("*", "batch", &receiver.url("/"))).await;
    dockbell.stop_well().await;
    for (index, (point, most)) in POINTS.iter().enumerate() {
        home = home.with("FAILPOINT", &format!("{point}:1:panic"));
        let dockbell = home.up().await;
        dockbell.caller.report(&push(&format!("e-{index}"), &format!("team/app-{index}"), "t")).await;
        let ended = dockbell.ended().await;
        assert_eq!(ended.code, Some(1), "{point}: {}", ended.stderr);
        assert!(ended.stderr.contains("shutting down because a task failed"), "{point}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("on purpose: {point}")), "{point}: {}", ended.stderr);
        home = home.with("FAILPOINT", "");
        let dockbell = home.up().await;
        let told = async || Some(times_told(&receiver, index)).filter(|times| *times > 0);
        wait::until(&format!("what panicked at {point}"), told).await;
        dockbell.caller.report(&push(&format!("later-{index}"), &format!("team/later-{index}"), "t")).await;
        let later = format!("later-{index}");
        wait::until("later news", async || (times(&receiver, &later) > 0).then_some(())).await;
        dockbell.stop_well().await;
        let times = times_told(&receiver, index);
        eprintln!("{point}: told {times} times");
        assert!((1..=*most).contains(&times), "{point}: told {times} times");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_the_intake_costs_its_request_alone() {
    let receiver = Receiver::start().await;
    let home = Home::new().with("FAILPOINT", "events durable:1:panic");
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("*", "batch", &receiver.url("/"))).await;
    let event = push("e-0", "team/app", "t");
    let answer = dockbell.caller.report_request(event.to_string()).send().await;
    assert!(answer.is_err(), "{answer:?}");
    // Like a registry, repeats what was not answered.
    dockbell.caller.report(&event).await;
    dockbell.caller.report(&push("later-0", "team/later", "t")).await;
    wait::until("later news", async || (times(&receiver, "later-0") > 0).then_some(())).await;
    dockbell.stop_well().await;
    assert_eq!(times_told(&receiver, 0), 1);
}

fn times_told(receiver: &Receiver, index: usize) -> usize {
    times(receiver, &format!("e-{index}"))
}

/// How often an event was told.
fn times(receiver: &Receiver, event: &str) -> usize {
    receiver.requests().iter().filter(|request| event_ids(&json(request)).iter().any(|id| id == event)).count()
}
