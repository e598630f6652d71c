//! The ledger of a soak: what was accepted of the reporters, and what the receivers were told of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::signature::{ID_HEADER, SIGNATURE_HEADER, Signed, SigningSecret, TIMESTAMP_HEADER};
use dockbell_testkit::sample;
use serde_json::Value;
use tokio::time::Instant;

use crate::sink::{Observe, Post};

/// What a broken promise is told with, at most: the first ones say enough.
const TOLD: usize = 20;

/// What is known of one run. Events have numbers; those of one repository are reported one after the other.
#[derive(Debug)]
pub(crate) struct Book {
    secrets: Vec<SigningSecret>,
    pages: Mutex<Pages>,
}

/// What stands in it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pages {
    /// By their numbers.
    pub(crate) events: Vec<Event>,
    /// What was told of each delivery, by its id and the number of its webhook.
    pub(crate) deliveries: HashMap<(usize, String), Told>,
    /// The order and digest of the newest that each webhook accepted of each tag.
    pub(crate) newest: BTreeMap<(usize, String, String), (String, String)>,
    /// Requests that nobody can have sent who is honest.
    pub(crate) invented: Vec<String>,
}

/// A push that was reported.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) reported_at: Instant,
    /// When its reporter learned that it is durable.
    pub(crate) accepted_at: Option<Instant>,
    /// When each webhook accepted it for the first time.
    pub(crate) arrived: BTreeMap<usize, Instant>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// When it was accepted, each time.
    pub(crate) accepted: Vec<Instant>,
    pub(crate) refused: usize,
    /// Whether it was accepted after it had been refused.
    pub(crate) is_retried: bool,
}

impl Book {
    /// A book about the webhooks with these secrets, by their numbers.
    pub(crate) fn new(secrets: Vec<SigningSecret>) -> Self {
        Self { secrets, pages: Mutex::default() }
    }

    /// Enters an event before it is reported, and returns its number.
    pub(crate) fn enter(&self, repository: &str, tag: impl FnOnce(usize) -> String) -> usize {
        let mut pages = self.pages();
        let number = pages.events.len();
        pages.events.push(Event {
            repository: repository.to_owned(),
            tag: tag(number),
            reported_at: Instant::now(),
            accepted_at: None,
            arrived: BTreeMap::new(),
        });
        number
    }

    /// Notes that an event was accepted.
    pub(crate) fn accepted(&self, event: usize) {
        if let Some(event) = self.pages().events.get_mut(event) {
            event.accepted_at = Some(Instant::now());
        }
    }

    /// Looks at what stands in it.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Pages) -> T) -> T {
        look(&self.pages())
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_signed(&self, post: &Post<'_>, id: &str) -> bool {
        let header = |name: &str| post.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (timestamp, signature) = (header(TIMESTAMP_HEADER), header(SIGNATURE_HEADER));
        let signed = Signed { id, timestamp, signature, body: post.body };
        self.secrets.get(post.webhook).is_some_and(|secret| secret.verify(&signed, SystemClock.now()).is_ok())
    }
}

impl Observe for Book {
    fn note(&self, post: &Post<'_>) {
        let id = post.headers.get(ID_HEADER).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
        let is_signed = self.is_signed(post, &id);
        let payload: Value = serde_json::from_slice(post.body).unwrap_or_default();
        let mut pages = self.pages();
        if !is_signed {
            pages.invent(format!("{id}: its signature is wrong"));
        }
        pages.attempt(post, id);
        if post.is_accepted {
            pages.tell(post, &payload);
        }
    }
}

impl Pages {
    fn invent(&mut self, what: String) {
        if self.invented.len() < TOLD {
            self.invented.push(what);
        }
    }

    fn attempt(&mut self, post: &Post<'_>, id: String) {
        let told = self.deliveries.entry((post.webhook, id)).or_default();
        if post.is_accepted {
            told.is_retried |= told.refused > 0;
            told.accepted.push(post.at);
        } else {
            told.refused += 1;
        }
    }

    /// Enters the changes of a payload in format `batch`.
    fn tell(&mut self, post: &Post<'_>, payload: &Value) {
        let repository = text(payload, "repository");
        for change in payload.get("changes").and_then(Value::as_array).into_iter().flatten() {
            let (tag, digest, order) = (text(change, "tag"), text(change, "digest"), text(change, "order"));
            let ids = change.get("event_ids").and_then(Value::as_array).into_iter().flatten();
            let numbers: Vec<Option<usize>> = ids.map(|id| number(id.as_str()?)).collect();
            let is_newest_told = numbers.last().copied().flatten().is_some_and(|newest| digest_of(newest) == digest);
            if !is_newest_told {
                self.invent(format!("{repository}:{tag} has a digest that nobody pushed: {digest}"));
            }
            for number in numbers {
                let event = number.and_then(|number| self.events.get_mut(number));
                match event.filter(|event| event.repository == repository && event.tag == tag) {
                    Some(event) => drop(event.arrived.entry(post.webhook).or_insert(post.at)),
                    None => self.invent(format!("{repository}:{tag} tells an event that nobody reported")),
                }
            }
            let newest = self.newest.entry((post.webhook, repository.clone(), tag)).or_default();
            if *newest.0 < *order {
                *newest = (order, digest);
            }
        }
    }
}

fn text(value: &Value, member: &str) -> String {
    value.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The id of an event.
pub(crate) fn id(event: usize) -> String {
    format!("soak-{event}")
}

fn number(id: &str) -> Option<usize> {
    id.strip_prefix("soak-")?.parse().ok()
}

/// The digest that an event pushes, which no other does.
pub(crate) fn digest_of(event: usize) -> String {
    sample::digest(u32::try_from(event).unwrap_or(u32::MAX))
}

impl Event {
    /// How long it took to reach a webhook; none if it never did.
    pub(crate) fn latency(&self, webhook: usize) -> Option<Duration> {
        Some(self.arrived.get(&webhook)?.saturating_duration_since(self.reported_at))
    }
}
