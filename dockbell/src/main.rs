//! The `dockbell` command: everything in one process, and the operator's command line.

mod client;
mod deliveries;
mod demo;
mod present;
mod settings;
mod tokens;
mod up;
mod watch;
mod webhooks;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use dockbell_chassis::config::{EXIT_USAGE, process_environment};
use dockbell_chassis::crypto::install_crypto_provider;
use dockbell_proto::secret::Secret;

use client::{CliError, Client};
use settings::{Flags, Settings, SettingsError};

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

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process: intake, producer, deliverer and API
    Up(Up),
    /// Manage webhooks
    #[command(subcommand)]
    Webhooks(webhooks::Command),
    /// Look at deliveries and send them again
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// Check the configuration and say everything that is wrong with it
    CheckConfig,
}

#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
#[derive(Debug, Args)]
struct Up {
    /// Show how it works: with a receiver of its own, sample webhooks, and a recorded push every few seconds
    #[arg(long)]
    demo: bool,
    /// The address of intake and API [env: DOCKBELL_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The address of health and metrics [env: DOCKBELL_ADMIN_LISTEN] [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
}

/// Why the process ends with a code other than 0.
enum Failure {
    /// What was typed or set is wrong.
    Usage(String),
    /// Something did not work.
    Failed(String),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Printing fails only if nobody reads it.
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    install_crypto_provider();
    let ran = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let ran = runtime.block_on(run(cli));
            // A look-up of a name cannot be called off; the process does not wait for it.
            runtime.shutdown_timeout(Duration::from_secs(1));
            ran
        }
        Err(error) => Err(Failure::Failed(format!("start the runtime: {error}"))),
    };
    let (message, code) = match ran {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => (message, ExitCode::from(EXIT_USAGE)),
        Err(Failure::Failed(message)) => (message, ExitCode::FAILURE),
    };
    // If nobody reads the reason, the exit code still tells.
    writeln!(io::stderr(), "dockbell: {message}").ok();
    code
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let settings =
        Settings::load(cli.config.clone(), flags(&cli), process_environment()).map_err(|error| usage(&error))?;
    match cli.command {
        Command::Up(Up { demo: true, .. }) if cli.data.is_some() => {
            Err(Failure::Usage("--demo keeps nothing: leave out --data".to_owned()))
        }
        Command::Up(Up { demo: true, listen, admin_listen }) => {
            demo::run(settings, (listen.is_some(), admin_listen.is_some())).await.map_err(failed)
        }
        Command::Up(_) => up::House::set_up(settings).await.map_err(failed)?.run().await.map_err(failed),
        Command::CheckConfig => writeln!(io::stdout(), "the configuration is valid").map_err(failed),
        Command::Webhooks(command) => {
            command.run(&client(&settings)?, &mut io::stdout(), cli.json).await.map_err(failed)
        }
        Command::Deliveries(command) => {
            command.run(&client(&settings)?, &mut io::stdout(), cli.json).await.map_err(failed)
        }
    }
}

fn flags(cli: &Cli) -> Flags {
    let up = match &cli.command {
        Command::Up(up) => {
            [("listen", "--listen", up.listen.clone()), ("admin_listen", "--admin-listen", up.admin_listen.clone())]
        }
        _ => [("listen", "", None), ("admin_listen", "", None)],
    };
    let global = [("data", "--data", cli.data.clone()), ("api_url", "--api-url", cli.api_url.clone())];
    let given = up.into_iter().chain(global).filter_map(|(key, flag, value)| Some((key, flag, value?)));
    given.map(|(key, flag, value)| (key.to_owned(), value, flag.to_owned())).collect()
}

/// A client of the API with the token that is set, or the one that the data folder keeps.
fn client(settings: &Settings) -> Result<Client, Failure> {
    let token: Secret = match &settings.admin_token {
        Some(token) => token.clone(),
        None => match tokens::kept(&settings.data, tokens::ADMIN_TOKEN) {
            Ok(Some(token)) => token,
            found => return Err(Failure::Failed(no_token(settings, found.err()))),
        },
    };
    Client::new(&settings.api_url(), token).map_err(|error: CliError| failed(error))
}

fn no_token(settings: &Settings, error: Option<io::Error>) -> String {
    let why = error.map(|error| format!(" ({error})")).unwrap_or_default();
    let folder = settings.data.display();
    format!(
        "no API token: DOCKBELL_ADMIN_TOKEN is not set and {folder} holds none{why}; set it, or name the data folder of the running dockbell with --data"
    )
}

fn usage(error: &SettingsError) -> Failure {
    Failure::Usage(chain(error))
}

fn failed(error: impl Error) -> Failure {
    Failure::Failed(chain(&error))
}

/// An error with its causes, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}
