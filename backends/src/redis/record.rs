//! The record of an attempt: history, health, settled and newest at once.

use std::time::Duration;

use dockbell_proto::outcome::{Fault, Outcome, Verdict};
use dockbell_proto::policy::Suspension;
use serde::{Deserialize, Serialize};

use crate::store::{AttemptEntry, AttemptRecord, EXCERPT_LIMIT, Recorded, StoreError};

use super::counters::{self, Counted};
use super::entering::{Attempted, Entering, Told};
use super::{page, standing, values};

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

/// What the script answers: whether the record was the first, how many deliveries wait, the health, and the change of the
/// standing, if there is one.
pub(super) type Answer = (bool, u32, String, String);

impl Counted<'_> {
    /// Records the attempts, one after the other. Of a webhook that was removed nothing is kept but the fact that the attempt
    /// is settled.
    pub(super) async fn record(&self, attempts: &[Told]) -> Result<Vec<Answer>, StoreError> {
        let mut call = self.prepare_to_enter(&self.scripts.record)?;
        for attempt in attempts {
            call.arg(attempt);
        }
        self.side.call(&call).await
    }
}

/// What the script is told of an attempt.
pub(super) fn tell(attempt: &AttemptRecord) -> Result<Told, StoreError> {
    let AttemptRecord { delivery, verdict, .. } = attempt;
    let next = match verdict {
        Verdict::Retry { at } => Some(*at),
        _ => None,
    };
    let (at, state) = (attempt.at, verdict.state());
    let entering = Entering { delivery, at, state, next, parked_because: None };
    let attempted = Attempted {
        count: count(&attempt.outcome),
        verdict: values::to_json(verdict)?,
        suspension: rules(&attempt.suspension),
        entry: Some(write_entry(attempt)?),
    };
    Told::of(entering, attempted)
}

/// What a record came to.
pub(super) fn read(answer: &Answer) -> Result<Recorded, StoreError> {
    let (is_first, waiting, health, change) = answer;
    let change = if change.is_empty() { None } else { Some(standing::counted(change)?) };
    Ok(Recorded { is_first: *is_first, health: counters::read_health(health, *waiting)?, change })
}

/// When the webhook is suspended, as `rules_of` in `count.lua` reads it; spans are in microseconds.
fn rules(suspension: &Suspension) -> String {
    let Suspension { failures, deliveries, span, cooldown, longest_cooldown, trickle } = suspension;
    let [span, cooldown, longest] = [span, cooldown, longest_cooldown].map(|span| values::micros(*span));
    format!("{failures} {deliveries} {span} {cooldown} {longest} {trickle}")
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
pub(super) fn read_entries(mut texts: Vec<&str>) -> Result<Vec<AttemptEntry>, StoreError> {
    texts.sort_unstable();
    let read = |text: &&str| {
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
