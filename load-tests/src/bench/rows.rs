//! What the embedded store makes of the rows of the whole way, when nothing but that is to be done.

use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::bus::{Consumer, Outgoing, Queue};
use dockbell_backends::embedded::{Embedded, EmbeddedLimits, EmbeddedStats};
use dockbell_backends::store::AttemptRecord;
use dockbell_backends::{Bus as _, Store as _};
use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::ids::WebhookId;
use dockbell_proto::message::Message;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::policy::Suspension;
use dockbell_testkit::sample;
use futures_util::future::join3;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::embedded::REPOSITORIES;
use super::stock;
use crate::{flood, sink};

/// Few enough to leave every other thread its turn, many enough to fill a commit.
const WRITERS: usize = 256;
const ALL: NonZeroU16 = NonZeroU16::MAX;

/// What was measured.
pub(crate) struct Written {
    /// Events per second whose rows were written and removed.
    pub(crate) rate: f64,
    /// What that took.
    pub(crate) stats: EmbeddedStats,
}

/// An event and a batch that come and go, and the record of an attempt, for each of so many events: the rows that the whole way writes
/// where each window holds one event.
pub(crate) async fn write(folder: &Path, name: &str, events: usize) -> Result<Written, BoxError> {
    let store = Arc::new(Embedded::open(folder, Arc::new(SystemClock), EmbeddedLimits::default())?);
    let mut webhooks = Vec::new();
    for number in 0..REPOSITORIES {
        // As many as the whole way has: each has a history of its own.
        let webhook = stock::webhook(number, &flood::name(number), "http://127.0.0.1/");
        store.put_webhook(&webhook).await?;
        webhooks.push(webhook.id);
    }
    let mut shares: Vec<Vec<Rows>> = Vec::new();
    for first in 0..WRITERS {
        let rows = (first..events).step_by(WRITERS).zip(webhooks.iter().cycle().skip(first % REPOSITORIES));
        shares.push(rows.map(|(event, webhook)| rows_of(event, name, webhook)).collect());
    }
    let mut writing = JoinSet::new();
    for queue in [Queue::Events, Queue::Deliveries] {
        writing.spawn(take_all(store.consume(queue, ALL).await?, events));
    }
    let began = Instant::now();
    for share in shares {
        let store = Arc::clone(&store);
        writing.spawn(async move {
            for Rows { event, batch, record } in share {
                // None waits for the others, so that as many as possible are of one commit.
                let published = (store.publish(Queue::Events, event), store.publish(Queue::Deliveries, batch));
                let (event, batch, record) = join3(published.0, published.1, store.record(&record)).await;
                event?;
                batch?;
                record?;
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(written) = writing.join_next().await {
        written??;
    }
    let took = began.elapsed();
    store.close().await;
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer events than a float counts exactly")]
    let rate = events as f64 / took.as_secs_f64();
    Ok(Written { rate, stats: store.stats() })
}

/// What is written for one event, made before the time is taken.
struct Rows {
    event: Outgoing,
    batch: Outgoing,
    record: AttemptRecord,
}

fn rows_of(event: usize, run: &str, webhook: &WebhookId) -> Rows {
    let (tag, repository) = (sink::tag(event, run), flood::name(event % REPOSITORIES));
    let content = sample::batch(&tag, &repository, &[&tag]);
    let record = AttemptRecord {
        delivery: sample::delivery(webhook, &content),
        at: SystemClock.now(),
        took: Duration::from_millis(1),
        outcome: Outcome::Accepted { status: 200 },
        verdict: Verdict::Delivered,
        excerpt: None,
        suspension: Suspension::default(),
        told_as_of: None,
    };
    let batch = Outgoing::carrying(&Message::Batch(content));
    let body = serde_json::to_vec(&sample::event(&tag, &repository, Some(&tag), 0)).unwrap_or_default().into();
    Rows { event: Outgoing { body, ..batch.clone() }, batch, record }
}

async fn take_all(mut consumer: Consumer, count: usize) -> Result<(), BoxError> {
    for _ in 0..count {
        consumer.next().await.ok_or("the bus closed")?.receipt.ack().await?;
    }
    Ok(())
}
