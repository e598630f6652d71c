//! How many deliveries that were given up may wait for their dead letters at once.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// So many wait for as long as it takes. It is a quarter of what the queue of waiting deliveries hands out by default:
/// the other messages go on, and with them a backlog that raised an alarm of the broker comes to an end.
const HELD: usize = 128;

/// The burials of a process.
#[derive(Debug)]
pub struct Burials(Semaphore);

impl Default for Burials {
    fn default() -> Self {
        Self(Semaphore::new(HELD))
    }
}

impl Burials {
    /// Waits for `burial`: for `patience`, and beyond that if few others do. Says whether it was carried out.
    pub async fn see(&self, burial: impl Future<Output = ()>, patience: Duration) -> bool {
        let mut burial = std::pin::pin!(burial);
        if timeout(patience, &mut burial).await.is_ok() {
            return true;
        }
        let Ok(_held) = self.0.try_acquire() else { return false };
        burial.await;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::future::{join_all, select_all};
    use tokio::sync::watch;
    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_bounded_number_waits_for_a_bus_that_takes_nothing_and_the_others_give_up() {
        let (burials, since) = (Burials::default(), Instant::now());
        let (bus_takes, taken) = watch::channel(false);
        let buried = || async {
            let mut taken = taken.clone();
            taken.wait_for(|taken| *taken).await.unwrap();
        };
        let mut all: Vec<_> = (0..HELD + 3).map(|_| Box::pin(burials.see(buried(), PATIENCE))).collect();
        for _ in 0..3 {
            let (is_buried, _, others) = select_all(all).await;
            assert!(!is_buried && since.elapsed() == PATIENCE);
            all = others;
        }
        bus_takes.send_replace(true);
        assert_eq!(join_all(all).await, vec![true; HELD]);
        assert!(burials.see(async {}, Duration::ZERO).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_gone_holds_no_place() {
        let burials = Burials::default();
        for _ in 0..=HELD {
            let outcome = timeout(2 * PATIENCE, burials.see(pending(), PATIENCE)).await;
            assert!(outcome.is_err(), "it was held until it was dropped");
        }
    }
}
