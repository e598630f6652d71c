//! The way of a push, and that of a batch, in this process alone, over and over: what `instructions` counts.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use dockbell_backends::bus::{Outgoing, Queue};
use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_backends::{Bus as _, Store as _};
use dockbell_chassis::config::{Reader, Sources};
use dockbell_chassis::crypto::http_client;
use dockbell_chassis::lifecycle::{BoxError, Lifecycle};
use dockbell_chassis::listener::Listener;
use dockbell_chassis::telemetry::{Telemetry, TelemetryConfig};
use dockbell_producer::service::Producer;
use dockbell_proto::clock::SystemClock;
use dockbell_proto::message::Message;
use dockbell_proto::secret::Secret;
use dockbell_proto::webhook::Format;
use dockbell_testkit::sample::{digest, webhook};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::sync::mpsc::{Sender, channel};

use crate::backlog::fresh_batch;
use crate::sink::{Observe, Post, Sink};

/// What `docker-registry` 2.8 reported when `skopeo` pushed an image of three platforms: eight blobs, three manifests,
/// and the index that has the tag.
const PUSH: &str = include_str!("../fixtures/push_of_three_platforms.json");
/// Those of the push that are news: its manifests.
const MANIFESTS: usize = 4;
/// What stands before the id of its first event.
const ID: &str = r#""events":[{"id":""#;
const CHANGES: usize = 100;
/// A tag of a round is the same in none of the others.
const TAG: &str = "1.0";
/// What stands for the number of the round in a message that is made once.
const ROUND: &str = "round";
const REPOSITORY: &str = "team/app";
const TOKEN: &str = "the-ingest-token";
const ONE: NonZeroU16 = NonZeroU16::MIN;

/// What is done over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// A registry reports a push of three platforms in 12 events, and a batch comes of it
    Push,
    /// A batch of 100 changes is delivered in one POST
    Batch,
    /// One event is reported alone, and a batch comes of it
    Event,
    /// A batch of one change is delivered
    Delivery,
}

/// What to do, and how often.
#[derive(Debug, Clone, Args)]
pub(crate) struct Hot {
    case: Case,
    /// How often
    #[arg(long)]
    times: usize,
}

impl Case {
    /// Its name in the command line and in the baseline.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Batch => "batch",
            Self::Event => "event",
            Self::Delivery => "delivery",
        }
    }
}

impl Hot {
    /// Does it, one after the other, on a data folder in `folder`.
    pub(crate) async fn run(&self, folder: &Path) -> Result<(), BoxError> {
        let telemetry = Telemetry::start(TelemetryConfig::new("dockbell-load"))?;
        let embedded = Embedded::open(&folder.join("data"), Arc::new(SystemClock), EmbeddedLimits::default())?;
        let (embedded, lifecycle) = (Arc::new(embedded), Lifecycle::new());
        match self.case {
            Case::Push => self.push((MANIFESTS, push_number), &embedded, &telemetry, &lifecycle).await,
            Case::Event => self.push((1, event_number), &embedded, &telemetry, &lifecycle).await,
            Case::Batch => self.deliver(CHANGES, &embedded, &telemetry, &lifecycle).await,
            Case::Delivery => self.deliver(1, &embedded, &telemetry, &lifecycle).await,
        }
    }

    async fn push(
        &self,
        (events, report): (usize, fn(usize) -> String),
        embedded: &Arc<Embedded>,
        telemetry: &Telemetry,
        lifecycle: &Lifecycle,
    ) -> Result<(), BoxError> {
        // The last event of a push closes its window, so that nothing waits.
        let settings = settings(&[("window.max_events", &events.to_string())], |reader| {
            dockbell_producer::settings::Settings::read(reader)
        })?;
        let producer = Producer::new(
            (Arc::<Embedded>::clone(embedded), Arc::new(SystemClock)),
            settings,
            Secret::new(TOKEN),
            &telemetry.meter(),
            None,
        );
        // As in a process that exports none.
        let producer = Producer { exports_traces: false, ..producer };
        producer.start(lifecycle);
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let url = format!("http://{}/ingest/registry", listener.local_addr());
        lifecycle.spawn("intake", listener.serve(producer.intake(), lifecycle.shutdown()));
        let client = http_client(|| reqwest::Client::builder().no_proxy())?;
        let mut batches = embedded.consume(Queue::Deliveries, ONE).await?;
        for round in 0..self.times {
            let reporting = client.post(&url).bearer_auth(TOKEN).body(report(round));
            reporting.send().await?.error_for_status()?;
            let batch = batches.next().await.ok_or("the bus closed")?;
            batch.receipt.ack().await?;
        }
        Ok(())
    }

