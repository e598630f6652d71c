//! A producer that empties a queue, beside one that only consumes, counts, publishes and acknowledges.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dockbell_chassis::lifecycle::BoxError;
use futures_util::StreamExt as _;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::conditions::Side;
use super::results::{Results, mib, micros};
use super::run::{Bare, Measured, watch};
use super::servers::Servers;
use crate::backlog;
use crate::fleet::{Fleet, amqp_url};
use crate::flood;
use crate::goals::Goal;
use crate::sink::{self, events};
use crate::tally::Tally;
use crate::trial::{Ground, WINDOWS};

const EVENTS: &str = "dockbell.events.v1.00";
const BATCHES: &str = "dockbell.deliveries.v1.00";
/// Where batches are published.
const EXCHANGE: &str = "dockbell.deliveries";
const SHARD: &str = "00";
/// As ours has it by default.
const PREFETCH: u16 = 20_000;

/// What a producer is given to do.
#[derive(Debug, Clone, Copy)]
struct Load {
    events: usize,
    repositories: usize,
    /// Events of a repository that come one after the other, and make a batch.
    together: usize,
}

/// Pairs of runs in a pass.
const PAIRS: usize = 2;

/// Measures pairs in turn: with windows that hold ten events, and with as many windows as events.
pub(crate) async fn measure(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    results.describe(sides());
    let loads = [("1,000 repositories", (1_000, 10), 0.85), ("a repository for each event", (1_000_000, 1), 0.8)];
    for (what, (repositories, together), least) in loads {
        let kinds = [format!("naked-producer-of-{together}"), format!("producer-of-{together}")];
        for _ in 0..PAIRS {
            let mut pair = Vec::new();
            for kind in &kinds {
                let is_ours = Some(kind) == kinds.last();
                // Before anything is known of them.
                let guess = if is_ours || together == 1 { 40_000 } else { 120_000 };
                let (name, events) = (results.begin(kind), results.events(kind, guess));
                let load = Load { events, repositories, together };
                let measured =
                    if is_ours { ours(ground, &name, load).await? } else { naked(ground, &name, load).await? };
                results.draw(kind, &name, &measured.0);
                pair.push(measured);
            }
            let [(naked, _), (ours, of_batch)] =
                <[(Measured, f64); 2]>::try_from(pair).map_err(|_| "a pair has two sides")?;
            results.add(&format!("naked producer, {what}"), (naked.rate, "/s"), Goal::None);
            results.add(&format!("producer, {what}"), (ours.rate, "/s"), Goal::None);
            let ratio = ours.rate / naked.rate;
            results.add(&format!("producer, {what}: to the naked one"), (ratio, "×"), Goal::AtLeast(least));
            let cpu = ours.cpu_per_event.as_secs_f64() / naked.cpu_per_event.as_secs_f64();
            results.add(&format!("producer, {what}: processors, to the naked one"), (cpu, "×"), Goal::None);
            results.add(
                &format!("producer, {what}: processors per event"),
                (micros(ours.cpu_per_event), "µs"),
                Goal::None,
            );
            results.add(&format!("producer, {what}: a batch"), (of_batch, "events"), Goal::None);
            let broker = micros(ours.servers.broker);
            results.add(&format!("producer, {what}: processors of RabbitMQ per event"), (broker, "µs"), Goal::None);
            results.add(&format!("producer, {what}: memory"), (mib(ours.peak_memory), "MiB"), Goal::None);
        }
    }
    Ok(())
}

