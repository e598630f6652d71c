//! Waiting for a condition instead of for a time.

use std::time::Duration;

/// The deadline of a wait. It is long because machines are slow at times; a test that passes never waits
/// for it.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Polls `condition` until it yields a value.
///
/// # Panics
/// When [`DEADLINE`] passes first; `what` says what was being waited for.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let poll = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, poll).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
