//! `dockbell unrouted`: what others published and nothing was bound to take.

use std::io::Write;

use dockbell_console::{PageView, StrayView, StraysReplayed};
use reqwest::Method;

use crate::client::{CliError, Client};
use crate::present;

/// The most characters of a body that a table shows.
const BODY_SHOWN: usize = 120;
/// How many are replayed with one call.
const AT_ONCE: u32 = 100;

/// Look at strays, or publish them again.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the first strays; they stay where they are
    List {
        /// How many entries, at most 100
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
    },
    /// Publish strays to where what others publish goes, the first ones first
    Replay {
        /// How many at most; all, if left out
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
}

impl Command {
    /// Carries the command out.
    pub(crate) async fn run(self, client: &Client, output: &mut impl Write, json: bool) -> Result<(), CliError> {
        match self {
            Self::List { limit } => list(client, limit, output, json).await,
            Self::Replay { limit } => replay(client, limit, output, json).await,
        }
    }
}

async fn list(client: &Client, limit: u32, output: &mut impl Write, json: bool) -> Result<(), CliError> {
    let answer = client.get(&["unrouted"], &[("limit", Some(limit.to_string()))]).await?;
    if json {
        return Ok(present::json(output, &answer)?);
    }
    let page: PageView<StrayView> = client.read(&answer)?;
    let row = |stray: StrayView| [stray.key, stray.message, stray.body.chars().take(BODY_SHOWN).collect()];
    let rows = page.items.into_iter().map(row).collect();
    Ok(present::table(output, ["ROUTING KEY", "MESSAGE", "BODY"], rows)?)
}

/// Ends when there are none left, or as many as asked for were replayed.
async fn replay(client: &Client, limit: Option<u32>, output: &mut impl Write, json: bool) -> Result<(), CliError> {
    let mut all = StraysReplayed { replayed: 0 };
    loop {
        let rest = limit.map_or(AT_ONCE, |limit| limit.saturating_sub(all.replayed).min(AT_ONCE));
        if rest == 0 {
            break;
        }
        let answer = client.ask(Method::POST, &["unrouted", "replay"], &[("limit", Some(rest.to_string()))]).await?;
        let StraysReplayed { replayed } = client.read(&answer)?;
        all.replayed = all.replayed.saturating_add(replayed);
        if replayed < rest {
            break;
        }
    }
    if json {
        return Ok(present::json(output, &serde_json::json!(all))?);
    }
    Ok(writeln!(output, "strays on their way: {}", all.replayed)?)
}
