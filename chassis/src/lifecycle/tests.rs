use std::process::Command;

use tokio::time::Instant;

use super::*;

const GRACE: Duration = Duration::from_secs(10);

fn signals() -> (mpsc::Sender<&'static str>, mpsc::Receiver<&'static str>) {
    mpsc::channel(2)
}

fn spawn_obedient(lifecycle: &Lifecycle, name: &'static str) {
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn(name, async move {
        shutdown.requested().await;
        Ok(())
    });
}

/// A task that does not care for shutdown.
fn spawn_deaf(lifecycle: &Lifecycle, name: &'static str) {
    lifecycle.spawn(name, std::future::pending());
}

#[tokio::test(start_paused = true)]
async fn a_signal_stops_the_tasks_and_is_a_success() {
    let lifecycle = Lifecycle::new();
    spawn_obedient(&lifecycle, "a");
    spawn_obedient(&lifecycle, "b");
    let (sender, receiver) = signals();
    sender.send("SIGTERM").await.unwrap();
    lifecycle.run_until(GRACE, receiver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_for_shutdown_stops_the_tasks_and_is_a_success() {
    let lifecycle = Lifecycle::new();
    spawn_obedient(&lifecycle, "a");
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("b", async move {
        shutdown.request();
        Ok(())
    });
    let (_sender, receiver) = signals();
    lifecycle.run_until(GRACE, receiver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_stops_the_others_and_is_named() {
    let lifecycle = Lifecycle::new();
    spawn_obedient(&lifecycle, "steady");
    lifecycle.spawn("intake", async { Err("read the broker: refused".into()) });
    let (_sender, receiver) = signals();
    let error = lifecycle.run_until(GRACE, receiver).await.unwrap_err();
    assert_eq!(error.to_string(), "run intake: read the broker: refused");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_stops_the_others_and_is_named() {
    let lifecycle = Lifecycle::new();
    spawn_obedient(&lifecycle, "steady");
    lifecycle.spawn("windows", async { panic!("on purpose: {}", 1) });
    let (_sender, receiver) = signals();
    let error = lifecycle.run_until(GRACE, receiver).await.unwrap_err();
    assert_eq!(error.to_string(), "run windows: it panicked: on purpose: 1");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_by_itself_stops_the_others_and_is_named() {
    let lifecycle = Lifecycle::new();
    spawn_obedient(&lifecycle, "steady");
    lifecycle.spawn("short", async { Ok(()) });
    let (_sender, receiver) = signals();
    let error = lifecycle.run_until(GRACE, receiver).await.unwrap_err();
    assert!(matches!(error, LifecycleError::EndedEarly { name: "short" }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_stopping_is_a_failure() {
    let lifecycle = Lifecycle::new();
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("late", async move {
        shutdown.requested().await;
        Err("settle".into())
    });
    let (sender, receiver) = signals();
    sender.send("SIGTERM").await.unwrap();
    let error = lifecycle.run_until(GRACE, receiver).await.unwrap_err();
    assert_eq!(error.to_string(), "run late: settle");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_stop_is_aborted_after_the_grace() {
    let lifecycle = Lifecycle::new();
    spawn_obedient(&lifecycle, "good");
    spawn_deaf(&lifecycle, "deaf");
    let (sender, receiver) = signals();
    sender.send("SIGTERM").await.unwrap();
    let start = Instant::now();
    let error = lifecycle.run_until(GRACE, receiver).await.unwrap_err();
    assert_eq!(error.to_string(), "stop deaf in time");
    assert_eq!(start.elapsed(), GRACE);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_aborts_at_once() {
    let lifecycle = Lifecycle::new();
    spawn_deaf(&lifecycle, "deaf");
    let (sender, receiver) = signals();
    sender.send("SIGTERM").await.unwrap();
    sender.send("SIGINT").await.unwrap();
    let start = Instant::now();
    let error = lifecycle.run_until(GRACE, receiver).await.unwrap_err();
    assert!(matches!(error, LifecycleError::Aborted { .. }), "{error}");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_is_the_one_that_is_told() {
    let lifecycle = Lifecycle::new();
    spawn_deaf(&lifecycle, "deaf");
    lifecycle.spawn("first", async { Err("break".into()) });
    let (_sender, receiver) = signals();
    let error = lifecycle.run_until(GRACE, receiver).await.unwrap_err();
    assert_eq!(error.to_string(), "run first: break");
}

#[tokio::test]
async fn sigterm_of_the_operating_system_stops_the_process() {
    let lifecycle = Lifecycle::new();
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("self-destruction", async move {
        // The signal is sent from a task, which first runs when `run` has caught the signals.
        let status = Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status()?;
        assert!(status.success());
        shutdown.requested().await;
        Ok(())
    });
    lifecycle.run(Signals::catch().unwrap(), GRACE).await.unwrap();
}
