//! `dockbell-load`: measures a fleet on private servers, with trouble and without.

mod arrivals;
mod backlog;
mod ceiling;
mod cost;
mod fleet;
mod flood;
mod isolation;
mod parked;
mod plan;
mod program;
mod ratio;
mod report;
mod sink;
mod soak;
mod transport;
mod trial;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dockbell_chassis::lifecycle::BoxError;
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::redis::RedisServer;

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
    /// What webhooks that hang do to their neighbours
    Isolation(isolation::Isolation),
    /// What a webhook with very many waiting deliveries costs, and whether it gets them
    Parked(parked::Parked),
    /// Whether anything is lost while all kinds of faults come at random
    Soak(soak::Soak),
    /// How many attempts the way out makes, beside a client of a well-known library; starts no fleet
    Transport(transport::TransportCost),
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let played = runtime.map_err(BoxError::from).and_then(|runtime| runtime.block_on(play(Cli::parse())));
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
        Scenario::Isolation(isolation) => {
            on_ground(folder, &variables, async |ground| isolation.run(ground).await).await
        }
        Scenario::Parked(parked) => on_ground(folder, &variables, async |ground| parked.run(ground).await).await,
        Scenario::Soak(soak) => soak.run(folder, &variables).await,
        Scenario::Transport(cost) => cost.run().await,
    }
}

/// Measures on servers and receivers that are made for it.
async fn on_ground(
    folder: &Path,
    variables: &[(String, String)],
    measure: impl AsyncFnOnce(&Ground<'_>) -> Result<bool, BoxError>,
) -> Result<bool, BoxError> {
    let (node, redis, sink) = (Node::start().await, RedisServer::start().await, Sink::start()?);
    // A rewrite of its log takes a core for a second or more, in whichever run it falls.
    redis.run(&["CONFIG", "SET", "auto-aof-rewrite-min-size", "8gb"]).await;
    measure(&Ground { node: &node, redis: &redis, sink: &sink, folder, variables }).await
}

/// The variable of a setting.
fn variable(setting: &str) -> Result<(String, String), String> {
    let (key, value) = setting.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((format!("DOCKBELL_{}", key.to_uppercase().replace('.', "_")), value.to_owned()))
}
