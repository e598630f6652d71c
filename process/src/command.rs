//! From the command line to the exit code.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use dockbell_chassis::config::{ConfigErrors, EXIT_USAGE, Reader, Sources, process_environment};
use dockbell_chassis::crypto::install_crypto_provider;

/// Why a process ends with a code other than 0.
#[derive(Debug)]
pub enum Failure {
    /// What was typed or set is wrong.
    Usage(String),
    /// Something did not work.
    Failed(String),
}

impl Failure {
    /// What was typed or set is wrong, with all causes.
    pub fn usage(error: impl Error) -> Self {
        Self::Usage(chain(&error))
    }

    /// Something did not work, with all causes.
    pub fn failed(error: impl Error) -> Self {
        Self::Failed(chain(&error))
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not there or cannot be read.
    #[error("read the configuration file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Everything that is wrong.
    #[error("{0}")]
    Wrong(ConfigErrors),
}

/// What was typed: key, value, flag.
pub type Flags = Vec<(String, String, String)>;

/// The command line of a service, which does one thing.
#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
#[derive(Debug, clap::Args)]
pub struct Service {
    /// The configuration file (TOML) [env: DOCKBELL_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address of health and metrics [env: DOCKBELL_ADMIN_LISTEN] [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
}

impl Service {
    /// Reads the settings of the service. Flags of its own are added to the common ones.
    pub fn load<S>(self, own: Flags, read: impl FnOnce(&mut Reader) -> Option<S>) -> Result<S, Failure> {
        let common = flag("admin_listen", "--admin-listen", self.admin_listen);
        load(self.config, own.into_iter().chain(common).collect(), read).map_err(Failure::usage)
    }
}

/// A flag that may have been typed.
pub fn flag(key: &str, flag: &str, value: Option<String>) -> Option<(String, String, String)> {
    Some((key.to_owned(), value?, flag.to_owned()))
}

/// Reads all settings from flags, environment and file; `config` is the file that was named on the command line.
/// What `read` says is used only if nothing is wrong.
pub fn load<S>(
    config: Option<PathBuf>,
    flags: Flags,
    read: impl FnOnce(&mut Reader) -> Option<S>,
) -> Result<S, SettingsError> {
    let environment = process_environment();
    let named = environment.get("DOCKBELL_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let file = match config.or(named) {
        None => None,
        Some(path) => match std::fs::read_to_string(&path) {
            Ok(text) => Some((path, text)),
            Err(source) => return Err(SettingsError::File { path, source }),
        },
    };
    let mut reader = Reader::new(Sources { flags, environment, file });
    // Named where the file is named; no setting of the file itself.
    reader.text("config");
    let settings = read(&mut reader);
    reader.conclude(settings).map_err(SettingsError::Wrong)
}

/// Reads the command line, runs the process and says how it ended. What goes wrong is told as by `name`.
pub fn main<C: Parser, F: Future<Output = Result<(), Failure>>>(name: &str, run: impl FnOnce(C) -> F) -> ExitCode {
    let command = match C::try_parse() {
        Ok(command) => command,
        Err(error) => {
            // Printing fails only if nobody reads it.
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    install_crypto_provider();
    let ran = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let ran = runtime.block_on(run(command));
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
    writeln!(io::stderr(), "{name}: {message}").ok();
    code
}

/// An error with its causes, each once.
pub(crate) fn chain(error: &dyn Error) -> String {
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
