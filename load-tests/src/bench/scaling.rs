//! What more deliverers make of the same work, and what more shards do.

use std::num::NonZeroU16;
use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;

use super::deliverer::{Load, Start, ours};
use super::results::{Results, bytes};
use crate::goals::Goal;
use crate::sink::Behaviour;
use crate::trial::Ground;

/// What the receivers take.
const SLOW: Duration = Duration::from_millis(100);
/// What a deliverer may have under way, so that it is bound by its receivers and not by this machine, and how many messages it
/// may hold: few, or whoever comes first takes what is meant for the others, who then have nothing to do at the end.
const FEW: [(&str, &str); 2] = [("DOCKBELL_DELIVERY_ATTEMPTS", "16"), ("DOCKBELL_DELIVERY_PREFETCH", "32")];
/// For one deliverer: as long as ten seconds.
const EVENTS: usize = 1_600;
/// Shards whose gain is measured.
const SHARDS: u16 = 4;

/// Measures one and four deliverers whose receivers are slow, and four on one shard and on four.
pub(crate) async fn measure(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    let mut rates = Vec::new();
    for (kind, deliverers) in [("one-of-16", 1), ("four-of-16", 4)] {
        let name = results.begin(kind);
        let load = Load {
            deliverers,
            start: Start::Before,
            behaviours: vec![Behaviour::Late(SLOW); super::deliverer::REPOSITORIES],
            variables: &FEW,
            ..Load::plain(deliverers * EVENTS)
        };
        let measured = ours(ground, &name, &load).await?;
        results.draw(kind, &name, &measured);
        rates.push(measured.rate);
        if deliverers == 1 {
            let held = bytes(measured.servers.held);
            results.add("memory of Redis per delivery, all of them in the history", (held, "B"), Goal::None);
        }
    }
    results.add("4 deliverers to 1, receivers that take 100 ms", (gain(&rates), "×"), Goal::AtLeast(3.8));
    rates.clear();
    for shards in [1, SHARDS] {
        let kind = format!("four-on-{shards}-shards");
        let name = results.begin(&kind);
        let shards = NonZeroU16::new(shards).unwrap_or(NonZeroU16::MIN);
        let load = Load { deliverers: 4, shards, ..Load::plain(results.events("four-on-1-shards", 25_000)) };
        let measured = ours(ground, &name, &load).await?;
        results.draw(&kind, &name, &measured);
        rates.push(measured.rate);
    }
    results.add("4 shards to 1, at 4 deliverers", (gain(&rates), "×"), Goal::None);
    Ok(())
}

fn gain(rates: &[f64]) -> f64 {
    rates.last().zip(rates.first()).map_or(f64::NAN, |(last, first)| last / first)
}
