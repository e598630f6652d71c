//! A webhook's health, and the standing that follows from it. Pure: adapters of the store count with it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::DeliveryId;
use crate::policy::{DISTINCT_LIMIT, Disabling, Suspension};

/// What a webhook's counters mean for its next attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Standing {
    /// Everything is attempted.
    #[default]
    Healthy,
    /// Nothing is attempted until the time; then one canary.
    Suspended {
        /// Until when.
        until: Timestamp,
        /// The how many-th suspension in a row it is, from 1.
        level: u32,
    },
    /// The canary succeeded: a few are attempted at once.
    Recovering {
        /// Since when. An attempt that began before and fails says nothing new.
        since: Timestamp,
        /// The suspensions in a row before it.
        level: u32,
        /// How many attempts succeeded, the canary's included.
        successes: u32,
    },
}

impl Standing {
    /// The word for it in the API, metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Suspended { .. } => "suspended",
            Self::Recovering { .. } => "recovering",
        }
    }
}

/// A webhook's counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Failed attempts since the last success, each counted once.
    pub consecutive_failures: u32,
    /// When the first of them began.
    pub failing_since: Option<Timestamp>,
    /// When the last of them began.
    pub failed_at: Option<Timestamp>,
    /// Of which deliveries they are, each once, in the order of counting; at most [`DISTINCT_LIMIT`].
    pub failed_deliveries: Vec<DeliveryId>,
    /// When the last attempt that succeeded began.
    pub succeeded_at: Option<Timestamp>,
    /// What follows.
    pub standing: Standing,
    /// Deliveries that wait for their next attempt.
    pub waiting: u32,
    /// Deliveries that were skipped since they were last replayed or discarded.
    pub skipped: u32,
}

/// An attempt that counts.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    /// The delivery.
    pub delivery: &'a DeliveryId,
    /// When it began.
    pub at: Timestamp,
    /// Whether it was accepted.
    pub is_accepted: bool,
}

impl Health {
    /// Counts an attempt, as of `now`. Of attempts that are counted late only what they began after counts: a
    /// failure from before the last success says nothing, nor does a success from before the first failure.
    pub fn count(&mut self, attempt: Counted<'_>, suspension: &Suspension, now: Timestamp) {
        if attempt.is_accepted {
            self.succeed(attempt.at, suspension, now);
        } else if self.succeeded_at.is_none_or(|succeeded| attempt.at > succeeded) {
            self.fail(attempt, suspension, now);
        }
    }

    fn succeed(&mut self, at: Timestamp, suspension: &Suspension, now: Timestamp) {
        self.succeeded_at = self.succeeded_at.max(Some(at));
        if self.failing_since.is_some_and(|since| at < since) {
            return;
        }
        self.consecutive_failures = 0;
        self.failing_since = None;
        self.failed_at = None;
        self.failed_deliveries.clear();
        self.standing = match self.standing {
            Standing::Healthy => Standing::Healthy,
            Standing::Suspended { level, .. } => recovering(now, level, 1, suspension),
            Standing::Recovering { since, level, successes } => {
                recovering(since, level, successes.saturating_add(1), suspension)
            }
        };
    }

    fn fail(&mut self, attempt: Counted<'_>, suspension: &Suspension, now: Timestamp) {
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        self.failing_since = Some(self.failing_since.map_or(attempt.at, |since| since.min(attempt.at)));
        self.failed_at = self.failed_at.max(Some(attempt.at));
        let is_known = self.failed_deliveries.contains(attempt.delivery);
        if !is_known && self.distinct_failures() < DISTINCT_LIMIT {
            self.failed_deliveries.push(attempt.delivery.clone());
        }
        let level = match self.standing {
            Standing::Healthy if self.is_failing_enough(suspension) => 1,
            Standing::Suspended { until, level } if attempt.at >= until => level.saturating_add(1),
            Standing::Recovering { since, level, .. } if attempt.at >= since => level.saturating_add(1),
            _ => return,
        };
        let until = later(now, suspension.cooldown_of(level));
        self.standing = Standing::Suspended { until, level };
    }

