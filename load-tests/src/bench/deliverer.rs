//! A deliverer that empties a queue, beside one that only consumes, POSTs and acknowledges.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::bus::Outgoing;
use dockbell_chassis::lifecycle::BoxError;

use super::conditions::Side;
use super::results::{Results, bytes, mib, micros};
use super::run::{Bare, Measured, watch};
use super::servers::Servers;
use super::stage::Stage;
use super::stock;
use crate::fleet::amqp_url;
use crate::goals::Goal;
use crate::sink::{self, Behaviour};
use crate::tally::Tally;
use crate::trial::Ground;
use crate::{backlog, flood};

/// Each has one webhook.
pub(crate) const REPOSITORIES: usize = 100;
const QUEUE: &str = "dockbell.deliveries.v1.00";
/// As ours has it by default.
const PREFETCH: u16 = 2048;
/// POSTs of the naked one that are under way at once.
const AT_ONCE: usize = 128;
/// Pairs of runs in a pass.
const PAIRS: usize = 2;
/// The one webhook of a hundred that takes its time.
const LATE: Duration = Duration::from_secs(1);
/// Of a run with such a webhook, what is due to the others has arrived by then.
const WITHOUT_LATE: f64 = 0.95;

/// What a deliverer of ours is given to do.
#[derive(Debug, Clone)]
pub(crate) struct Load<'a> {
    pub(crate) events: usize,
    pub(crate) deliverers: usize,
    /// When they start.
    pub(crate) start: Start,
    /// Queues that the deliveries are spread over.
    pub(crate) shards: NonZeroU16,
    pub(crate) variables: &'a [(&'a str, &'a str)],
    /// By the number of the webhook; the others accept at once.
    pub(crate) behaviours: Vec<Behaviour>,
    /// How much of all is waited for.
    pub(crate) share: f64,
}

/// When deliverers start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Once their load stands on the queue, so that nothing but they works on this machine.
    OnBacklog,
    /// Before it is published, so that all of them are there when it comes.
    Before,
}

impl Load<'_> {
    /// One deliverer, whose receivers all answer at once.
    pub(crate) fn plain(events: usize) -> Self {
        Self {
            events,
            deliverers: 1,
            start: Start::OnBacklog,
            shards: NonZeroU16::MIN,
            variables: &[],
            behaviours: Vec::new(),
            share: 1.0,
        }
    }
}

/// Measures pairs in turn, and what a webhook that is late does to the others.
pub(crate) async fn measure(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    results.describe(sides());
    for pair in 0..PAIRS {
        let name = results.begin("naked-deliverer");
        let naked = naked(ground, &name, results.events("naked-deliverer", 100_000)).await?;
        results.draw("naked-deliverer", &name, &naked);
        let name = results.begin("deliverer");
        let ours_alone = ours(ground, &name, &Load::plain(results.events("deliverer", 25_000))).await?;
        results.draw("deliverer", &name, &ours_alone);
        results.add("naked deliverer", (naked.rate, "/s"), Goal::None);
        results.add("deliverer", (ours_alone.rate, "/s"), Goal::None);
        results.add("deliverer: rate, to the naked one", (ours_alone.rate / naked.rate, "×"), Goal::AtLeast(0.8));
        let cpu = ours_alone.cpu_per_event.as_secs_f64() / naked.cpu_per_event.as_secs_f64();
        results.add("deliverer: processors per delivery, to the naked one", (cpu, "×"), Goal::AtMost(1.25));
        add_costs(&ours_alone, results);
        results.add("deliverer: memory at full load", (mib(ours_alone.peak_memory), "MiB"), Goal::AtMost(64.0));
        if pair == 0 {
            let name = results.begin("late");
            let behaviours = vec![Behaviour::Late(LATE)];
            let load = Load { behaviours, share: WITHOUT_LATE, ..Load::plain(results.events("deliverer", 25_000)) };
            let late = ours(ground, &name, &load).await?;
            results.draw("late", &name, &late);
            let ratio = late.rate / ours_alone.rate;
            results.add("deliverer: rate with 1 % late, to that without", (ratio, "×"), Goal::AtLeast(0.9));
        }
    }
    Ok(())
}

