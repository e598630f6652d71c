//! The `dockbell` command: everything in one process, and the operator's command line.

mod client;
mod console;
mod dead;
mod deliveries;
mod demo;
mod folder;
mod listen;
mod present;
mod preview;
mod secrets;
mod settings;
mod tokens;
mod unrouted;
mod up;
mod webhooks;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use dockbell_backends::keyring::Keyring;
use dockbell_process::command::{self, Failure, Flags, flag, load};
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::secret::Secret;

use client::Client;
use settings::Settings;

/// Turns container-registry push events into reliable webhooks.
#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
#[derive(Debug, Parser)]
#[command(name = "dockbell", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The configuration file (TOML) [env: DOCKBELL_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder [env: DOCKBELL_DATA] [default: ./dockbell-data]
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<String>,
    /// Where the API of a running dockbell is [env: DOCKBELL_API_URL] [default: http:// and the address of --listen]
    #[arg(long, global = true, value_name = "URL")]
    api_url: Option<String>,
    /// Print the API's JSON instead of a table
    #[arg(long, global = true)]
    json: bool,
}

#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process: intake, producer, deliverer and API
    Up(Up),
    /// Run the API alone, on RabbitMQ and Redis
    Console(Listen),
    /// Manage webhooks
    #[command(subcommand)]
    Webhooks(Box<webhooks::Command>),
    /// Look at deliveries and send them again
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// Look at what was given up, and send it again or discard it
    #[command(subcommand)]
    Dead(dead::Command),
    /// Look at what others published to RabbitMQ and nothing was bound to take, and publish it again
    #[command(subcommand)]
    Unrouted(unrouted::Command),
    /// Make keys that seal the secrets of webhooks, and put them to use
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// Make tokens for the owners of repositories, and revoke them
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// List who changed what through the API, newest first
    Audit(deliveries::Page),
    /// Receive what webhooks send, show it, and say whether it verifies
    Listen(listen::Listen),
    /// Show what a webhook would be sent of an event (on standard input), without sending it
    Preview(preview::Preview),
    /// Check the configuration and say everything that is wrong with it
    CheckConfig,
}

#[derive(Debug, Args)]
struct Up {
    /// Show how it works: with a receiver of its own, sample webhooks, and a recorded push every few seconds
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    listen: Listen,
}

#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
#[derive(Debug, Args)]
struct Listen {
    /// The address of intake and API [env: DOCKBELL_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The address of health and metrics [env: DOCKBELL_ADMIN_LISTEN] [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
}

fn main() -> ExitCode {
    command::main("dockbell", run)
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let (flags, config) = (flags(&cli), cli.config.clone());
    let settings =
        || load(config.clone(), flags.clone(), |reader| Some(Settings::read(reader))).map_err(Failure::usage);
    match cli.command {
        Command::Console(_) => {
            let service = load(config, flags, console::Service::read).map_err(Failure::usage)?;
            service.run().await.map_err(Failure::failed)
        }
        Command::Up(Up { demo: true, .. }) if cli.data.is_some() => {
            Err(Failure::Usage("--demo keeps nothing: leave out --data".to_owned()))
        }
        Command::Up(Up { demo: true, listen: Listen { listen, admin_listen } }) => {
            demo::run(settings()?, (listen.is_some(), admin_listen.is_some())).await.map_err(Failure::failed)
        }
        Command::Up(_) => {
            up::House::set_up(settings()?).await.map_err(Failure::failed)?.run().await.map_err(Failure::failed)
        }
        Command::Preview(preview) => {
            preview.run(io::stdin().lock(), &mut io::stdout(), SystemClock.now()).map_err(Failure::failed)
        }
        Command::CheckConfig => {
            check(&settings()?)?;
            writeln!(io::stdout(), "the configuration is valid").map_err(Failure::failed)
        }
        Command::Secrets(secrets::Command::NewKey) => {
            secrets::print_new_key(&mut io::stdout()).map_err(Failure::failed)
        }
        Command::Secrets(secrets::Command::Reseal) => {
            secrets::reseal(&client(&settings()?)?, &mut io::stdout(), cli.json).await.map_err(Failure::failed)
        }
        Command::Tokens(tokens::Command::Hash) => {
            tokens::print_hash(io::stdin().lock(), &mut io::stdout()).map_err(Failure::failed)
        }
        Command::Tokens(command) => {
            let (client, now) = (client(&settings()?)?, SystemClock.now());
            command.run(&client, &mut io::stdout(), cli.json, now).await.map_err(Failure::failed)
        }
        Command::Audit(page) => {
            tokens::audit(&client(&settings()?)?, &page, &mut io::stdout(), cli.json).await.map_err(Failure::failed)
        }
        Command::Listen(listen) => listen.run(io::stdout()).await.map_err(Failure::failed),
        Command::Webhooks(command) => {
            command.run(&client(&settings()?)?, &mut io::stdout(), cli.json).await.map_err(Failure::failed)
        }
        Command::Deliveries(command) => {
            command.run(&client(&settings()?)?, &mut io::stdout(), cli.json).await.map_err(Failure::failed)
        }
        Command::Dead(command) => {
            command.run(&client(&settings()?)?, &mut io::stdout(), cli.json).await.map_err(Failure::failed)
        }
        Command::Unrouted(command) => {
            command.run(&client(&settings()?)?, &mut io::stdout(), cli.json).await.map_err(Failure::failed)
        }
    }
}

/// Whether the files that only `up` and `console` read can be used.
fn check(settings: &Settings) -> Result<(), Failure> {
    match &settings.key_file {
        Some(file) => Keyring::read(file).map(drop).map_err(Failure::usage),
        None => Ok(()),
    }
}

fn flags(cli: &Cli) -> Flags {
    let listen = match &cli.command {
        Command::Up(Up { listen, .. }) | Command::Console(listen) => Some(listen),
        _ => None,
    };
    let typed = [
        flag("listen", "--listen", listen.and_then(|listen| listen.listen.clone())),
        flag("admin_listen", "--admin-listen", listen.and_then(|listen| listen.admin_listen.clone())),
        flag("data", "--data", cli.data.clone()),
        flag("api_url", "--api-url", cli.api_url.clone()),
    ];
    typed.into_iter().flatten().collect()
}

/// A client of the API with the token that is set, or the one that the data folder keeps.
fn client(settings: &Settings) -> Result<Client, Failure> {
    let set = settings.api_token.as_ref().or_else(|| settings.admin_token.as_ref()?.token());
    let token: Secret = match set {
        Some(token) => token.clone(),
        None => match folder::kept(&settings.data, folder::ADMIN_TOKEN) {
            Ok(Some(token)) => token,
            found => return Err(Failure::Failed(no_token(settings, found.err()))),
        },
    };
    Client::new(&settings.api_url(), settings.api_roots.as_deref(), token).map_err(Failure::failed)
}

fn no_token(settings: &Settings, error: Option<io::Error>) -> String {
    let why = error.map(|error| format!(" ({error})")).unwrap_or_default();
    let folder = settings.data.display();
    format!(
        "no API token: neither DOCKBELL_API_TOKEN nor DOCKBELL_ADMIN_TOKEN is set and {folder} holds none{why}; set one, or name the data folder of the running dockbell with --data"
    )
}
