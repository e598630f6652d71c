//! `dockbell-load`: measures a fleet on private servers, with trouble and without.

mod arrivals;
mod ceiling;
mod cost;
mod fleet;
mod flood;
mod isolation;
mod plan;
mod program;
mod ratio;
mod sink;
mod trial;

use std::path::PathBuf;
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
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// What webhooks that hang do to their neighbours
    Isolation(isolation::Isolation),
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
async fn play(Cli { scenario, logs }: Cli) -> Result<bool, BoxError> {
    dockbell_chassis::crypto::install_crypto_provider();
    let temporary = tempfile::tempdir()?;
    let folder = logs.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(folder)?;
    let (node, redis, sink) = (Node::start().await, RedisServer::start().await, Sink::start()?);
    let ground = Ground { node: &node, redis: &redis, sink: &sink, folder };
    match scenario {
        Scenario::Isolation(isolation) => isolation.run(&ground).await,
    }
}

/// Prints a line of results.
#[expect(clippy::print_stdout, reason = "what is measured is what this program is for")]
fn say(line: &str) {
    println!("{line}");
}
