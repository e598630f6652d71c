//! The record of an attempt: history, health, settled and newest at once.

use std::time::Duration;

use dockbell_proto::outcome::{Fault, Outcome, Verdict};
use dockbell_proto::policy::Suspension;
use serde::{Deserialize, Serialize};

use crate::store::{
    ATTEMPTS_SHOWN, AttemptEntry, AttemptRecord, CHANGES_PER_WEBHOOK, EXCERPT_LIMIT, Recorded, SETTLED_KEPT, StoreError,
};

use super::counters::{self, Counted, Fields};
use super::entering::{self, Entering};
use super::standing::{self, HEALTH_KEPT};
use super::{page, values};

/// What the script is told.
#[derive(Serialize)]
struct Arguments<'a> {
    #[serde(flatten)]
    entering: entering::Arguments<'a>,
    attempt: String,
    verdict: String,
    count: &'static str,
    suspension: Rules,
    settled_until: String,
    settled_bound: String,
    health_bound: String,
    changes_limit: String,
    attempts_limit: String,
}

/// When the webhook is suspended; spans are in microseconds.
#[derive(Serialize)]
struct Rules {
    failures: String,
    deliveries: String,
    span: String,
    cooldown: String,
    longest_cooldown: String,
    trickle: String,
}

/// An attempt as it is kept, after the text by which it is ordered.
#[derive(Serialize, Deserialize)]
struct Entry {
    request: u32,
    ordinal: u32,
    at: i64,
    took: i64,
    outcome: Outcome,
    verdict: Verdict,
    excerpt: Option<String>,
}

impl Counted<'_> {
    /// Records the attempt. Of a webhook that was removed nothing is kept but the fact that the attempt is
    /// settled.
    pub(super) async fn record(&self, attempt: &AttemptRecord) -> Result<Recorded, StoreError> {
        let mut call = self.side.prepare(&self.scripts.record)?;
        self.keys_to_enter(&mut call, &attempt.delivery);
        call.key(self.claim_key(&attempt.delivery.attempt_id()));
        call.arg(values::to_json(&self.arguments(attempt)?)?);
        call.arg(values::to_json(&attempt.delivery.content)?).arg(write_entry(attempt)?);
        let answer: (bool, Fields, u32, String, Fields, Fields) = self.side.call(&call).await?;
        let (is_first, health, waiting, at, before, after) = answer;
        let change = if at.is_empty() { None } else { Some(standing::change(&at, &before, &after)?) };
        Ok(Recorded { is_first, health: counters::health(&health, waiting)?, change })
    }

    fn arguments<'a>(&'a self, attempt: &'a AttemptRecord) -> Result<Arguments<'a>, StoreError> {
        let AttemptRecord { delivery, verdict, .. } = attempt;
        let next = match verdict {
            Verdict::Retry { at } => Some(*at),
            _ => None,
        };
        let (at, state) = (attempt.at, verdict.state());
        Ok(Arguments {
            entering: self.arguments_to_enter(Entering { delivery, at, state, next, parked_because: None }),
            attempt: delivery.attempt_id().to_string(),
            verdict: values::to_json(verdict)?,
            count: count(&attempt.outcome),
            suspension: Rules::of(&attempt.suspension),
            settled_until: self.after(SETTLED_KEPT),
            settled_bound: values::bound_ms(SETTLED_KEPT).to_string(),
            health_bound: values::bound_ms(HEALTH_KEPT).to_string(),
            changes_limit: CHANGES_PER_WEBHOOK.to_string(),
            attempts_limit: ATTEMPTS_SHOWN.to_string(),
        })
    }
}

impl Rules {
    fn of(suspension: &Suspension) -> Self {
        let micros = |span: Duration| values::micros(span).to_string();
        Self {
            failures: suspension.failures.to_string(),
            deliveries: suspension.deliveries.to_string(),
            span: micros(suspension.span),
            cooldown: micros(suspension.cooldown),
            longest_cooldown: micros(suspension.longest_cooldown),
            trickle: suspension.trickle.to_string(),
        }
    }
}

/// How the outcome counts: an acceptance clears the counters, what is not charged leaves them alone.
fn count(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { .. } => "accepted",
        outcome if outcome.fault() == Fault::Receiver => "failed",
        _ => "",
    }
}

fn write_entry(attempt: &AttemptRecord) -> Result<String, StoreError> {
    let AttemptRecord { delivery, excerpt, .. } = attempt;
    let excerpt = excerpt.as_deref().and_then(|text| text.get(..text.floor_char_boundary(EXCERPT_LIMIT)));
    let entry = Entry {
        request: delivery.request,
        ordinal: delivery.ordinal,
        at: attempt.at.as_microsecond(),
        took: values::micros(attempt.took),
        outcome: attempt.outcome.clone(),
        verdict: attempt.verdict.clone(),
        excerpt: excerpt.map(str::to_owned),
    };
    let order = page::place(attempt.at, "");
    let order = order.trim_end_matches('.');
    Ok(format!("{order}{:08x}{:08x} {}", entry.request, entry.ordinal, values::to_json(&entry)?))
}

/// Reads the entries of a delivery, oldest first.
pub(super) fn read_entries(mut texts: Vec<String>) -> Result<Vec<AttemptEntry>, StoreError> {
    texts.sort_unstable();
    let read = |text: &String| {
        let (_, json) = text.split_once(' ').ok_or_else(|| values::unreadable("attempt", "it has no order"))?;
        let entry: Entry = values::json("attempt", json)?;
        Ok(AttemptEntry {
            request: entry.request,
            ordinal: entry.ordinal,
            at: values::time("attempt", entry.at)?,
            took: Duration::from_micros(entry.took.unsigned_abs()),
            outcome: entry.outcome,
            verdict: entry.verdict,
            excerpt: entry.excerpt,
        })
    };
    texts.iter().map(read).collect()
}
