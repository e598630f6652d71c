//! Repeating an operation of a port until it succeeds, at a pace that spares a backend that is coming back.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

use crate::bus::{Outgoing, PublishError};

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Repeats `run` until it succeeds; `failed` is told each failure and the pause that follows. Whoever stops
/// waiting drops the future.
pub async fn until_done<T, E: Error, F: Future<Output = Result<T, E>>>(
    mut run: impl FnMut() -> F,
    failed: impl Fn(&E, Duration),
) -> T {
    let mut pauses = pauses();
    loop {
        match run().await {
            Ok(value) => return value,
            Err(error) => {
                let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
                failed(&error, pause);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Repeats a publish until the message is durable. Once it is unknown whether it is, the message says so.
pub async fn until_published<F: Future<Output = Result<(), PublishError>>>(
    message: Outgoing,
    publish: impl Fn(Outgoing) -> F,
    failed: impl Fn(&PublishError, Duration),
) {
    let maybe_repeated = AtomicBool::new(message.maybe_repeated);
    let run = || publish(Outgoing { maybe_repeated: maybe_repeated.load(Ordering::Relaxed), ..message.clone() });
    let failed = |error: &PublishError, pause: Duration| {
        maybe_repeated.fetch_or(matches!(error, PublishError::Unknown(_)), Ordering::Relaxed);
        failed(error, pause);
    };
    until_done(run, failed).await;
}

fn pauses() -> impl Iterator<Item = Duration> {
    let growing = ExponentialBuilder::default().with_min_delay(SHORTEST_PAUSE).with_max_delay(LONGEST_PAUSE);
    growing.with_jitter().without_max_times().build()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_publish_of_unknown_result_is_repeated_with_a_flag() {
        let message = Outgoing {
            id: "a".to_owned(),
            key: String::new(),
            headers: Vec::new(),
            body: bytes::Bytes::new(),
            maybe_repeated: false,
        };
        let answers = Mutex::new(vec![
            Ok(()),
            Err(PublishError::Unavailable("later".to_owned())),
            Err(PublishError::Unknown("lost".to_owned())),
            Err(PublishError::Unavailable("later".to_owned())),
        ]);
        let flags = Mutex::new(Vec::new());
        let publish = |message: Outgoing| {
            flags.lock().unwrap().push(message.maybe_repeated);
            std::future::ready(answers.lock().unwrap().pop().unwrap())
        };
        until_published(message, publish, |_, pause| assert!(pause <= 2 * LONGEST_PAUSE)).await;
        assert_eq!(*flags.lock().unwrap(), [false, false, true, true]);
    }
}
