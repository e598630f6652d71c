//! What one webhook's receiver saw.

use serde_json::Value;
use tokio::time::Instant;

use crate::receiver::{Receiver, Recorded};

/// The header that names the delivery.
const ID_HEADER: &str = "webhook-id";

/// What came to one webhook, in the order in which it came.
#[derive(Debug, Default)]
pub struct Sightings {
    seen: Vec<Sighting>,
    /// How many requests of the receiver were read.
    read: usize,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// The delivery id that it carried.
    pub delivery: String,
    /// When its body was complete.
    pub at: Instant,
    /// The changes that it told.
    pub told: Vec<Told>,
}

/// One change as it was told.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// Its order, in formats that tell one; it compares as text.
    pub order: Option<String>,
    /// The digest, in formats that tell one.
    pub digest: Option<String>,
    /// The events that it was made of, the newest last.
    pub events: Vec<String>,
}

impl Sightings {
    /// Adds what was seen.
    pub fn see(&mut self, sighting: Sighting) {
        self.seen.push(sighting);
    }

    /// Adds what `receiver` got since the last call, as far as `read` takes it for a sighting.
    pub fn read(&mut self, receiver: &Receiver, read: impl FnMut(&Recorded) -> Option<Sighting>) {
        let requests = receiver.requests_from(self.read);
        self.read += requests.len();
        self.seen.extend(requests.iter().filter_map(read));
    }

    /// All of them.
    pub fn all(&self) -> &[Sighting] {
        &self.seen
    }
}

impl Sighting {
    /// Reads a request in the format `batch`.
    ///
    /// # Panics
    /// If it is in no such format.
    pub fn of_batch(request: &Recorded) -> Self {
        let payload: Value = serde_json::from_slice(&request.body).expect("a payload in JSON");
        let changes = payload.get("changes").and_then(Value::as_array).expect("changes");
        Self { told: changes.iter().map(Told::of_change).collect(), ..Self::of(request, Vec::new()) }
    }

    /// A request that told these changes.
    ///
    /// # Panics
    /// If it carries no delivery id.
    pub fn of(request: &Recorded, told: Vec<Told>) -> Self {
        let id = request.headers.get(ID_HEADER).and_then(|id| id.to_str().ok()).expect("a delivery id");
        Self { delivery: id.to_owned(), at: request.at, told }
    }
}

impl Told {
    fn of_change(change: &Value) -> Self {
        let text = |name: &str| change.get(name).and_then(Value::as_str).map(str::to_owned);
        let events = change.get("event_ids").and_then(Value::as_array).expect("events");
        Self {
            repository: text("repository").expect("a repository"),
            tag: text("tag").expect("a tag"),
            order: Some(text("order").expect("an order")),
            digest: text("digest"),
            events: events.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }
}
