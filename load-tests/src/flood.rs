//! The generator: sends what is due when it is due, whatever becomes of the earlier ones.

pub(crate) mod amqp;
pub(crate) mod command;
pub(crate) mod intake;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;
use dockbell_testkit::sample;
use serde_json::json;
use tokio::time::Instant;

use self::amqp::Broker;
use self::intake::Intakes;
use crate::plan::Plan;
use crate::sink;

/// A push that is due.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) event: usize,
    /// Counted from the start.
    pub(crate) at: Duration,
    pub(crate) repository: String,
    /// Those of one line are reported one after the other where their order is told by who takes them in.
    pub(crate) line: usize,
    /// Its events, the one with the tag last.
    pub(crate) bodies: Vec<Vec<u8>>,
}

/// How well the generator kept to its plan, and what was taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    /// Pushes that were confirmed, or accepted: they are owed.
    pub(crate) accepted: Vec<usize>,
    /// Pushes that were reported again, because nobody knew whether they were taken.
    pub(crate) repeated: Vec<usize>,
    /// The longest delay of a push beyond the time that it was due.
    pub(crate) longest_lag: Duration,
}

/// What was sent so far, for those who watch.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) due: AtomicUsize,
    pub(crate) accepted: AtomicUsize,
}

/// Where a flood goes.
#[derive(Debug)]
pub(crate) enum Flood {
    Broker(Box<Broker>),
    Intakes(Intakes),
}

impl Flood {
    /// Sends all pushes, the first one at `start`, and returns once the last is taken or given up.
    pub(crate) async fn run(
        &self,
        pushes: impl Iterator<Item = Due>,
        start: Instant,
        sent: &Arc<Sent>,
    ) -> Result<Kept, BoxError> {
        match self {
            Self::Broker(broker) => broker.run(pushes, start, sent).await,
            Self::Intakes(intakes) => intakes.run(pushes, start, sent).await,
        }
    }
}

impl Sent {
    /// How many were due, and how many of them were taken.
    pub(crate) fn now(&self) -> (usize, usize) {
        (self.due.load(Ordering::Relaxed), self.accepted.load(Ordering::Relaxed))
    }
}

/// The events of a plan, of one push each.
pub(crate) fn singles(plan: Plan, run: &str) -> impl Iterator<Item = Due> {
    (0..plan.events()).map(move |event| {
        let (repository, tag) = (name(plan.repository(event)), sink::tag(event, run));
        let body = json!({
            "schema": "dockbell.event/1", "registry": "hub.test", "repository": repository, "tag": tag,
            "digest": sample::digest(1), "media_type": "application/vnd.oci.image.manifest.v1+json", "size": 700,
            "pusher": "load", "id": tag,
        });
        Due { event, at: plan.due(event), repository, line: event, bodies: vec![body.to_string().into_bytes()] }
    })
}

/// The repository of this number.
pub(crate) fn name(repository: usize) -> String {
    format!("load/app-{repository}")
}
