//! The steady load of a soak: reporters, each of one repository, who repeat what was not accepted.

use std::sync::Arc;
use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::book::{self, Book};
use super::stage::Addresses;
use crate::fleet::Fleet;
use crate::flood;

/// Tags of every other repository, which are pushed again and again.
const TAGS: usize = 5;
/// Before what was not accepted is reported again.
const PAUSE: Duration = Duration::from_millis(100);

/// Who reports, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    pub(crate) book: Arc<Book>,
    /// The number of its repository.
    pub(crate) repository: usize,
    /// The time between two events.
    pub(crate) pace: Duration,
    pub(crate) addresses: watch::Receiver<Addresses>,
    pub(crate) is_over: watch::Receiver<bool>,
}

impl Reporter {
    /// Reports until it is over, and what it has begun to its end.
    pub(crate) async fn report(self, client: Fleet) -> Result<(), BoxError> {
        let mut due = Instant::now();
        while !*self.is_over.borrow() {
            let tag = |number| tag(self.repository, number);
            let event = self.book.enter(&flood::name(self.repository), tag);
            self.until_accepted(&client, event).await?;
            due = (due + self.pace).max(Instant::now());
            sleep_until(due).await;
        }
        Ok(())
    }

    async fn until_accepted(&self, client: &Fleet, event: usize) -> Result<(), BoxError> {
        let body = push((self.repository, &tag(self.repository, event)), event);
        for attempt in event.. {
            let intake = {
                let intakes = &self.addresses.borrow().intakes;
                attempt.checked_rem(intakes.len()).and_then(|index| intakes.get(index).copied())
            };
            let intake = intake.ok_or("there must be producers")?;
            // An error of the connection is a producer that was killed, or is frozen.
            match client.report(intake, &body).await {
                Ok(true) => break,
                Err(error) if !error.is::<reqwest::Error>() => return Err(error),
                Ok(false) | Err(_) => sleep(PAUSE).await,
            }
        }
        self.book.accepted(event);
        Ok(())
    }
}

/// Whether the tags of a repository are pushed only once.
pub(crate) fn is_once(repository: usize) -> bool {
    repository.is_multiple_of(2)
}

fn tag(repository: usize, event: usize) -> String {
    if is_once(repository) { format!("once-{event}") } else { format!("again-{}", event % TAGS) }
}

/// The push of a tag to a repository that an event reports.
pub(crate) fn push((repository, tag): (usize, &str), event: usize) -> Value {
    json!({
        "schema": "dockbell.event/1", "id": book::id(event), "registry": "hub.test",
        "repository": flood::name(repository), "tag": tag, "digest": book::digest_of(event),
        "pusher": "soak",
    })
}
