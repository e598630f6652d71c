//! The `dockbell-deliverer` binary: delivers batches to webhooks, on `RabbitMQ` and Redis.

use std::process::ExitCode;

use clap::Parser;
use dockbell_deliverer::service::Service;
use dockbell_process::command::{self, Failure};

/// Delivers batches of changes to the webhooks that are set on their repositories.
#[derive(Debug, Parser)]
#[command(name = "dockbell-deliverer", version)]
struct Cli {
    #[command(flatten)]
    service: command::Service,
}

fn main() -> ExitCode {
    command::main("dockbell-deliverer", run)
}

async fn run(Cli { service }: Cli) -> Result<(), Failure> {
    service.load(Vec::new(), Service::read)?.run().await
}
