//! The one process on its data folder, beside a store that only writes the same rows.

use std::sync::Arc;

use dockbell_chassis::lifecycle::BoxError;
use dockbell_testkit::sample;
use serde_json::json;
use tokio::task::JoinSet;

use super::conditions::Side;
use super::results::Results;
use super::rows;
use super::run::{Measured, watch};
use crate::fleet::Fleet;
use crate::goals::Goal;
use crate::tally::Tally;
use crate::trial::Ground;
use crate::{backlog, flood, sink};

/// Each has one webhook.
pub(crate) const REPOSITORIES: usize = 100;
/// Reporters, each of which waits for the answer to one event before it reports the next.
const REPORTERS: usize = 256;
/// A window closes with its first event: one that held several would make one batch and one record of them, and so fewer rows
/// than are written for each event.
const ALONE: [(&str, &str); 1] = [("DOCKBELL_WINDOW_MAX_EVENTS", "1")];
/// Pairs of runs in a pass.
const PAIRS: usize = 2;

/// Measures pairs in turn.
pub(crate) async fn measure(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    results.describe(sides());
    for _ in 0..PAIRS {
        let (name, events) = (results.begin("rows"), results.events("embedded", 10_000));
        let alone = rows::write(&ground.folder.join(&name), &name, events).await?;
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let each = alone.stats.writes as f64 / alone.stats.commits.max(1) as f64;
        results.tell(&format!("{name}: {:.0}/s, {each:.0} writes of a commit", alone.rate));
        let name = results.begin("embedded");
        let ours = ours(ground, &name, results.events("embedded", 10_000)).await?;
        results.draw("embedded", &name, &ours);
        results.add("rows of the embedded store alone", (alone.rate, "/s"), Goal::None);
        results.add("embedded, the whole way", (ours.rate, "/s"), Goal::None);
        results.add("embedded: to its rows alone", (ours.rate / alone.rate, "×"), Goal::AtLeast(0.5));
    }
    Ok(())
}

/// Ours: reported over HTTP, delivered to receivers. Events per second.
async fn ours(ground: &Ground<'_>, name: &str, events: usize) -> Result<Measured, BoxError> {
    let folder = ground.folder.join(name);
    std::fs::create_dir_all(&folder)?;
    let mut fleet = Fleet::new("", "", &folder)?;
    fleet.set(ALONE);
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

fn sides() -> [Side; 2] {
    let rows = Side {
        name: "rows alone",
        prefetch: "65535".to_owned(),
        body_bytes: backlog::event(&sink::tag(1_000, "rows-1"), &flood::name(10)).body.len(),
        broker: "no broker: one SQLite file, whose commits are written to the disk",
        at_once: "256 writers with 3 writes each, beside those that acknowledge".to_owned(),
        acks: "a row removed for each message",
        transport: "within one process",
    };
    let ours = Side {
        name: "embedded",
        prefetch: "20000 events, 2048 deliveries".to_owned(),
        at_once: format!(
            "{REPORTERS} reports at once, windows of one event, up to 1,024 POSTs at once to {REPOSITORIES} hosts"
        ),
        transport: "plain HTTP to it and from it",
        ..rows.clone()
    };
    [rows, ours]
}
