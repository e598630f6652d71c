//! When each event is due and whose it is: an open model, which waits for nobody.

use std::time::Duration;

/// Events at a fixed rate, dealt to repositories in turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plan {
    /// Events per second over all repositories.
    pub(crate) rate: f64,
    /// Each has one webhook.
    pub(crate) repositories: usize,
    /// Before what is measured.
    pub(crate) warm_up: Duration,
    /// What is measured.
    pub(crate) length: Duration,
}

impl Plan {
    /// How many events there are.
    pub(crate) fn events(&self) -> usize {
        self.events_until(self.warm_up + self.length)
    }

    /// When an event is due, counted from the start. It is due then however the earlier ones fare.
    pub(crate) fn due(&self, event: usize) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer events than a float counts exactly")]
        Duration::from_secs_f64(event as f64 / self.rate)
    }

    /// Whose an event is.
    pub(crate) fn repository(&self, event: usize) -> usize {
        event % self.repositories
    }

    /// The events that are measured: those that are due after the warm-up.
    pub(crate) fn measured(&self) -> std::ops::Range<usize> {
        self.events_until(self.warm_up)..self.events()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates and times are positive")]
    fn events_until(&self, time: Duration) -> usize {
        (self.rate * time.as_secs_f64()).ceil() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_follow_the_schedule_and_are_dealt_in_turn() {
        let (warm_up, length) = (Duration::from_secs(1), Duration::from_secs(2));
        let plan = Plan { rate: 50.0, repositories: 4, warm_up, length };
        assert_eq!((plan.events(), plan.measured()), (150, 50..150));
        assert_eq!(plan.due(50), warm_up);
        assert_eq!([5, 6, 7, 8].map(|event| plan.repository(event)), [1, 2, 3, 0]);
    }
}
