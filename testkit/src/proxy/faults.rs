//! What can be wrong on the way, and what is.

use std::num::NonZeroU32;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Something that is wrong until it is healed.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Everything arrives late, in its order.
    Latency(Latency),
    /// Nothing gets to the server, while its answers get through.
    CutUp,
    /// Nothing gets back from the server, while it gets what is sent.
    CutDown,
    /// Nothing gets either way, nothing is closed, and new connections lead nowhere.
    BlackHole,
    /// Every byte is sent by itself.
    Slice,
    /// So many bytes per second, each way of each connection.
    Bandwidth(NonZeroU32),
}

/// How late things arrive, one way.
#[derive(Debug, Clone)]
pub struct Latency {
    /// At the least.
    pub least: Duration,
    /// By chance, up to so much more.
    pub jitter: Duration,
    /// What the chance follows from, so that a run can be made again.
    pub seed: u64,
}

impl Latency {
    /// The chance of one way of one connection.
    pub(super) fn rng(&self, way: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ way)
    }

    /// How late the next part arrives.
    pub(super) fn draw(&self, rng: &mut StdRng) -> Duration {
        self.least + self.jitter.mul_f64(rng.random_range(0.0..=1.0))
    }
}

/// Everything that is wrong now.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    pub(super) hold: Option<Hold>,
    pub(super) latency: Option<Latency>,
    pub(super) cuts_up: bool,
    pub(super) cuts_down: bool,
    pub(super) slices: bool,
    pub(super) bandwidth: Option<NonZeroU32>,
    /// Connections of smaller numbers are reset.
    pub(super) reset_below: usize,
}

/// What is held up on the way to the server.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    /// From the first part on that contains it.
    pub(super) text: String,
    /// On connections of smaller numbers.
    pub(super) below: usize,
}

impl Faults {
    pub(super) fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::Latency(latency) => self.latency = Some(latency),
            Fault::CutUp => self.cuts_up = true,
            Fault::CutDown => self.cuts_down = true,
            Fault::BlackHole => (self.cuts_up, self.cuts_down) = (true, true),
            Fault::Slice => self.slices = true,
            Fault::Bandwidth(bytes) => self.bandwidth = Some(bytes),
        }
    }

    /// What was reset stays so.
    pub(super) fn heal(&mut self) {
        *self = Self { reset_below: self.reset_below, ..Self::default() };
    }

    pub(super) fn is_black_hole(&self) -> bool {
        self.cuts_up && self.cuts_down
    }
}

impl Hold {
    pub(super) fn holds(&self, number: usize, part: &[u8]) -> bool {
        let text = self.text.as_bytes();
        number < self.below && (text.is_empty() || part.windows(text.len()).any(|window| window == text))
    }
}
