//! The delivery policy: when a failed delivery is attempted again, when a webhook is suspended or disabled, and how
//! much of what it is owed is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much later than its step a retry may start, as a part of the step, so that retries spread out.
pub const JITTER: f64 = 0.2;
/// The most distinct deliveries that a threshold may ask for; so many are remembered per webhook.
pub const DISTINCT_LIMIT: u32 = 16;
/// The longest of all spans in a policy.
pub const LONGEST_SPAN: Duration = Duration::from_hours(30 * 24);
/// The longest that a delivery may be kept. What stores remember of what waits lives by it.
pub const LONGEST_AGE: Duration = Duration::from_hours(7 * 24);

/// The pauses before the second and each later attempt. After the last one a delivery is given up, so every
/// delivery ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Duration>", into = "Vec<Duration>")]
pub struct RetrySchedule(Vec<Duration>);

/// The pauses do not make a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 20 pauses of 1ms to 7d")]
pub struct ScheduleError;

impl RetrySchedule {
    /// A schedule of these pauses.
    pub fn new(pauses: Vec<Duration>) -> Result<Self, ScheduleError> {
        let week = Duration::from_hours(7 * 24);
        let fits = |pause: &Duration| (Duration::from_millis(1)..=week).contains(pause);
        if (1..=20).contains(&pauses.len()) && pauses.iter().all(fits) { Ok(Self(pauses)) } else { Err(ScheduleError) }
    }

    /// The pause after the attempt of this ordinal; none after the last one.
    pub fn pause_after(&self, ordinal: u32) -> Option<Duration> {
        self.0.get(usize::try_from(ordinal).ok()?.checked_sub(1)?).copied()
    }

    /// The pauses, in their order.
    pub fn pauses(&self) -> &[Duration] {
        &self.0
    }

    /// The longest pause.
    pub fn longest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

impl TryFrom<Vec<Duration>> for RetrySchedule {
    type Error = ScheduleError;
    fn try_from(pauses: Vec<Duration>) -> Result<Self, ScheduleError> {
        Self::new(pauses)
    }
}

impl From<RetrySchedule> for Vec<Duration> {
    fn from(schedule: RetrySchedule) -> Self {
        schedule.0
    }
}

impl Default for RetrySchedule {
    /// 5 s, 30 s, 5 min, 30 min, 2 h, 6 h, 12 h and twice 24 h: almost three days.
    fn default() -> Self {
        let (seconds, minutes, hours) = (Duration::from_secs, Duration::from_mins, Duration::from_hours);
        Self(vec![
            seconds(5),
            seconds(30),
            minutes(5),
            minutes(30),
            hours(2),
            hours(6),
            hours(12),
            hours(24),
            hours(24),
        ])
    }
}

/// When a webhook is suspended, and how it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspension {
    /// So many attempts must have failed since the last success.
    pub failures: u32,
    /// They must be of so many distinct deliveries, at most [`DISTINCT_LIMIT`].
    pub deliveries: u32,
    /// The first and the last of them must have begun so far apart: what fails at once is one event.
    pub span: Duration,
    /// How long nothing is attempted the first time; each further time it is twice as long.
    pub cooldown: Duration,
    /// The longest that nothing is attempted.
    pub longest_cooldown: Duration,
    /// How many attempts are made at once after the canary succeeded, and how many successes, the canary's included,
    /// make the webhook healthy.
    pub trickle: u32,
}

impl Default for Suspension {
    fn default() -> Self {
        Self {
            failures: 5,
            deliveries: 2,
            span: Duration::from_secs(10),
            cooldown: Duration::from_mins(1),
            longest_cooldown: Duration::from_hours(6),
            trickle: 4,
        }
    }
}

impl Suspension {
    /// How long the suspension lasts that is the `level`-th in a row, from 1.
    pub fn cooldown_of(&self, level: u32) -> Duration {
        let factor = 1_u32.checked_shl(level.saturating_sub(1)).unwrap_or(u32::MAX);
        self.cooldown.saturating_mul(factor).min(self.longest_cooldown)
    }
}

/// When a webhook is disabled because it does nothing but fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disabling {
    /// It must have failed for so long.
    pub after: Duration,
    /// So many attempts must have failed since the last success.
    pub failures: u32,
}

impl Default for Disabling {
    fn default() -> Self {
        Self { after: Duration::from_hours(5 * 24), failures: 20 }
    }
}

/// How much of what one webhook is owed is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Custody {
    /// So many deliveries may wait for their next attempt.
    pub waiting: u32,
    /// So long after its batch was closed a delivery ends as expired.
    pub age: Duration,
}

impl Default for Custody {
    fn default() -> Self {
        Self { waiting: 10_000, age: LONGEST_AGE }
    }
}

/// The delivery policy, of all webhooks or of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// When a failed delivery is attempted again.
    pub schedule: RetrySchedule,
    /// When a webhook is suspended.
    pub suspension: Suspension,
    /// When it is disabled.
    pub disabling: Disabling,
    /// How much is kept.
    pub custody: Custody,
}

/// What one webhook has otherwise than all; what is none is as for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyPatch {
    /// See [`Policy::schedule`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<RetrySchedule>,
    /// See [`Suspension::failures`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend_failures: Option<u32>,
    /// See [`Suspension::deliveries`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend_deliveries: Option<u32>,
    /// See [`Suspension::span`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend_span: Option<Duration>,
    /// See [`Suspension::cooldown`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<Duration>,
    /// See [`Suspension::longest_cooldown`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_cooldown: Option<Duration>,
    /// See [`Suspension::trickle`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trickle: Option<u32>,
    /// See [`Disabling::after`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_after: Option<Duration>,
    /// See [`Disabling::failures`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_failures: Option<u32>,
    /// See [`Custody::waiting`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u32>,
    /// See [`Custody::age`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<Duration>,
}

