//! The `dockbell-producer` binary: takes events in and publishes batches, on `RabbitMQ`.

use std::process::ExitCode;

use clap::Parser;
use dockbell_process::command::{self, Failure, flag};
use dockbell_producer::service::Service;

/// Takes the events of registries in, over HTTP and AMQP, and publishes batches of changes.
#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
#[derive(Debug, Parser)]
#[command(name = "dockbell-producer", version)]
struct Cli {
    #[command(flatten)]
    service: command::Service,
    /// The address of the intake [env: DOCKBELL_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

fn main() -> ExitCode {
    command::main("dockbell-producer", run)
}

async fn run(Cli { service, listen }: Cli) -> Result<(), Failure> {
    let own = flag("listen", "--listen", listen).into_iter().collect();
    service.load(own, Service::read)?.run().await
}
