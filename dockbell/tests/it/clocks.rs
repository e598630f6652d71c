//! The clock of a receiver, which may be wrong, as well as ours.

use std::time::Duration;

use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::wait;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::Value;

use crate::calls::push;
use crate::process::Home;

/// What the log says of it, with the seconds that the receiver is ahead.
const TOLD: &str = "the clock of a receiver differs from ours: it may refuse signatures for their time";

fn http_date(at: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap()
}

/// It is an hour ahead, and asks by that clock to be left alone for three seconds.
#[tokio::test]
async fn a_receiver_whose_clock_is_wrong_is_told_of_once_and_asks_for_time_by_its_own() {
    let home = Home::new().with("DOCKBELL_DELIVERY_SCHEDULE", "1s,5m");
    let (dockbell, receiver) = (home.up().await, Receiver::start().await);
    dockbell.caller.add_webhook(("team/app", "batch", &receiver.url("/"))).await;
    let its_now = SystemClock.now() + Duration::from_hours(1);
    let asks = vec![("date", http_date(its_now)), ("retry-after", http_date(its_now + Duration::from_secs(3)))];
    let accepts = Answer::StatusWithHeaders(200, vec![("date", http_date(its_now))]);
    receiver.answer_with(vec![Answer::StatusWithHeaders(503, asks), accepts.clone(), accepts]);
    dockbell.caller.report(&push("e-1", "team/app", "1")).await;
    let requests = receiver.wait_for(2).await;
    let waited = requests[1].at - requests[0].at;
    assert!(waited >= Duration::from_secs(3), "{waited:?}");
    dockbell.caller.report(&push("e-2", "team/app", "2")).await;
    receiver.wait_for(3).await;

    let log = dockbell.stop_well().await.stderr;
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told: Vec<_> = lines.iter().filter(|line| line.to_string().contains(TOLD)).collect();
    assert_eq!(told.len(), 1, "{log}");
    let ahead = told[0]["fields"]["clock.ahead_s"].as_i64().or(told[0]["clock.ahead_s"].as_i64()).unwrap();
    assert!((3500..=3600).contains(&ahead), "{}", told[0]);
    assert!(told[0].to_string().contains("127.0.0.1"), "{}", told[0]);
}

#[tokio::test]
async fn a_receiver_whose_clock_is_right_is_not_told_of() {
    let home = Home::new();
    let (dockbell, receiver) = (home.up().await, Receiver::start().await);
    dockbell.caller.add_webhook(("team/app", "batch", &receiver.url("/"))).await;
    let late = http_date(SystemClock.now() - Duration::from_mins(1));
    receiver.answer_with(vec![Answer::StatusWithHeaders(200, vec![("date", late)])]);
    dockbell.caller.report(&push("e-1", "team/app", "1")).await;
    let path = "deliveries?state=delivered";
    let delivered = async || dockbell.caller.read(path).await["items"].get(0).cloned();
    wait::until("the delivery to be recorded", delivered).await;
    assert!(!dockbell.stop_well().await.stderr.contains(TOLD));
}