/// A policy whose members do not go together: the names of the member and of what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {problem}")]
pub struct PolicyError {
    /// The member, as [`PolicyPatch`] names it.
    pub member: &'static str,
    /// What it must be.
    pub problem: &'static str,
}

impl Policy {
    /// The policy of a webhook that has `patch` otherwise.
    #[must_use]
    pub fn with(&self, patch: &PolicyPatch) -> Self {
        let (suspension, disabling, custody) = (self.suspension, self.disabling, self.custody);
        Self {
            schedule: patch.schedule.clone().unwrap_or_else(|| self.schedule.clone()),
            suspension: Suspension {
                failures: patch.suspend_failures.unwrap_or(suspension.failures),
                deliveries: patch.suspend_deliveries.unwrap_or(suspension.deliveries),
                span: patch.suspend_span.unwrap_or(suspension.span),
                cooldown: patch.cooldown.unwrap_or(suspension.cooldown),
                longest_cooldown: patch.longest_cooldown.unwrap_or(suspension.longest_cooldown),
                trickle: patch.trickle.unwrap_or(suspension.trickle),
            },
            disabling: Disabling {
                after: patch.disable_after.unwrap_or(disabling.after),
                failures: patch.disable_failures.unwrap_or(disabling.failures),
            },
            custody: Custody {
                waiting: patch.waiting.unwrap_or(custody.waiting),
                age: patch.age.unwrap_or(custody.age),
            },
        }
    }

    /// Says what does not go together.
    pub fn check(&self) -> Result<(), PolicyError> {
        let Self { suspension, disabling, custody, .. } = self;
        let long = |span: Duration| span > LONGEST_SPAN;
        let rules = [
            ("suspend_failures", suspension.failures == 0, "must be at least 1"),
            (
                "suspend_deliveries",
                suspension.deliveries == 0 || suspension.deliveries > suspension.failures.min(DISTINCT_LIMIT),
                "must be 1 to 16, and not more than suspend_failures",
            ),
            ("suspend_span", long(suspension.span), "must be at most 30d"),
            (
                "cooldown",
                suspension.cooldown < Duration::from_millis(1) || suspension.cooldown > suspension.longest_cooldown,
                "must be at least 1ms, and not more than longest_cooldown",
            ),
            ("longest_cooldown", long(suspension.longest_cooldown), "must be at most 30d"),
            ("trickle", suspension.trickle == 0 || suspension.trickle > 1_000, "must be 1 to 1000"),
            ("disable_after", long(disabling.after), "must be at most 30d"),
            ("disable_failures", disabling.failures == 0, "must be at least 1"),
            ("waiting", custody.waiting == 0 || custody.waiting > 1_000_000, "must be 1 to 1000000"),
            ("age", custody.age.is_zero() || custody.age > LONGEST_AGE, "must be more than 0s and at most 7d"),
        ];
        match rules.into_iter().find(|(_, is_broken, _)| *is_broken) {
            Some((member, _, problem)) => Err(PolicyError { member, problem }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_goes_together_and_an_empty_patch_changes_nothing() {
        let policy = Policy::default();
        assert_eq!(policy.check(), Ok(()));
        assert_eq!(policy.with(&PolicyPatch::default()), policy);
    }

    #[test]
    fn nothing_is_kept_for_longer_than_stores_remember_that_it_waits() {
        let kept_for = |age| Policy { custody: Custody { age, ..Custody::default() }, ..Policy::default() };
        assert_eq!(kept_for(LONGEST_AGE).check(), Ok(()));
        for age in [LONGEST_AGE + Duration::from_secs(1), Duration::ZERO] {
            assert_eq!(kept_for(age).check().unwrap_err().member, "age");
        }
    }

    #[test]
    fn a_cooldown_doubles_up_to_the_longest() {
        let minutes: Vec<u64> = (1..=12).map(|level| Suspension::default().cooldown_of(level).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]);
        assert_eq!(Suspension::default().cooldown_of(u32::MAX), Duration::from_hours(6));
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        let wrong = |patch: PolicyPatch| Policy::default().with(&patch).check().unwrap_err().member;
        assert_eq!(wrong(PolicyPatch { suspend_failures: Some(0), ..PolicyPatch::default() }), "suspend_failures");
        assert_eq!(wrong(PolicyPatch { suspend_deliveries: Some(6), ..PolicyPatch::default() }), "suspend_deliveries");
        assert_eq!(
            wrong(PolicyPatch { cooldown: Some(Duration::from_hours(7)), ..PolicyPatch::default() }),
            "cooldown"
        );
        assert_eq!(wrong(PolicyPatch { waiting: Some(0), ..PolicyPatch::default() }), "waiting");
    }

    /// Stores keep this text for as long as the webhook, and the next version reads it.
    #[test]
    fn a_patch_is_written_as_it_always_was() {
        let patch = PolicyPatch {
            schedule: Some(RetrySchedule::new(vec![Duration::from_secs(5)]).unwrap()),
            cooldown: Some(Duration::from_millis(1500)),
            waiting: Some(7),
            ..PolicyPatch::default()
        };
        let text = serde_json::json!({
            "schedule": [{ "secs": 5, "nanos": 0 }], "cooldown": { "secs": 1, "nanos": 500_000_000 }, "waiting": 7,
        });
        assert_eq!(serde_json::to_value(&patch).unwrap(), text);
        assert_eq!(serde_json::from_value::<PolicyPatch>(text).unwrap(), patch);
        assert_eq!(serde_json::from_str::<PolicyPatch>("{}").unwrap(), PolicyPatch::default());
    }
}