/// Ours, and how many events a batch of it had.
async fn ours(ground: &Ground<'_>, name: &str, load: Load) -> Result<(Measured, f64), BoxError> {
    let host = ground.node.virtual_host().await;
    let url = amqp_url(ground.node, &host);
    let folder = ground.folder.join(name);
    std::fs::create_dir_all(&folder)?;
    let mut fleet = Fleet::new(&url, &ground.redis.url(), &folder)?;
    fleet.set(WINDOWS);
    let together = load.together.to_string();
    fleet.set([("DOCKBELL_WINDOW_MAX_EVENTS", together.as_str())]);
    fleet.set(ground.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    publish(&url, name, load).await?;
    let run = name.to_owned();
    let counted = count(&url, name, load, move |batch: &[u8], _| events(batch, &run)).await?;
    let servers = Servers::watch(ground).await?;
    let producer = fleet.producer().await?;
    let measured = watch(&counted.tally, &[producer.id().ok_or("the producer has ended")?], 1.0).await?;
    let servers = servers.per(ground, load.events).await?;
    let of_batch = counted.events_of_batch(load);
    drop(counted);
    producer.kill().await?;
    ground.node.remove_virtual_host(&host).await;
    Ok((Measured { servers, ..measured }, of_batch))
}

/// The same without windows.
async fn naked(ground: &Ground<'_>, name: &str, load: Load) -> Result<(Measured, f64), BoxError> {
    let host = ground.node.virtual_host().await;
    let url = amqp_url(ground.node, &host);
    publish(&url, name, load).await?;
    // A batch of it stands for as many events, whichever they were.
    let stands_for = move |_: &[u8], number: usize| (number * load.together..(number + 1) * load.together).collect();
    let counted = count(&url, name, load, stands_for).await?;
    let bare = start(&url, load.together)?;
    let measured = watch(&counted.tally, &[bare.id()?], 1.0).await?;
    let of_batch = counted.events_of_batch(load);
    drop(counted);
    bare.kill().await?;
    ground.node.remove_virtual_host(&host).await;
    Ok((measured, of_batch))
}

/// Starts one that publishes one of so many events.
pub(crate) fn start(url: &str, together: usize) -> Result<Bare, BoxError> {
    Bare::start(&[
        "producer".to_owned(),
        format!("--amqp-url={url}"),
        format!("--queue={EVENTS}"),
        format!("--prefetch={PREFETCH}"),
        format!("--every={together}"),
        format!("--exchange={EXCHANGE}"),
        format!("--key={SHARD}"),
    ])
}

async fn publish(url: &str, name: &str, load: Load) -> Result<(), BoxError> {
    backlog::publish_events(url, (load.repositories, load.together), (load.events, name)).await
}

/// What is published, as it is counted.
struct Counted {
    tally: Arc<Tally>,
    batches: Arc<AtomicUsize>,
    _counting: JoinSet<()>,
}

impl Counted {
    #[expect(clippy::cast_precision_loss, reason = "a float counts far more of them exactly")]
    fn events_of_batch(&self, load: Load) -> f64 {
        load.events as f64 / self.batches.load(Ordering::Relaxed).max(1) as f64
    }
}

/// Notes the events of every batch that is published, which `told` says of its body and its number.
async fn count(
    url: &str,
    name: &str,
    load: Load,
    told: impl Fn(&[u8], usize) -> Vec<usize> + Send + 'static,
) -> Result<Counted, BoxError> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut batches = channel.basic_consume(BATCHES.into(), "count".into(), options, FieldTable::default()).await?;
    let (tally, counted) = (Arc::new(Tally::new(name, load.events)), Arc::new(AtomicUsize::new(0)));
    let (noted, number, mut counting) = (Arc::clone(&tally), Arc::clone(&counted), JoinSet::new());
    counting.spawn(async move {
        let _connection = connection;
        while let Some(Ok(batch)) = batches.next().await {
            let now = Instant::now();
            for event in told(&batch.data, number.fetch_add(1, Ordering::Relaxed)) {
                noted.note_event(event, now);
            }
        }
    });
    Ok(Counted { tally, batches: counted, _counting: counting })
}

fn sides() -> [Side; 2] {
    let body_bytes = backlog::event(&sink::tag(10_000, "producer-1"), &flood::name(100)).body.len();
    let naked = Side {
        name: "naked producer",
        prefetch: PREFETCH.to_string(),
        body_bytes,
        broker: "1 connection to the broker with 1 channel that consumes and 1 that publishes",
        at_once: "the bodies of ten events, or of one, as one; up to 512 publishes that wait for their confirmation"
            .to_owned(),
        acks: "acknowledged up to the first that is not settled, every 1 ms",
        transport: "plain AMQP",
    };
    let ours = Side {
        name: "producer",
        broker: "2 connections to the broker, of which 1 channel consumes and 1 publishes",
        at_once: "up to 1,000 batches that wait for their confirmation".to_owned(),
        acks: "acknowledged as the naked one, every 5 ms",
        ..naked.clone()
    };
    [naked, ours]
}
