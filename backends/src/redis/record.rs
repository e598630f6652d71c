//! The record of an attempt: history, health, settled and newest at once.

use std::time::Duration;

use dockbell_proto::ids::WebhookId;
use dockbell_proto::outcome::{Fault, Outcome, Verdict};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::{
    ATTEMPTS_SHOWN, AttemptEntry, AttemptRecord, EXCERPT_LIMIT, HISTORY_KEPT, HISTORY_PER_WEBHOOK, Recorded,
    SETTLED_KEPT, StoreError,
};

use super::counters::{self, Counted, Counters};
use super::{page, values};

/// How long the newest order of a tag is kept after it was last raised: as long as a delivery may wait.
const NEWEST_KEPT: Duration = Duration::from_hours(7 * 24);

/// What the script is told. Times are texts, which Lua does not round.
#[derive(Serialize)]
struct Arguments<'a> {
    base: &'a str,
    webhook: &'a WebhookId,
    now: String,
    at: String,
    place: String,
    state: &'static str,
    request: String,
    ordinal: String,
    /// Empty, as `not_before`, if there is none.
    next: String,
    not_before: String,
    verdict: String,
    count: &'static str,
    newest: Vec<(String, String)>,
    settled_until: String,
    settled_bound: String,
    newest_until: String,
    newest_bound: String,
    history_until: String,
    history_bound: String,
    history_limit: String,
    attempts_limit: String,
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
        let (webhook, delivery) = (&attempt.delivery.webhook, &attempt.delivery.id);
        let mut call = self.side.prepare(&self.scripts.record)?;
        call.key(self.settled_key(&attempt.delivery.attempt_id()));
        for kind in ["gone", "health", "newest", "newest-until", "history"] {
            call.key(self.side.key(format_args!("{kind}:{webhook}")));
        }
        for kind in ["delivery", "attempts"] {
            call.key(self.side.key(format_args!("{kind}:{delivery}")));
        }
        for index in ["history", "history-until", "delivered", "retrying", "dead", "superseded"] {
            call.key(self.side.key(index));
        }
        call.arg(values::to_json(&self.arguments(attempt)?)?);
        call.arg(values::to_json(&attempt.delivery.content)?).arg(write_entry(attempt)?);
        let (is_first, health): (bool, Counters) = self.side.call(&call).await?;
        Ok(Recorded { is_first, health: counters::health(health)?, change: None })
    }

    fn arguments<'a>(&'a self, attempt: &'a AttemptRecord) -> Result<Arguments<'a>, StoreError> {
        let AttemptRecord { delivery, verdict, .. } = attempt;
        let text = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.as_microsecond().to_string());
        let after = |span: Duration| self.now.as_microsecond().saturating_add(values::micros(span)).to_string();
        let next = match verdict {
            Verdict::Retry { at } => Some(*at),
            _ => None,
        };
        Ok(Arguments {
            base: &self.side.base,
            webhook: &delivery.webhook,
            now: text(Some(self.now)),
            at: text(Some(attempt.at)),
            place: page::place(attempt.at, delivery.id.as_str()),
            state: verdict.state().as_str(),
            request: delivery.request.to_string(),
            ordinal: delivery.ordinal.to_string(),
            next: text(next),
            not_before: text(delivery.not_before),
            verdict: values::to_json(verdict)?,
            count: count(&attempt.outcome),
            newest: counters::orders(&delivery.content),
            settled_until: after(SETTLED_KEPT),
            settled_bound: values::bound_ms(SETTLED_KEPT).to_string(),
            newest_until: after(NEWEST_KEPT),
            newest_bound: values::bound_ms(NEWEST_KEPT).to_string(),
            history_until: self.history_until().to_string(),
            history_bound: values::bound_ms(HISTORY_KEPT).to_string(),
            history_limit: HISTORY_PER_WEBHOOK.to_string(),
            attempts_limit: ATTEMPTS_SHOWN.to_string(),
        })
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
