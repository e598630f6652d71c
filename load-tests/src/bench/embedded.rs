//! The one process on its data folder, beside a store that only writes the same rows.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::bus::{Consumer, Outgoing, Queue};
use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_backends::store::AttemptRecord;
use dockbell_backends::{Bus as _, Store as _};
use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::ids::WebhookId;
use dockbell_proto::message::Message;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::policy::Suspension;
use dockbell_proto::webhook::Format;
use dockbell_testkit::sample;
use futures_util::future::join3;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::run::{Measured, watch};
use crate::fleet::Fleet;
use crate::tally::Tally;
use crate::trial::{Ground, WINDOWS};
use crate::{flood, sink};

/// Each has one webhook.
const REPOSITORIES: usize = 100;
/// Reporters, each of which waits for the answer to one event before it reports the next.
const REPORTERS: usize = 256;
/// Few enough to leave every other thread its turn, many enough to fill a commit.
const WRITERS: usize = 256;
const ALL: NonZeroU16 = NonZeroU16::MAX;

/// Ours: reported over HTTP, delivered to receivers. Events per second.
pub(crate) async fn ours(ground: &Ground<'_>, name: &str, events: usize) -> Result<Measured, BoxError> {
    let folder = ground.folder.join(name);
    std::fs::create_dir_all(&folder)?;
    let mut fleet = Fleet::new("", "", &folder)?;
    fleet.set(WINDOWS);
    fleet.set(ground.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let up = fleet.up().await?;
    fleet.until_ready(&up).await?;
    let address = up.address()?;
    for number in 0..REPOSITORIES {
        fleet.add_webhook(address, (&flood::name(number), "batch", &ground.sink.url(number))).await?;
    }
    let tally = Arc::new(Tally::new(name, events));
    ground.sink.tell(vec![Arc::<Tally>::clone(&tally)]);
    ground.sink.behave(Vec::new());
    let mut reporting = JoinSet::new();
    for first in 0..REPORTERS {
        let (fleet, run) = (fleet.clone(), name.to_owned());
        reporting.spawn(async move {
            for event in (first..events).step_by(REPORTERS) {
                let (tag, repository) = (sink::tag(event, &run), flood::name(event % REPOSITORIES));
                let event = json!({
                    "schema": "dockbell.event/1", "registry": "hub.test", "repository": repository, "tag": tag,
                    "digest": sample::digest(1), "size": 700, "pusher": "load", "id": tag,
                });
                if !fleet.report(address, &event).await? {
                    return Err("a report was put off".into());
                }
            }
            Ok::<_, BoxError>(())
        });
    }
    let measured = watch(&tally, &[up.id().ok_or("the process has ended")?], 1.0).await?;
    while let Some(reported) = reporting.join_next().await {
        reported??;
    }
    up.kill().await?;
    Ok(measured)
}

/// The rows alone: an event and a batch that come and go, and the record of an attempt. Events per second.
pub(crate) async fn rows(ground: &Ground<'_>, name: &str, events: usize) -> Result<f64, BoxError> {
    let folder = ground.folder.join(name);
    let store = Arc::new(Embedded::open(&folder, Arc::new(SystemClock), EmbeddedLimits::default())?);
    let webhook = sample::webhook(1, "load/*", Format::Batch, "http://127.0.0.1/");
    store.put_webhook(&webhook).await?;
    let mut shares: Vec<Vec<Rows>> = Vec::new();
    for first in 0..WRITERS {
        shares.push((first..events).step_by(WRITERS).map(|event| rows_of(event, name, &webhook.id)).collect());
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
    Ok(events as f64 / took.as_secs_f64())
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