/// What a delivery costs, for whoever sizes a deployment.
fn add_costs(measured: &Measured, results: &mut Results) {
    results.add("deliverer: processors per delivery", (micros(measured.cpu_per_event), "µs"), Goal::None);
    results.add("deliverer: processors of RabbitMQ per delivery", (micros(measured.servers.broker), "µs"), Goal::None);
    results.add("deliverer: processors of Redis per delivery", (micros(measured.servers.store), "µs"), Goal::None);
    let held = bytes(measured.servers.held);
    results.add("memory of Redis per delivery, most of them beyond the history", (held, "B"), Goal::None);
}

/// Ours: every attempt is recorded in Redis.
pub(crate) async fn ours(ground: &Ground<'_>, name: &str, load: &Load<'_>) -> Result<Measured, BoxError> {
    let urls: Vec<String> = (0..REPOSITORIES).map(|number| ground.sink.url(number)).collect();
    let webhook =
        move |number: usize| stock::webhook(number, &flood::name(number), urls.get(number).map_or("", String::as_str));
    stock::restock(ground, REPOSITORIES, webhook).await?;
    let shards = load.shards.to_string();
    let variables = [load.variables, &[("DOCKBELL_AMQP_SHARDS", shards.as_str())]].concat();
    let mut stage = Stage::new(ground, name, &ground.redis.url(), &variables).await?;
    let mut processes = Vec::new();
    if load.start == Start::Before {
        processes = stage.start(load.deliverers).await?;
        stage.until_ready().await?;
    }
    ground.sink.behave(load.behaviours.clone());
    let tally = Arc::new(Tally::new(name, load.events));
    ground.sink.tell(vec![Arc::<Tally>::clone(&tally)]);
    backlog::publish_batches((&stage.url, load.shards), load.events, told(name)).await?;
    let servers = Servers::watch(ground).await?;
    if load.start == Start::OnBacklog {
        processes = stage.start(load.deliverers).await?;
    }
    let measured = watch(&tally, &processes, load.share).await?;
    let servers = servers.per(ground, tally.count()).await?;
    stage.end(ground).await?;
    Ok(Measured { servers, ..measured })
}

/// The same without policy and store.
pub(crate) async fn naked(ground: &Ground<'_>, name: &str, events: usize) -> Result<Measured, BoxError> {
    let host = ground.node.virtual_host().await;
    let url = amqp_url(ground.node, &host);
    backlog::publish_batches((&url, NonZeroU16::MIN), events, told(name)).await?;
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

/// A batch for each event of a run, dealt to the repositories in turn.
fn told(run: &str) -> impl Fn(usize) -> Outgoing + Send + Sync + 'static {
    let run = run.to_owned();
    move |event| backlog::batch(&(sink::tag(event, &run), flood::name(event % REPOSITORIES)))
}

fn sides() -> [Side; 2] {
    let body_bytes = told("deliverer-1")(10_000).body.len();
    let naked = Side {
        name: "naked deliverer",
        prefetch: PREFETCH.to_string(),
        body_bytes,
        broker: "1 connection to the broker with 1 channel",
        at_once: format!("{AT_ONCE} POSTs at once to {REPOSITORIES} hosts"),
        acks: "acknowledged up to the first that is not settled, every 1 ms",
        transport: "plain AMQP and HTTP",
    };
    let ours = Side {
        name: "deliverer",
        broker: "2 connections to the broker, of which 1 channel consumes",
        at_once: format!("up to 1,024 POSTs at once to {REPOSITORIES} hosts, up to 64 of one webhook"),
        acks: "every attempt recorded in Redis, which writes to its disk first; acknowledged as the naked one, every 5 ms",
        transport: "plain AMQP, Redis and HTTP",
        ..naked.clone()
    };
    [naked, ours]
}
