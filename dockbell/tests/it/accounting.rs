//! Every event that is taken has a fate.

use dockbell_testkit::receiver::Receiver;
use dockbell_testkit::{sample, wait};
use serde_json::{Value, json};

use crate::calls::{Caller, push};
use crate::process::Home;

const FATES: [&str; 6] = ["changed", "superseded", "child", "orphaned", "repeated", "stale"];

/// A push of one tag, whose digest `fill` tells apart.
fn push_of(id: &str, fill: u32) -> Value {
    let mut event = push(id, "team/app", "latest");
    event["digest"] = json!(sample::digest(fill));
    event
}

/// How many events had each fate, once they add up to those that were taken and none is held.
async fn fates(caller: &Caller, taken: f64) -> [String; FATES.len()] {
    let added_up = async || {
        let mut settled = [0.0; FATES.len()];
        for (fate, count) in FATES.iter().zip(&mut settled) {
            *count = caller.metric("dockbell_events_settled_total", &[&format!("fate=\"{fate}\"")]).await;
        }
        let held = caller.metric("dockbell_windows_held", &[]).await;
        let told = caller.metric("dockbell_events_taken_total", &[]).await;
        let is_equal = (settled.iter().sum::<f64>() + held - told).abs() < 0.5;
        // The sum of no samples is -0.
        (is_equal && held < 0.5 && (told - taken).abs() < 0.5).then(|| settled.map(|count| count.abs().to_string()))
    };
    wait::until("the fates of all events", added_up).await
}

#[tokio::test]
async fn the_fates_of_events_add_up_to_what_was_taken() {
    let home = Home::new().with("DOCKBELL_WINDOW_QUIET", "1s").with("DOCKBELL_WINDOW_MAX_WAIT", "3s");
    let (dockbell, receiver) = (home.up().await, Receiver::start().await);
    let caller = &dockbell.caller;
    caller.add_webhook(("team/app", "batch", &receiver.url("/"))).await;
    for event in [push_of("e-1", 1), push_of("e-1", 1), push_of("e-2", 2)] {
        caller.report(&event).await;
    }
    assert_eq!(fates(caller, 3.0).await, ["1", "1", "0", "0", "1", "0"]);
    // Its window has left.
    caller.report(&push_of("e-2", 2)).await;
    assert_eq!(fates(caller, 4.0).await, ["1", "1", "0", "0", "1", "1"]);
    assert_eq!(receiver.requests().len(), 1);
    dockbell.stop_well().await;
}
