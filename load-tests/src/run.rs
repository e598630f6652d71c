//! Runs a scenario from a file: load, then verification, then a report.

mod gauge;
mod page;
mod play;
mod servers;
mod stage;
mod summary;
mod verify;
mod witness;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use dockbell_chassis::lifecycle::BoxError;
use tokio::time::timeout;

use self::servers::Given;
use self::stage::Stage;
use self::summary::Summary;
use crate::interrupt::unless_interrupted;
use crate::report::say;
use crate::scenario::Scenario;
use crate::sink::Sink;

/// How long it may take to remove what was made.
const CLEARING: Duration = Duration::from_mins(1);

/// What to run, and what of it is otherwise than its file says.
#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
#[derive(Debug, Clone, Args)]
pub(crate) struct Run {
    /// The scenario, such as load-tests/scenarios/steady.toml
    #[arg(value_name = "FILE")]
    scenario: PathBuf,
    #[command(flatten)]
    servers: Given,
    /// Pushes per second, in place of load.rate
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds that are measured, in place of load.seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// Seconds before that, in place of load.warm_up
    #[arg(long)]
    warm_up: Option<u64>,
    /// In place of repositories.count
    #[arg(long)]
    repositories: Option<usize>,
    /// In place of fleet.deliverers
    #[arg(long)]
    deliverers: Option<usize>,
    /// Where report.json and report.html go [default: target/load/NAME]
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
}

impl Run {
    /// Runs, reports, and says whether everything arrived as it must.
    pub(crate) async fn run(self, folder: &Path, variables: &[(String, String)]) -> Result<bool, BoxError> {
        let scenario = Scenario::read(&self.scenario, |scenario| self.change(scenario))?;
        let name = self.scenario.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let report = self.report.clone().unwrap_or_else(|| Path::new("target/load").join(&name));
        let summary = on_servers(self.servers, &scenario, (folder, variables)).await?;
        say(&format!("\n{name}: {}", page::table(&summary).trim_end()));
        std::fs::create_dir_all(&report)?;
        std::fs::write(report.join("report.json"), serde_json::to_string_pretty(&summary)?)?;
        std::fs::write(report.join("report.html"), page::page(&name, &summary))?;
        say(&format!("\nreport: {}", report.join("report.html").display()));
        Ok(summary.verified.is_right())
    }

    fn change(&self, scenario: &mut Scenario) {
        let load = &mut scenario.load;
        load.rate = self.rate.unwrap_or(load.rate);
        load.seconds = self.seconds.unwrap_or(load.seconds);
        load.warm_up = self.warm_up.unwrap_or(load.warm_up);
        scenario.repositories.count = self.repositories.unwrap_or(scenario.repositories.count);
        scenario.fleet.deliverers = self.deliverers.unwrap_or(scenario.fleet.deliverers);
    }
}

async fn on_servers(
    given: Given,
    scenario: &Scenario,
    (folder, variables): (&Path, &[(String, String)]),
) -> Result<Summary, BoxError> {
    let (servers, sink) = (unless_interrupted(given.open()).await?, Sink::start()?);
    let variables = scenario.variables().chain(variables.iter().cloned());
    let stage = unless_interrupted(Stage::open(&servers, folder, variables)).await?;
    let played = unless_interrupted(async {
        let crew = stage.crew(scenario, &sink).await?;
        let summary = play::play(scenario, (&stage, &crew), (&servers, &sink)).await;
        crew.end().await?;
        summary
    });
    let played = played.await;
    // What was made for an operator's servers is removed, also if something failed.
    if !servers.are_private() {
        let cleared = timeout(CLEARING, stage.clear()).await;
        if let Err(error) = cleared.unwrap_or_else(|_| Err("it takes too long".into())) {
            say(&format!("the webhooks load/app-… could not be removed: {error}"));
        }
    }
    stage.end().await?;
    played
}
