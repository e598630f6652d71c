//! What the receivers of a run saw: every request, what it told, and whether its signature is right.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::signature::{ID_HEADER, SIGNATURE_HEADER, Signed, SigningSecret, TIMESTAMP_HEADER};
use dockbell_proto::webhook::Format;
use dockbell_testkit::oracle::Told;
use hdrhistogram::Histogram;
use http::HeaderMap;
use serde_json::Value;
use tokio::time::Instant;

use crate::arrivals::{histogram, micros};
use crate::flood;
use crate::pushes::Pushes;
use crate::sink::{Observe, Post};
use crate::stamp;

/// What is sent again and again for minutes has gone wrong; more is counted, and not kept.
const MOST: usize = 10_000_000;

/// A request that a receiver got.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) webhook: usize,
    /// The id of the delivery.
    pub(crate) id: String,
    pub(crate) at: Instant,
    pub(crate) is_accepted: bool,
    /// None if signatures are not verified.
    pub(crate) is_signed: Option<bool>,
    pub(crate) changes: Vec<Change>,
}

/// A change as it was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) told: Told,
    /// The platforms of an index, where the format tells them, and those of them that were pushed in its window.
    pub(crate) platforms: Option<(usize, usize)>,
}

/// Writes down what receivers see.
#[derive(Debug)]
pub(crate) struct Witness {
    pushes: Pushes,
    start: Instant,
    format: Format,
    per_repository: usize,
    /// By the number of the webhook; empty if signatures are not verified.
    secrets: Vec<SigningSecret>,
    notes: Mutex<Notes>,
}

#[derive(Debug)]
struct Notes {
    seen: Vec<Seen>,
    unkept: usize,
    /// Requests that told no push of this run.
    foreign: usize,
    /// Changes that were accepted.
    arrived: usize,
    /// Since somebody last asked.
    recent: Histogram<u64>,
}

/// What arrived since somebody last asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recent {
    /// Since the start.
    pub(crate) arrived: usize,
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
}

impl Witness {
    pub(crate) fn new(
        (pushes, start): (Pushes, Instant),
        (format, per_repository): (Format, usize),
        secrets: Vec<SigningSecret>,
    ) -> Self {
        let notes = Mutex::new(Notes { seen: Vec::new(), unkept: 0, foreign: 0, arrived: 0, recent: histogram() });
        Self { pushes, start, format, per_repository, secrets, notes }
    }

    /// Everything that was seen, in its order; an error if that was too much.
    pub(crate) fn seen(&self) -> Result<Vec<Seen>, String> {
        let notes = self.notes();
        if notes.unkept > 0 {
            return Err(format!("{} requests came after {MOST} others: the run is too long", notes.unkept));
        }
        Ok(notes.seen.clone())
    }

    /// How many requests told nothing of this run, as what an earlier one left in the queues does.
    pub(crate) fn foreign(&self) -> usize {
        self.notes().foreign
    }

    /// How many changes were accepted.
    pub(crate) fn arrived(&self) -> usize {
        self.notes().arrived
    }

    pub(crate) fn recent(&self) -> Recent {
        let mut notes = self.notes();
        let at = |quantile| Duration::from_micros(notes.recent.value_at_quantile(quantile));
        let recent = Recent { arrived: notes.arrived, median: at(0.5), p99: at(0.99) };
        notes.recent.reset();
        recent
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_signed(&self, post: &Post<'_>, id: &str) -> Option<bool> {
        if self.secrets.is_empty() {
            return None;
        }
        let (timestamp, signature) = (header(post.headers, TIMESTAMP_HEADER), header(post.headers, SIGNATURE_HEADER));
        let signed = Signed { id, timestamp, signature, body: post.body };
        let secret = self.secrets.get(post.webhook);
        Some(secret.is_some_and(|secret| secret.verify(&signed, SystemClock.now()).is_ok()))
    }

    /// The changes that a request told.
    fn changes(&self, post: &Post<'_>) -> Vec<Change> {
        if self.format == Format::Batch {
            let payload: Value = serde_json::from_slice(post.body).unwrap_or_default();
            return payload.get("changes").and_then(Value::as_array).into_iter().flatten().map(Change::of).collect();
        }
        // Every other format tells each tag by itself, and each push has a tag of its own.
        let repository = flood::name(post.webhook.checked_div(self.per_repository).unwrap_or_default());
        let of = |stamp: stamp::Stamp| {
            let tag = stamp::Written(stamp, &self.pushes.run).to_string();
            let told =
                Told { repository: repository.clone(), events: vec![tag.clone()], tag, order: None, digest: None };
            Change { told, platforms: None }
        };
        stamp::find(&stamp::text_of(post), Some(&self.pushes.run)).into_iter().map(of).collect()
    }
}

impl Change {
    /// A change of the format `batch`.
    fn of(change: &Value) -> Self {
        let text = |name: &str| change.get(name).and_then(Value::as_str).map(str::to_owned);
        let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).map_or(0, Vec::len);
        let events = change.get("event_ids").and_then(Value::as_array).into_iter().flatten();
        let children = change.get("children").and_then(Value::as_array).into_iter().flatten();
        let whole = children.filter(|child| list(child, "blobs") > 0 || list(child, "layers") > 0).count();
        let told = Told {
            repository: text("repository").unwrap_or_default(),
            tag: text("tag").unwrap_or_default(),
            order: text("order"),
            digest: text("digest"),
            events: events.filter_map(Value::as_str).map(str::to_owned).collect(),
        };
        Self { told, platforms: Some((list(change, "children"), whole)) }
    }
}

