//! `dockbell-load`: measures a fleet on private servers, with trouble and without.

mod arrivals;
mod backlog;
mod bench;
mod ceiling;
mod chart;
mod cost;
mod fleet;
mod flood;
mod goals;
mod hot;
mod instructions;
mod interrupt;
mod isolation;
mod naked;
mod parked;
mod plan;
mod program;
mod pushes;
mod ratio;
mod report;
mod run;
mod scenario;
mod schedule;
mod sink;
mod soak;
mod stamp;
mod tally;
mod transport;
mod trial;
mod troubles;
mod usage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dockbell_chassis::lifecycle::BoxError;
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::redis::RedisServer;

use self::interrupt::unless_interrupted;
use self::sink::Sink;
use self::trial::Ground;

/// Measures a fleet of Dockbell on a private RabbitMQ and Redis. Build the whole workspace in release mode first.
#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
#[derive(Debug, Parser)]
#[command(name = "dockbell-load")]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
    /// Where the logs of the processes go and stay [default: a folder that is removed]
    #[arg(long, global = true, value_name = "FOLDER")]
    logs: Option<PathBuf>,
    /// A setting of all processes, such as delivery.attempts=512; may be given several times
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// What each part makes of what the machine can do, beside what is promised
    Bench(bench::Bench),
    /// What a fleet makes of a scenario from a file, and whether everything arrived
    Run(run::Run),
    /// Pushes to a Dockbell that runs elsewhere
    Flood(flood::command::FloodCommand),
    /// Receives the webhooks of a Dockbell that runs elsewhere, counts and measures
    Sink(sink::command::SinkCommand),
    /// What webhooks that hang do to their neighbours
    Isolation(isolation::Isolation),
    /// What a webhook with very many waiting deliveries costs, and whether it gets them
    Parked(parked::Parked),
    /// Whether anything is lost while all kinds of faults come at random
    Soak(soak::Soak),
    /// What the way of a push and that of a batch cost in instructions and allocations; starts no fleet
    Instructions(instructions::Instructions),
    /// Works without what makes ours reliable, for ours to be measured against
    #[command(hide = true, subcommand)]
    Naked(naked::Naked),
    /// Goes these ways over and over, for whoever counts
    #[command(hide = true)]
    Hot(hot::Hot),
    /// How many attempts the way out makes, beside a client of a well-known library; starts no fleet
    Transport(transport::TransportCost),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut builder = match &cli.scenario {
        // The same instructions every time.
        Scenario::Hot(_) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(2).enable_all().build();
    let played = runtime.map_err(BoxError::from).and_then(|runtime| runtime.block_on(play(cli)));
    match played {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("dockbell-load failed: {error}");
            ExitCode::from(2)
        }
    }
}

/// Says whether what was measured is as promised.
async fn play(Cli { scenario, logs, variables }: Cli) -> Result<bool, BoxError> {
    dockbell_chassis::crypto::install_crypto_provider();
    let temporary = tempfile::tempdir()?;
    let folder = logs.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(folder)?;
    match scenario {
        Scenario::Bench(bench) => on_ground(folder, &variables, async |ground| bench.run(ground).await).await,
        Scenario::Run(run) => run.run(folder, &variables).await,
        Scenario::Flood(flood) => flood.run().await,
        Scenario::Sink(sink) => sink.run().await,
        Scenario::Naked(naked) => naked.run().await.map(|()| true),
        Scenario::Isolation(isolation) => {
            on_ground(folder, &variables, async |ground| isolation.run(ground).await).await
        }
        Scenario::Parked(parked) => on_ground(folder, &variables, async |ground| parked.run(ground).await).await,
        Scenario::Soak(soak) => unless_interrupted(soak.run(folder, &variables)).await,
        Scenario::Instructions(instructions) => instructions.run(folder).await,
        Scenario::Hot(hot) => hot.run(folder).await.map(|()| true),
        Scenario::Transport(cost) => cost.run().await,
    }
}

/// Measures on servers and receivers that are made for it.
async fn on_ground(
    folder: &Path,
    variables: &[(String, String)],
    measure: impl AsyncFnOnce(&Ground<'_>) -> Result<bool, BoxError>,
) -> Result<bool, BoxError> {
    unless_interrupted(async {
        let (node, redis, sink) = (Node::start().await, RedisServer::start().await, Sink::start()?);
        // A rewrite of its log takes a core for a second or more, in whichever run it falls.
        redis.run(&["CONFIG", "SET", "auto-aof-rewrite-min-size", "8gb"]).await;
        measure(&Ground { node: &node, redis: &redis, sink: &sink, folder, variables }).await
    })
    .await
}

/// The variable of a setting.
fn variable(setting: &str) -> Result<(String, String), String> {
    let (key, value) = setting.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((format!("DOCKBELL_{}", key.to_uppercase().replace('.', "_")), value.to_owned()))
}
