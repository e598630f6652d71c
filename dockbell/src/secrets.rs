//! `dockbell secrets`: the keys that seal the secrets of webhooks.

use std::io::Write;

use dockbell_backends::keyring::new_key;
use dockbell_console::Resealed;
use reqwest::Method;

use crate::client::{CliError, Client};
use crate::present;

/// How many webhooks are sealed with one call.
const AT_ONCE: u32 = 100;

/// Make a key, or seal all secrets under the current one.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print a new key, a line for the file of keys
    NewKey,
    /// Seal the secrets of all webhooks under the first key of the file
    Reseal,
}

/// Prints a new key. It needs no settings, and nothing keeps it.
pub(crate) fn print_new_key(output: &mut impl Write) -> Result<(), CliError> {
    Ok(writeln!(output, "{}", new_key())?)
}

/// Ends when every webhook was looked at.
pub(crate) async fn reseal(client: &Client, output: &mut impl Write, json: bool) -> Result<(), CliError> {
    let mut all = Resealed { resealed: 0, next: None };
    loop {
        let query = [("limit", Some(AT_ONCE.to_string())), ("after", all.next.take())];
        let answer = client.ask(Method::POST, &["secrets", "reseal"], &query).await?;
        let Resealed { resealed, next } = client.read(&answer)?;
        all = Resealed { resealed: all.resealed.saturating_add(resealed), next };
        if all.next.is_none() {
            break;
        }
    }
    if json {
        return Ok(present::json(output, &serde_json::json!(all))?);
    }
    Ok(writeln!(output, "webhooks whose secrets were sealed: {}", all.resealed)?)
}
