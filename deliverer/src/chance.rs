//! Where chance comes from.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

/// For how long a draw of the moment holds.
const MOMENT: Duration = Duration::from_millis(100);

/// Draws numbers from 0 to 1.
#[derive(Debug)]
pub struct Chance(Mutex<State>);

#[derive(Debug)]
struct State {
    rng: StdRng,
    of_the_moment: Option<(Instant, f64)>,
}

impl Chance {
    /// Draws with `rng`.
    pub fn new(rng: StdRng) -> Self {
        Self(Mutex::new(State { rng, of_the_moment: None }))
    }

    /// A number.
    pub fn draw(&self) -> f64 {
        self.lock().rng.random()
    }

    /// A number that is the same for all who ask within a moment. So what begins to wait together comes back together,
    /// which a bus can do at the cost of one message, and moments come back apart from each other.
    pub fn draw_of_the_moment(&self) -> f64 {
        let (mut state, now) = (self.lock(), Instant::now());
        if let Some((since, number)) = state.of_the_moment
            && now.duration_since(since) < MOMENT
        {
            return number;
        }
        let number = state.rng.random();
        state.of_the_moment = Some((now, number));
        number
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_within_a_moment_gets_the_same_number() {
        let chance = Chance::new(StdRng::seed_from_u64(1));
        let first = chance.draw_of_the_moment().to_bits();
        tokio::time::advance(MOMENT / 2).await;
        assert_eq!(chance.draw_of_the_moment().to_bits(), first);
        tokio::time::advance(MOMENT).await;
        assert_ne!(chance.draw_of_the_moment().to_bits(), first);
        assert_ne!(chance.draw().to_bits(), chance.draw().to_bits());
    }
}
