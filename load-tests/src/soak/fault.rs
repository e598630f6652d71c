//! The faults of a soak, and which comes next.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng, RngExt as _};

/// What is done to the fleet and its servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    KillProducer,
    KillDeliverer,
    KillConsole,
    FreezeProducer,
    FreezeDeliverer,
    KillBroker,
    CloseConnections,
    HalfOpenBroker,
    MemoryAlarm,
    KillRedis,
    PauseRedis,
    ReadOnlyRedis,
    HalfOpenRedis,
    FlushCounters,
}

/// What is done to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ailment {
    Hangs,
    Closes,
    Flaps,
    Answers(u16),
}

impl Fault {
    pub(crate) const ALL: [Self; 14] = [
        Self::KillProducer,
        Self::KillDeliverer,
        Self::KillConsole,
        Self::FreezeProducer,
        Self::FreezeDeliverer,
        Self::KillBroker,
        Self::CloseConnections,
        Self::HalfOpenBroker,
        Self::MemoryAlarm,
        Self::KillRedis,
        Self::PauseRedis,
        Self::ReadOnlyRedis,
        Self::HalfOpenRedis,
        Self::FlushCounters,
    ];
}

impl Ailment {
    pub(crate) const ALL: [Self; 7] = [
        Self::Hangs,
        Self::Closes,
        Self::Flaps,
        Self::Answers(429),
        Self::Answers(500),
        Self::Answers(503),
        Self::Answers(410),
    ];
}

/// Cards in a random order; when all are drawn they are shuffled anew, so that none is absent for long.
#[derive(Debug)]
pub(crate) struct Deck<T> {
    all: Vec<T>,
    left: Vec<T>,
}

impl<T: Copy> Deck<T> {
    pub(crate) fn new(all: &[T]) -> Self {
        Self { all: all.to_vec(), left: Vec::new() }
    }

    /// None of no cards.
    pub(crate) fn draw(&mut self, rng: &mut StdRng) -> Option<T> {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
            self.left.shuffle(rng);
        }
        self.left.pop()
    }
}

/// A time up to `longest`, and not less than a tenth of it.
pub(crate) fn up_to(longest: Duration, rng: &mut impl Rng) -> Duration {
    longest.mul_f64(rng.random_range(0.1..1.0))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn drawn(seed: u64) -> Vec<Fault> {
        let (mut rng, mut deck) = (StdRng::seed_from_u64(seed), Deck::new(&Fault::ALL));
        (0..2 * Fault::ALL.len()).filter_map(|_| deck.draw(&mut rng)).collect()
    }

    #[test]
    fn every_fault_comes_in_every_round_in_an_order_that_the_seed_tells() {
        let (first, second) = (drawn(1), drawn(1));
        assert_eq!(first, second);
        assert_ne!(first, drawn(2));
        for round in first.chunks(Fault::ALL.len()) {
            let mut round = round.to_vec();
            round.sort_unstable();
            assert_eq!(round, Fault::ALL);
        }
    }
}
