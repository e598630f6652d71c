//! How long a message waits, and where.
//!
//! A queue expires messages at its head only, so each queue holds waits of about one length. A longer wait
//! is made of several: who receives a message before its time sends it to wait again.

use std::time::Duration;

/// One length of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Its part of names.
    pub(super) name: &'static str,
    pub(super) length: Duration,
}

const fn step(name: &'static str, seconds: u64) -> Step {
    Step { name, length: Duration::from_secs(seconds) }
}

/// The steps, shortest first.
pub(super) const STEPS: [Step; 10] = [
    step("1s", 1),
    step("5s", 5),
    step("30s", 30),
    step("2m", 120),
    step("5m", 300),
    step("30m", 1_800),
    step("2h", 7_200),
    step("6h", 21_600),
    step("12h", 43_200),
    step("24h", 86_400),
];

/// The shortest of them.
pub(super) const SHORTEST: Step = step("1s", 1);

impl Step {
    /// What the queue itself bounds the wait to: it never bounds the wait of a message.
    pub(super) fn queue_ttl(self) -> Duration {
        self.length * 5 / 4
    }

    /// The longest wait of a message on this step.
    fn longest(self) -> Duration {
        self.length * 6 / 5
    }
}

/// How a message waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// With the consumer that it goes to: what is left is too short for a step.
    WithConsumer,
    /// On a step, for a time within [1, 1.2] of its length. Waits on one queue differ by no more than that,
    /// which bounds how long one can stand before another.
    OnStep(Step, Duration),
}

/// Where a message may wait first that is due in `delay`, and for how long, the longest first. Never longer than
/// `delay`.
pub(super) fn steps_for(delay: Duration) -> impl Iterator<Item = (Step, Duration)> {
    let fitting = STEPS.into_iter().rev().filter(move |step| step.length <= delay);
    fitting.map(move |step| (step, delay.min(step.longest())))
}

/// Where a message waits first that is due in `delay`, if there is room.
pub(super) fn wait_for(delay: Duration) -> Wait {
    steps_for(delay).next().map_or(Wait::WithConsumer, |(step, length)| Wait::OnStep(step, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_step_that_is_not_too_long_is_taken() {
        let cases = [
            (0, None),
            (999, None),
            (1_000, Some(("1s", 1_000))),
            (1_100, Some(("1s", 1_100))),
            (3_000, Some(("1s", 1_200))),
            (5_600, Some(("5s", 5_600))),
            (3_600_000, Some(("30m", 2_160_000))),
            (30 * 86_400_000, Some(("24h", 103_680_000))),
        ];
        for (delay, expected) in cases {
            let wait = wait_for(Duration::from_millis(delay));
            let expected = match expected {
                None => Wait::WithConsumer,
                Some((name, ms)) => {
                    Wait::OnStep(*STEPS.iter().find(|step| step.name == name).unwrap(), Duration::from_millis(ms))
                }
            };
            assert_eq!(wait, expected, "{delay}");
        }
    }

    #[test]
    fn the_shortest_step_is_one_of_them() {
        assert_eq!(STEPS.iter().min_by_key(|step| step.length), Some(&SHORTEST));
    }

    #[test]
    fn shorter_steps_take_what_a_longer_one_refuses() {
        let found: Vec<(&str, u128)> =
            steps_for(Duration::from_secs(33)).map(|(step, length)| (step.name, length.as_millis())).collect();
        assert_eq!(found, [("30s", 33_000), ("5s", 6_000), ("1s", 1_200)]);
        assert!(steps_for(Duration::from_millis(999)).next().is_none());
    }

    #[test]
    fn a_wait_never_reaches_the_bound_of_its_queue() {
        for step in STEPS {
            assert!(step.longest() < step.queue_ttl());
        }
    }
}
