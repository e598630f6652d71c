//! What it takes to look up the webhooks of a repository in a store that holds very many.

use std::time::Duration;

use dockbell_backends::Store as _;
use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::pattern::Pattern;
use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use super::many::Many;
use super::results::{Results, ms};
use crate::goals::Goal;

const LOOKUPS: usize = 10_000;
/// The same repositories in every run.
const SEED: u64 = 1;

/// Looks up repositories at random, one after the other.
pub(crate) async fn measure(many: &Many, results: &mut Results) -> Result<(), BoxError> {
    results.tell(&format!("{LOOKUPS} look-ups …"));
    let (mut rng, mut took) = (StdRng::seed_from_u64(SEED), Histogram::<u64>::new(3)?);
    for _ in 0..LOOKUPS {
        let pattern = Pattern::parse(&many.measured(rng.random_range(0..LOOKUPS)))?;
        let began = Instant::now();
        let found = many.store.webhooks_on(&pattern).await?;
        took.record(u64::try_from(began.elapsed().as_nanos())?)?;
        if found.len() != 1 {
            return Err(format!("{} webhooks on {pattern}, and not 1", found.len()).into());
        }
    }
    let at = |quantile| ms(Duration::from_nanos(took.value_at_quantile(quantile)));
    let of = format!("look-up of 1 of {} webhooks", many.webhooks);
    results.add(&format!("{of}: median"), (at(0.5), "ms"), Goal::None);
    results.add(&format!("{of}: p99"), (at(0.99), "ms"), Goal::AtMost(1.0));
    Ok(())
}
