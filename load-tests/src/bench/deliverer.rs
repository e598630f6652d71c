//! A deliverer that empties a queue, beside one that only consumes, POSTs and acknowledges.

use std::num::NonZeroU16;
use std::sync::Arc;

use dockbell_chassis::lifecycle::BoxError;

use super::run::{Bare, Measured, watch};
use crate::backlog;
use crate::fleet::amqp_url;
use crate::sink::Behaviour;
use crate::tally::Tally;
use crate::trial::{Ground, Make};

/// Each has one webhook.
const REPOSITORIES: usize = 100;
/// What a POST says is what stands on the queue, so that both send as much.
const FORMAT: &str = "batch";
const QUEUE: &str = "dockbell.deliveries.v1.00";
/// As ours has it by default.
const PREFETCH: u16 = 2048;
/// POSTs of the naked one that are under way at once.
const AT_ONCE: usize = 128;

/// What a deliverer of ours is given to do.
#[derive(Debug, Clone)]
pub(crate) struct Load<'a> {
    pub(crate) events: usize,
    pub(crate) deliverers: usize,
    /// Queues that the deliveries are spread over.
    pub(crate) shards: NonZeroU16,
    pub(crate) variables: &'a [(&'a str, &'a str)],
    /// By the number of the webhook; the others accept at once.
    pub(crate) behaviours: Vec<Behaviour>,
    /// How much of all is waited for.
    pub(crate) share: f64,
}

impl Load<'_> {
    /// One deliverer, whose receivers all answer at once.
    pub(crate) fn plain(events: usize) -> Self {
        Self { events, deliverers: 1, shards: NonZeroU16::MIN, variables: &[], behaviours: Vec::new(), share: 1.0 }
    }
}

/// Ours: every attempt is recorded in Redis.
pub(crate) async fn ours(ground: &Ground<'_>, name: &str, load: &Load<'_>) -> Result<Measured, BoxError> {
    let shards = load.shards.to_string();
    let variables = [load.variables, &[("DOCKBELL_AMQP_SHARDS", shards.as_str())]].concat();
    let make = Make { repositories: REPOSITORIES, format: FORMAT, deliverers: 0, variables: &variables };
    let mut crew = ground.crew_of(name, make).await?;
    let url = amqp_url(ground.node, &crew.host);
    backlog::publish_batches((&url, load.shards), REPOSITORIES, (load.events, name)).await?;
    let tally = Arc::new(Tally::new(name, load.events));
    ground.sink.tell(vec![Arc::<Tally>::clone(&tally)]);
    ground.sink.behave(load.behaviours.clone());
    let mut processes = Vec::new();
    for _ in 0..load.deliverers {
        processes.push(crew.add_deliverer().await?.id().ok_or("a deliverer has ended")?);
    }
    let measured = watch(&tally, &processes, load.share).await?;
    ground.end(crew).await?;
    Ok(measured)
}

/// The same without policy and store.
pub(crate) async fn naked(ground: &Ground<'_>, name: &str, events: usize) -> Result<Measured, BoxError> {
    let host = ground.node.virtual_host().await;
    let url = amqp_url(ground.node, &host);
    backlog::publish_batches((&url, NonZeroU16::MIN), REPOSITORIES, (events, name)).await?;
    let tally = Arc::new(Tally::new(name, events));
    ground.sink.tell(vec![Arc::<Tally>::clone(&tally)]);
    ground.sink.behave(Vec::new());
    let bare = start(ground, &url)?;
    let measured = watch(&tally, &[bare.id()?], 1.0).await?;
    bare.kill().await?;
    ground.node.remove_virtual_host(&host).await;
    Ok(measured)
}

/// Starts one that POSTs what stands on the queue of deliveries to the receivers in turn.
pub(crate) fn start(ground: &Ground<'_>, url: &str) -> Result<Bare, BoxError> {
    let mut arguments = vec![
        "deliverer".to_owned(),
        format!("--amqp-url={url}"),
        format!("--queue={QUEUE}"),
        format!("--prefetch={PREFETCH}"),
        format!("--at-once={AT_ONCE}"),
    ];
    arguments.extend((0..REPOSITORIES).map(|number| format!("--url={}", ground.sink.url(number))));
    Bare::start(&arguments)
}
