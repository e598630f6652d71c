//! The standing of webhooks: who may be tried, who was mended, and what changed.

use std::cmp::Reverse;
use std::time::Duration;

use dockbell_proto::health::StandingChange;
use dockbell_proto::ids::WebhookId;
use serde::{Deserialize, Serialize};

use crate::store::{CHANGES_PER_WEBHOOK, StoreError, Trial};

use super::counters::{self, Counted, Fields};
use super::values;

/// How long the server keeps health and changes that nothing is added to: twice as long as a suspension or a time to
/// be disabled may be, so that both end first.
pub(super) const HEALTH_KEPT: Duration = Duration::from_hours(60 * 24);

/// A change as it is kept, after a word that tells the kinds apart.
///
/// The script that counts keeps what it counted, in the same step. The words are made of that when they are read,
/// so that they are in one language and one place, and no change is without them because a second call was lost. Last
/// stands by which record it was made.
#[derive(Serialize, Deserialize)]
struct Tally(String, Fields, Fields, #[serde(default)] String);

impl Counted<'_> {
    /// Whether an attempt may be made of a webhook that is not healthy.
    pub(super) async fn begin_trial(&self, trial: &Trial) -> Result<bool, StoreError> {
        let mut call = self.side.prepare(&self.scripts.begin_trial)?;
        for kind in ["counters", "trials"] {
            call.key(self.side.key(format_args!("{kind}:{}", trial.webhook)));
        }
        call.key(self.settled_key(&trial.attempt));
        let (now, until) = (self.now.as_microsecond(), trial.until.as_microsecond());
        let kept = Duration::from_micros(until.saturating_sub(now).unsigned_abs());
        call.arg(now).arg(trial.attempt.to_string()).arg(until).arg(trial.trickle).arg(values::bound_ms(kept));
        self.side.call(&call).await
    }

    /// Makes a webhook healthy and forgets its failures.
    pub(super) async fn reset_health(&self, webhook: &WebhookId) -> Result<(), StoreError> {
        let mut call = self.side.prepare(&self.scripts.reset_health)?;
        for kind in ["gone", "counters", "trials"] {
            call.key(self.side.key(format_args!("{kind}:{webhook}")));
        }
        call.arg(values::bound_ms(HEALTH_KEPT));
        self.side.call(&call).await
    }

    /// Sets the count of skipped deliveries back to none.
    pub(super) async fn forget_skipped(&self, webhook: &WebhookId) -> Result<(), StoreError> {
        let mut call = self.side.prepare(&self.scripts.forget_skipped)?;
        call.key(self.side.key(format_args!("counters:{webhook}"))).arg(values::bound_ms(HEALTH_KEPT));
        self.side.call(&call).await
    }

    /// Keeps a change that no record made.
    pub(super) async fn keep_change(&self, webhook: &WebhookId, change: &StandingChange) -> Result<(), StoreError> {
        let mut call = self.side.prepare(&self.scripts.keep_change)?;
        for kind in ["gone", "standings"] {
            call.key(self.side.key(format_args!("{kind}:{webhook}")));
        }
        call.arg(format!("told {}", values::to_json(change)?));
        call.arg(CHANGES_PER_WEBHOOK).arg(values::bound_ms(HEALTH_KEPT));
        self.side.call(&call).await
    }

    /// The latest changes, newest first.
    pub(super) async fn changes_of(&self, webhook: &WebhookId) -> Result<Vec<StandingChange>, StoreError> {
        let mut call = self.side.prepare(&self.scripts.changes_of)?;
        call.key(self.side.key(format_args!("standings:{webhook}")));
        let kept: Vec<String> = self.side.call(&call).await?;
        let mut changes: Vec<StandingChange> = kept.iter().map(|text| read(text)).collect::<Result<_, _>>()?;
        // One that was held up on its way was kept after later ones.
        changes.sort_by_key(|change| Reverse(change.at));
        Ok(changes)
    }
}

fn read(text: &str) -> Result<StandingChange, StoreError> {
    match text.split_once(' ') {
        Some(("told", change)) => values::json("change of standing", change),
        Some(("counted", tally)) => counted(tally),
        _ => Err(wrong("its kind is none")),
    }
}

/// The change that a script counted.
pub(super) fn counted(tally: &str) -> Result<StandingChange, StoreError> {
    let Tally(at, before, after, _) = values::json("change of standing", tally)?;
    let at = at.parse().map_err(|_| wrong("its time is none"))?;
    let (before, after) = (counters::health(&before, 0)?, counters::health(&after, 0)?);
    after.change_since(&before, values::time("change of standing", at)?).ok_or_else(|| wrong("nothing changed"))
}

fn wrong(problem: &str) -> StoreError {
    values::unreadable("change of standing", problem)
}
