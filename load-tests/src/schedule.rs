//! What is pushed when: to which repository, under which tag, and of how many platforms.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::plan::Plan;

/// Every run of a scenario pushes the same.
const SEED: u64 = 1;

/// How pushes are dealt to repositories.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Spread {
    /// In turn.
    Even,
    /// The n-th repository gets 1 / n to the power of this for each that the first one gets.
    Zipf(f64),
}

/// What pushes are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    pub(crate) spread: Spread,
    /// Tags of a repository that are pushed in turn; each push has a tag of its own, if none.
    pub(crate) tags: Option<usize>,
    /// The share of pushes that are multi-arch.
    pub(crate) bursts: f64,
    /// Of such a push.
    pub(crate) platforms: usize,
}

/// One push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Push {
    pub(crate) repository: usize,
    /// The number of its tag, if it is one that is pushed again and again.
    pub(crate) tag: Option<usize>,
    /// None if it is not multi-arch.
    pub(crate) platforms: usize,
}

/// All pushes of a run, each with its time. The number of a push is its place.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    plan: Plan,
    pushes: Vec<Push>,
}

impl Schedule {
    pub(crate) fn new(plan: Plan, shape: &Shape) -> Self {
        let mut rng = StdRng::seed_from_u64(SEED);
        let shares = match shape.spread {
            Spread::Even => Vec::new(),
            Spread::Zipf(exponent) => shares(plan.repositories, exponent),
        };
        let mut pushed = vec![0_usize; plan.repositories];
        let push = |event| {
            let repository = match shares.last() {
                None => plan.repository(event),
                Some(&all) => {
                    let lot = rng.random_range(0.0..all);
                    shares.partition_point(|&below| below <= lot).min(plan.repositories - 1)
                }
            };
            let tag = shape.tags.zip(pushed.get_mut(repository)).map(|(tags, pushed)| {
                *pushed += 1;
                (*pushed - 1) % tags
            });
            let platforms = if rng.random_bool(shape.bursts) { shape.platforms } else { 0 };
            Push { repository, tag, platforms }
        };
        Self { plan, pushes: (0..plan.events()).map(push).collect() }
    }

    /// Every push.
    pub(crate) fn events(&self) -> Range<usize> {
        0..self.pushes.len()
    }

    /// Those that are measured.
    pub(crate) fn measured(&self) -> Range<usize> {
        self.plan.measured()
    }

    /// When a push is due, counted from the start.
    pub(crate) fn due(&self, event: usize) -> Duration {
        self.plan.due(event)
    }

    pub(crate) fn push(&self, event: usize) -> Option<Push> {
        self.pushes.get(event).copied()
    }

    /// When the last one was due.
    pub(crate) fn length(&self) -> Duration {
        self.plan.warm_up + self.plan.length
    }

    pub(crate) fn warm_up(&self) -> Duration {
        self.plan.warm_up
    }

    pub(crate) fn repositories(&self) -> usize {
        self.plan.repositories
    }
}

/// By the number of a repository, what it and those before it get, in parts of what the first one gets. A table is
/// enough: it is exact, and a package would bring a generator of its own.
#[expect(clippy::cast_precision_loss, reason = "there are far fewer repositories than a float counts exactly")]
fn shares(repositories: usize, exponent: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let add = |number: usize| {
        sum += (number as f64).powf(-exponent);
        sum
    };
    (1..=repositories).map(add).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Shape = Shape { spread: Spread::Even, tags: None, bursts: 0.0, platforms: 3 };

    fn schedule(repositories: usize, shape: &Shape) -> Schedule {
        let (warm_up, length) = (Duration::ZERO, Duration::from_secs(100));
        Schedule::new(Plan { rate: 1_000.0, repositories, warm_up, length }, shape)
    }

    fn pushes(schedule: &Schedule) -> Vec<Push> {
        schedule.events().filter_map(|event| schedule.push(event)).collect()
    }

    #[test]
    fn the_shares_of_repositories_follow_the_exponent() {
        for exponent in [0.5, 1.0, 1.5] {
            let all = pushes(&schedule(50, &Shape { spread: Spread::Zipf(exponent), ..PLAIN }));
            let count = |repository| all.iter().filter(|push| push.repository == repository).count();
            for (earlier, later) in [(0, 1), (0, 3), (1, 9)] {
                #[expect(clippy::cast_precision_loss, reason = "there are few")]
                let (found, told) = (
                    count(earlier) as f64 / count(later) as f64,
                    ((later + 1) as f64 / (earlier + 1) as f64).powf(exponent),
                );
                assert!((found / told - 1.0).abs() < 0.1, "{exponent}: {earlier} to {later} is {found}, not {told}");
            }
            assert!(all.iter().all(|push| push.repository < 50) && count(49) > 0);
        }
    }

    #[test]
    fn an_even_spread_deals_in_turn_and_runs_are_alike() {
        let all = pushes(&schedule(10, &PLAIN));
        assert!((0..10).all(|repository| all.iter().filter(|push| push.repository == repository).count() == 10_000));
        let zipf = Shape { spread: Spread::Zipf(1.0), ..PLAIN };
        assert_eq!(pushes(&schedule(10, &zipf)), pushes(&schedule(10, &zipf)));
    }

    #[test]
    fn tags_are_pushed_in_turn_within_their_repository() {
        let all = pushes(&schedule(2, &Shape { tags: Some(3), ..PLAIN }));
        let of_first: Vec<_> = all.iter().filter(|push| push.repository == 0).take(4).map(|push| push.tag).collect();
        assert_eq!(of_first, [Some(0), Some(1), Some(2), Some(0)]);
    }

    #[test]
    fn the_share_of_bursts_is_as_told_and_each_has_its_platforms() {
        let all = pushes(&schedule(10, &Shape { bursts: 0.2, ..PLAIN }));
        let bursts = all.iter().filter(|push| push.platforms == 3).count();
        assert!(bursts.abs_diff(20_000) < 600, "{bursts}");
        assert!(all.iter().all(|push| [0, 3].contains(&push.platforms)));
    }
}
