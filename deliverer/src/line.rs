//! A line for what can wait: what is not delivered now asks the store few questions at a time, so that news never
//! stands behind much of it.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How many stand before the store at once. At 2 ms each that is some thousands per second.
const ABREAST: usize = 4;
/// How long anybody waits for that at most: a store that is away must not hold up all behind the first few.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The line of a process.
#[derive(Debug)]
pub struct Line(Semaphore);

impl Default for Line {
    fn default() -> Self {
        Self(Semaphore::new(ABREAST))
    }
}

impl Line {
    /// Does `work` when it is its turn, or when it has waited long enough.
    pub async fn pass<T>(&self, work: impl Future<Output = T>) -> T {
        let _turn = timeout(LONGEST_WAIT, self.0.acquire()).await;
        work.await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::future::join_all;
    use futures_util::poll;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn few_pass_at_once_and_nobody_waits_for_long_behind_those_that_hang() {
        let line = Line::default();
        let mut hanging: Vec<_> = (0..ABREAST).map(|_| Box::pin(line.pass(pending::<()>()))).collect();
        let all = join_all(hanging.iter_mut().map(async |one| poll!(one)));
        all.await;
        let since = Instant::now();
        line.pass(async {}).await;
        assert_eq!(since.elapsed(), LONGEST_WAIT);
        drop(hanging);
        let since = Instant::now();
        line.pass(async {}).await;
        assert!(since.elapsed().is_zero(), "who is gone holds nobody up");
    }
}