    fn distinct_failures(&self) -> u32 {
        u32::try_from(self.failed_deliveries.len()).unwrap_or(u32::MAX)
    }

    fn is_failing_enough(&self, suspension: &Suspension) -> bool {
        self.consecutive_failures >= suspension.failures
            && self.distinct_failures() >= suspension.deliveries
            && self.span() >= suspension.span
    }

    /// From the beginning of the first failed attempt to that of the last.
    fn span(&self) -> Duration {
        let span = self.failing_since.zip(self.failed_at).map(|(since, last)| last.duration_since(since));
        span.and_then(|span| Duration::try_from(span).ok()).unwrap_or_default()
    }

    /// Whether the webhook has done nothing but fail for so long that it is to be disabled.
    pub fn is_to_be_disabled(&self, disabling: &Disabling, now: Timestamp) -> bool {
        let failing_for = self.failing_since.and_then(|since| Duration::try_from(now.duration_since(since)).ok());
        self.consecutive_failures >= disabling.failures && failing_for.is_some_and(|span| span >= disabling.after)
    }

    /// The change from `before` to this, in words; none if the standing is the same.
    pub fn change_since(&self, before: &Self, now: Timestamp) -> Option<StandingChange> {
        let reason = match (before.standing, self.standing) {
            (Standing::Healthy | Standing::Recovering { .. }, Standing::Healthy)
                if before.standing.as_str() == self.standing.as_str() =>
            {
                return None;
            }
            (Standing::Suspended { level: old, .. }, Standing::Suspended { level, .. }) if old == level => return None,
            (Standing::Recovering { .. }, Standing::Recovering { .. }) => return None,
            (_, Standing::Healthy) => "its attempts succeed again".to_owned(),
            (_, Standing::Recovering { .. }) => "an attempt succeeded; a few are made at once for now".to_owned(),
            (_, Standing::Suspended { until, .. }) => self.why_suspended(until, now),
        };
        Some(StandingChange { at: now, standing: StandingWord::of(&self.standing), reason })
    }

    fn why_suspended(&self, until: Timestamp, now: Timestamp) -> String {
        let cooldown = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        let cooldown = SignedDuration::try_from(cooldown).unwrap_or_default();
        let since = self.failing_since.map(|since| format!(" since {since}")).unwrap_or_default();
        let failures = self.consecutive_failures;
        format!("{failures} attempts failed one after the other{since}; the next one is made in {cooldown:#}")
    }
}

fn recovering(since: Timestamp, level: u32, successes: u32, suspension: &Suspension) -> Standing {
    if successes >= suspension.trickle { Standing::Healthy } else { Standing::Recovering { since, level, successes } }
}

/// `span` after `at`; the end of time, if it is later.
pub fn later(at: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span).ok().and_then(|span| at.checked_add(span).ok()).unwrap_or(Timestamp::MAX)
}

/// The word for a standing, with what only the settings know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StandingWord {
    /// Everything is attempted.
    Healthy,
    /// Nothing is attempted for a time.
    Suspended,
    /// A few are attempted at once.
    Recovering,
    /// Nothing is attempted until somebody enables it.
    Disabled,
    /// Somebody enabled it again.
    Enabled,
}

impl StandingWord {
    /// The word of a standing.
    pub fn of(standing: &Standing) -> Self {
        match standing {
            Standing::Healthy => Self::Healthy,
            Standing::Suspended { .. } => Self::Suspended,
            Standing::Recovering { .. } => Self::Recovering,
        }
    }

    /// The word in the API, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Suspended => "suspended",
            Self::Recovering => "recovering",
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
        }
    }
}

/// A change of a webhook's standing, as its history shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingChange {
    /// When.
    pub at: Timestamp,
    /// What it is from then on.
    pub standing: StandingWord,
    /// Why, in words.
    pub reason: String,
}

#[cfg(test)]
mod tests;