    async fn deliver(
        &self,
        changes: usize,
        embedded: &Arc<Embedded>,
        telemetry: &Telemetry,
        lifecycle: &Lifecycle,
    ) -> Result<(), BoxError> {
        let (sink, (sender, mut arrivals)) = (Sink::start()?, channel(1));
        sink.tell(vec![Arc::new(Arrived(sender))]);
        embedded.put_webhook(&webhook(1, REPOSITORY, Format::Batch, &sink.url(0))).await?;
        let settings = settings(&[("targets.allow", "127.0.0.0/8")], |reader| {
            dockbell_deliverer::settings::Settings::read(reader)
        })?;
        let surroundings = dockbell_deliverer::service::Surroundings {
            bus: Arc::<Embedded>::clone(embedded),
            store: Arc::<Embedded>::clone(embedded),
            clock: Arc::new(SystemClock),
            rng: StdRng::seed_from_u64(1),
        };
        dockbell_deliverer::service::start(surroundings, &settings, &telemetry.meter(), lifecycle)?;
        let tags: Vec<String> = (0..changes).map(|tag| format!("1.0.{tag}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let message = Outgoing::carrying(&Message::Batch(fresh_batch(ROUND, REPOSITORY, &tags)));
        let body = String::from_utf8(message.body.to_vec())?;
        for round in 0..self.times {
            let (id, body) = (round.to_string(), body.replace(ROUND, &format!("{round:05}")).into());
            embedded.publish(Queue::Deliveries, Outgoing { id, body, ..message.clone() }).await?;
            arrivals.recv().await.ok_or("the sink closed")?;
        }
        Ok(())
    }
}

/// The push with ids of its own, because repetitions are recognised.
fn push_number(round: usize) -> String {
    PUSH.replace(ID, &format!("{ID}{round:05}-")).replace(r#"},{"id":""#, &format!(r#"}},{{"id":"{round:05}-"#))
}

/// An event in our own format, with an id and a tag of its own.
fn event_number(round: usize) -> String {
    let event = json!({
        "schema": "dockbell.event/1", "registry": "hub.test", "repository": REPOSITORY, "tag": format!("{TAG}.{round}"),
        "digest": digest(1), "media_type": "application/vnd.oci.image.manifest.v1+json", "size": 700, "pusher": "alice",
        "id": format!("{round:05}"),
    });
    event.to_string()
}

/// Reads settings of these values, none of which may be wrong.
fn settings<S>(values: &[(&str, &str)], read: impl FnOnce(&mut Reader) -> S) -> Result<S, BoxError> {
    let flag = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned(), key.to_owned());
    let mut reader = Reader::new(Sources { flags: values.iter().map(flag).collect(), ..Sources::default() });
    let settings = read(&mut reader);
    Ok(reader.conclude(Some(settings))?)
}

/// Tells that something arrived.
#[derive(Debug)]
struct Arrived(Sender<()>);

impl Observe for Arrived {
    fn note(&self, _: &Post<'_>) {
        // There is one at a time, and whoever counts may have ended.
        self.0.try_send(()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_a_push_gets_an_id_of_its_round() {
        let push: serde_json::Value = serde_json::from_str(&push_number(7)).unwrap();
        let events = push["events"].as_array().unwrap();
        let is_told = events.iter().all(|event| event["id"].as_str().unwrap().starts_with("00007-"));
        assert!(is_told && events.len() == 12, "{push}");
        let manifests = events.iter().filter(|event| event["target"]["mediaType"] != "application/octet-stream");
        assert_eq!(manifests.count(), MANIFESTS);
    }
}
