//! How long an event takes at a steady rate, beside a way that has no windows, no policy and no store.

use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;

use super::{deliverer, producer};
use crate::arrivals::Summary;
use crate::backlog;
use crate::fleet::amqp_url;
use crate::plan::Plan;
use crate::report::tell;
use crate::trial::{Ground, Make};

/// Each has ten events per second, so that windows close by their quiet time and hold one.
const REPOSITORIES: usize = 100;
const FORMAT: &str = "dockerhub";
const WARM_UP: Duration = Duration::from_secs(3);

/// Ours, with one deliverer.
pub(crate) async fn ours(
    ground: &Ground<'_>,
    name: &str,
    (rate, length): (f64, Duration),
) -> Result<Summary, BoxError> {
    let make = Make { repositories: REPOSITORIES, format: FORMAT, deliverers: 1, variables: &[] };
    let crew = ground.crew_of(name, make).await?;
    let outcome = ground.play_on(&crew.host, (name, plan(rate, length)), (Vec::new(), &[]), |_| true).await?;
    ground.end(crew).await?;
    Ok(tell(name, &outcome, |_| true))
}

/// The way of the naked ones: consume, publish, acknowledge; consume, POST, acknowledge.
pub(crate) async fn naked(
    ground: &Ground<'_>,
    name: &str,
    (rate, length): (f64, Duration),
) -> Result<Summary, BoxError> {
    let host = ground.node.virtual_host().await;
    let url = amqp_url(ground.node, &host);
    backlog::declare(&url).await?;
    let (first, second) = (producer::start(&url, 1)?, deliverer::start(ground, &url)?);
    let outcome = ground.play_on(&host, (name, plan(rate, length)), (Vec::new(), &[]), |_| true).await?;
    first.kill().await?;
    second.kill().await?;
    ground.node.remove_virtual_host(&host).await;
    Ok(tell(name, &outcome, |_| true))
}

fn plan(rate: f64, length: Duration) -> Plan {
    Plan { rate, repositories: REPOSITORIES, warm_up: WARM_UP, length }
}
