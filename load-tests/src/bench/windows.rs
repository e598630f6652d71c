//! What a producer has in memory for each window that is open.

use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;

use super::kernel::resident;
use super::results::{Results, mib};
use crate::backlog;
use crate::fleet::{Fleet, amqp_url};
use crate::goals::Goal;
use crate::program::until;
use crate::trial::Ground;

/// As many as one producer opens: it holds up to 65,535 events of the broker unsettled, and closes the oldest windows at four fifths of
/// that.
const WINDOWS: usize = 52_000;
const VARIABLES: [(&str, &str); 3] =
    [("DOCKBELL_WINDOW_QUIET", "1m"), ("DOCKBELL_WINDOW_MAX_WAIT", "5m"), ("DOCKBELL_WINDOW_PREFETCH", "65535")];
/// What a producer may have besides.
const BASE: f64 = 32.0;
const PATIENCE: Duration = Duration::from_secs(50);
const OPEN: &str = "dockbell_windows_open";

/// Opens them, and looks before and after.
pub(crate) async fn measure(ground: &Ground<'_>, results: &mut Results) -> Result<(), BoxError> {
    let name = results.begin("windows");
    let host = ground.node.virtual_host().await;
    let url = amqp_url(ground.node, &host);
    let folder = ground.folder.join(&name);
    std::fs::create_dir_all(&folder)?;
    let mut fleet = Fleet::new(&url, &ground.redis.url(), &folder)?;
    fleet.set(VARIABLES);
    fleet.set(ground.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let producer = fleet.producer().await?;
    fleet.until_ready(&producer).await?;
    let process = producer.id().ok_or("the producer has ended")?;
    let before = resident(process)?;
    backlog::publish_events(&url, (WINDOWS, 1), (WINDOWS, &name)).await?;
    let are_open = || async {
        let metrics = fleet.admin(&producer, "/metrics").await.ok()?;
        let open = metrics.lines().filter(|line| line.starts_with(OPEN)).find_map(|line| line.rsplit(' ').next());
        (open?.parse::<f64>().ok()? >= windows()).then_some(())
    };
    until("all windows to be open", PATIENCE, are_open).await?;
    let after = resident(process)?;
    producer.kill().await?;
    ground.node.remove_virtual_host(&host).await;
    let each = |kib: f64| (kib / windows(), "KiB");
    results.tell(&format!("{name}: {:.1} MiB with none, {:.1} MiB with {WINDOWS} windows", mib(before), mib(after)));
    results.add("producer: memory without a window", (mib(before), "MiB"), Goal::None);
    results.add(
        &format!("producer: memory per window, of {WINDOWS}"),
        each((mib(after) - mib(before)) * 1024.0),
        Goal::None,
    );
    results.add("producer: memory per window beyond 32 MiB", each((mib(after) - BASE) * 1024.0), Goal::AtMost(1.0));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a float counts far more windows exactly")]
fn windows() -> f64 {
    WINDOWS as f64
}
