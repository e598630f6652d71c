//! Whether a delivery costs the same however many webhooks and repositories there are, once they are remembered.

use std::num::NonZeroU16;
use std::sync::Arc;

use dockbell_backends::bus::Outgoing;
use dockbell_chassis::lifecycle::BoxError;

use super::many::Many;
use super::results::{Results, micros};
use super::run::{Measured, watch};
use super::stage::Stage;
use super::stock;
use crate::goals::Goal;
use crate::tally::Tally;
use crate::trial::Ground;
use crate::{backlog, flood, sink};

/// As many as are pushed to, and the fewest webhooks.
const FEW_WEBHOOKS: usize = 1_000;
/// Each has one webhook, which is on everything below it.
const NAMESPACES: usize = 10;
const FEW_REPOSITORIES: usize = 10;
const MANY_REPOSITORIES: usize = 100_000;
/// With so few webhooks more would find no place in their lanes, and wait in the broker.
const SHORT: [(&str, &str); 1] = [("DOCKBELL_DELIVERY_PREFETCH", "256")];
/// What is flat changes by no more.
const FLAT: Goal = Goal::Within(0.9, 1.1);
/// Pairs of runs in a pass.
const PAIRS: usize = 2;

/// Deliveries to a thousand repositories, in a store of a thousand webhooks and in one of very many.
pub(crate) async fn of_webhooks(ground: &Ground<'_>, many: &Many, results: &mut Results) -> Result<(), BoxError> {
    let urls: Vec<String> = (0..FEW_WEBHOOKS).map(|number| ground.sink.url(number % 100)).collect();
    for _ in 0..PAIRS {
        let mut costs = Vec::new();
        for (kind, redis) in [("few-webhooks", &ground.redis.url()), ("many-webhooks", &many.redis.url())] {
            if kind == "few-webhooks" {
                let urls = urls.clone();
                let on = move |number: usize| {
                    stock::webhook(number, &flood::name(number), urls.get(number).map_or("", String::as_str))
                };
                stock::restock(ground, FEW_WEBHOOKS, on).await?;
            }
            let (name, events) = (results.begin(kind), results.events("few-webhooks", 25_000));
            let is_many = kind == "many-webhooks";
            let repository = |number| if is_many { many.measured(number) } else { flood::name(number) };
            let repositories: Vec<String> = (0..FEW_WEBHOOKS).map(repository).collect();
            let run = name.clone();
            let batch = move |event| {
                let repository = repositories.get(event % FEW_WEBHOOKS).cloned().unwrap_or_default();
                backlog::batch(&(sink::tag(event, &run), repository))
            };
            let measured = deliver(ground, (&name, redis), (0, events), batch).await?;
            results.draw(kind, &name, &measured);
            costs.push(measured.cpu_per_event.as_secs_f64());
        }
        let name = format!("processors per delivery: {} webhooks to {FEW_WEBHOOKS}", many.webhooks);
        results.add(&name, (growth(&costs), "×"), FLAT);
    }
    Ok(())
}

/// Deliveries to ten repositories, to very many that are remembered, and to as many that were never looked up.
pub(crate) async fn of_repositories(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    let urls: Vec<String> = (0..NAMESPACES).map(|number| ground.sink.url(number)).collect();
    let runs = [
        ("few-repositories", FEW_REPOSITORIES, 0),
        ("many-repositories", MANY_REPOSITORIES, MANY_REPOSITORIES),
        ("new-repositories", MANY_REPOSITORIES, 0),
    ];
    let mut costs = Vec::new();
    for (kind, repositories, before) in runs {
        let urls = urls.clone();
        let on = move |number: usize| {
            let pattern = format!("space-{number}/*");
            stock::webhook(number, &pattern, urls.get(number).map_or("", String::as_str))
        };
        stock::restock(ground, NAMESPACES, on).await?;
        let (name, events) = (results.begin(kind), results.events("few-repositories", 25_000));
        let run = name.clone();
        let batch = move |number: usize| {
            let place = number % repositories;
            let repository = format!("space-{}/app-{}", place % NAMESPACES, place / NAMESPACES);
            match number.checked_sub(before) {
                Some(event) => backlog::batch(&(sink::tag(event, &run), repository)),
                None => backlog::foreign_batch(&("warm-up".to_owned(), repository)),
            }
        };
        let measured = deliver(ground, (&name, &ground.redis.url()), (before, events), batch).await?;
        results.draw(kind, &name, &measured);
        costs.push(measured.cpu_per_event);
    }
    let [few, many, new] = <[_; 3]>::try_from(costs).unwrap_or_default();
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    let name = format!("processors per delivery: {MANY_REPOSITORIES} repositories to {FEW_REPOSITORIES}");
    results.add(&name, (ratio, "×"), FLAT);
    results.add("processors per delivery, warm", (micros(few), "µs"), Goal::None);
    let miss = (micros(new) - micros(few), "µs");
    results.add("processors per look-up of a repository, beyond that", miss, Goal::None);
    Ok(())
}

/// Has one deliverer work on a load of which the first `before` are routed to nobody, and measures the `events` behind them.
async fn deliver(
    ground: &Ground<'_>,
    (name, redis_url): (&str, &str),
    (before, events): (usize, usize),
    batch: impl Fn(usize) -> Outgoing + Send + Sync + 'static,
) -> Result<Measured, BoxError> {
    let mut stage = Stage::new(ground, name, redis_url, &SHORT).await?;
    let tally = Arc::new(Tally::new(name, events));
    ground.sink.tell(vec![Arc::<Tally>::clone(&tally)]);
    ground.sink.behave(Vec::new());
    backlog::publish_batches((&stage.url, NonZeroU16::MIN), before + events, batch).await?;
    let processes = stage.start(1).await?;
    let measured = watch(&tally, &processes, 1.0).await?;
    stage.end(ground).await?;
    Ok(measured)
}

fn growth(costs: &[f64]) -> f64 {
    costs.last().zip(costs.first()).map_or(f64::NAN, |(last, first)| last / first)
}