impl Observe for Witness {
    fn note(&self, post: &Post<'_>) {
        let id = header(post.headers, ID_HEADER).to_owned();
        let (is_signed, changes) = (self.is_signed(post, &id), self.changes(post));
        let is_ours = |event: &String| !stamp::find(event, Some(&self.pushes.run)).is_empty();
        if !changes.iter().flat_map(|change| &change.told.events).any(is_ours) {
            self.notes().foreign += 1;
            return;
        }
        let newest = changes.iter().filter_map(|change| change.told.events.last());
        let events = newest.flat_map(|event| stamp::find(event, Some(&self.pushes.run)));
        let late = |stamp: stamp::Stamp| {
            let due = self.start + self.pushes.schedule.due(stamp.event);
            micros(post.at.saturating_duration_since(due))
        };
        let latencies: Vec<u64> = events.map(late).collect();
        let mut notes = self.notes();
        if notes.seen.len() >= MOST {
            notes.unkept += 1;
            return;
        }
        if post.is_accepted {
            notes.arrived += changes.len();
            for latency in latencies {
                notes.recent.saturating_record(latency);
            }
        }
        let Post { webhook, is_accepted, at, .. } = *post;
        notes.seen.push(Seen { webhook, id, at, is_accepted, is_signed, changes });
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dockbell_testkit::sample;
    use serde_json::json;

    use super::*;
    use crate::plan::Plan;
    use crate::scenario::Way;
    use crate::schedule::{Schedule, Shape, Spread};

    fn pushes() -> Pushes {
        let plan = Plan { rate: 10.0, repositories: 2, warm_up: Duration::ZERO, length: Duration::from_secs(1) };
        let shape = Shape { spread: Spread::Even, tags: None, bursts: 0.0, platforms: 0 };
        let schedule = Arc::new(Schedule::new(plan, &shape));
        Pushes { schedule, run: "r1".to_owned(), began: sample::moment(), way: Way::Amqp }
    }

    fn note(witness: &Witness, secret: &SigningSecret, body: &str) {
        let (now, mut headers) = (SystemClock.now(), HeaderMap::new());
        let mut insert = |name: &'static str, value: String| headers.insert(name, value.parse().unwrap());
        insert(ID_HEADER, "msg_1".to_owned());
        insert(TIMESTAMP_HEADER, now.as_second().to_string());
        insert(SIGNATURE_HEADER, secret.sign("msg_1", now, body.as_bytes()));
        let body = body.as_bytes();
        witness.note(&Post { webhook: 1, headers: &headers, body, is_accepted: true, at: Instant::now() });
    }

    #[test]
    fn a_request_is_seen_with_what_it_tells_and_whether_the_secret_of_its_webhook_signed_it() {
        let secrets = [1, 2].map(|number| SigningSecret::from_random([number; 32]));
        let witness = Witness::new((pushes(), Instant::now()), (Format::Dockerhub, 1), secrets.to_vec());
        let body = json!({ "push_data": { "tag": pushes().id(3) } }).to_string();
        note(&witness, &secrets[1], &body);
        note(&witness, &secrets[0], &body);
        note(&witness, &secrets[1], &body.replace("r1", "r0"));
        let seen = witness.seen().unwrap();
        assert_eq!(seen.iter().map(|seen| seen.is_signed).collect::<Vec<_>>(), [Some(true), Some(false)]);
        let Change { told, .. } = &seen[0].changes[0];
        assert_eq!((&*told.repository, &told.events), ("load/app-1", &vec![pushes().id(3)]));
        assert_eq!((witness.arrived(), witness.foreign()), (2, 1), "another run's is none of ours");
    }

    #[test]
    fn of_a_batch_all_events_are_seen_and_the_platforms_of_an_index() {
        let witness = Witness::new((pushes(), Instant::now()), (Format::Batch, 1), Vec::new());
        let (digest, events) = (sample::digest(1), [pushes().id(1), pushes().id(3)]);
        let children = json!([{ "digest": digest, "blobs": [{ "digest": digest }] }, { "digest": digest }]);
        let change = json!({
            "repository": "load/app-1", "tag": "t", "digest": digest, "order": "1-x", "event_ids": events,
            "children": children,
        });
        note(&witness, &SigningSecret::from_random([1; 32]), &json!({ "changes": [change] }).to_string());
        let seen = witness.seen().unwrap();
        assert_eq!((seen[0].is_signed, seen[0].changes[0].platforms), (None, Some((2, 1))));
        assert_eq!(seen[0].changes[0].told.events, events);
    }
}
