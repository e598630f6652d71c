//! What watches Dockbell may hang: deliveries do not care.

use std::time::Duration;

use dockbell_testkit::receiver::{Answer, Receiver};
use tokio::time::Instant;

use crate::calls::push;
use crate::process::Home;

/// Enough for more lines than a pipe holds.
const PUSHES: usize = 300;
/// How long the last push may take to arrive, with room for a slow machine.
const SOON: Duration = Duration::from_secs(5);
/// How long the end may take, which tries to send and write what is left.
const END: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_and_a_log_that_nobody_reads_delay_neither_deliveries_nor_the_end() {
    let (collector, receiver) = (Receiver::start().await, Receiver::start().await);
    collector.answer_always(Answer::Hang);
    let home = Home::new()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url(""))
        .with("DOCKBELL_LOG_FILTER", "info,dockbell=trace,dockbell_producer=trace,dockbell_deliverer=trace");
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("*", "batch", &receiver.url("/"))).await;
    dockbell.stop_reading();
    for number in 0..PUSHES {
        dockbell.caller.report(&push(&format!("e-{number}"), &format!("team/app-{number}"), "t")).await;
    }
    let reported = Instant::now();
    receiver.wait_for(PUSHES).await;
    assert!(reported.elapsed() < SOON, "the last arrived after {:?}", reported.elapsed());
    collector.wait_for(1).await;

    let told = Instant::now();
    let ended = dockbell.stop_well().await;
    assert!(told.elapsed() < END, "it ended after {:?}", told.elapsed());
    assert!(!ended.stderr.contains("shutting down"), "the log had room for everything: {}", ended.stderr.len());
}
