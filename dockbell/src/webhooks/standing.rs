//! How a webhook stands, and what it missed.

use std::io::Write;

use dockbell_chassis::config::parse_duration;
use dockbell_console::{Discarded, Period, Replayed, StandingChangeView, StandingView, WebhookView};
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::ids::WebhookId;
use jiff::Timestamp;
use reqwest::Method;

use crate::client::{CliError, Client};
use crate::present;

/// Commands about the standing of a webhook.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show how a webhook stands and what changed it, newest first
    Standing {
        /// The id of the webhook
        #[arg(value_parser = WebhookId::parse)]
        id: WebhookId,
    },
    /// Try a suspended webhook now
    Resume {
        /// The id of the webhook
        #[arg(value_parser = WebhookId::parse)]
        id: WebhookId,
    },
    /// Send what was skipped while a webhook was disabled, the newest change of each tag
    Replay(Replay),
    /// Give up what was skipped while a webhook was disabled
    DiscardSkipped {
        /// The id of the webhook
        #[arg(value_parser = WebhookId::parse)]
        id: WebhookId,
    },
}

/// What to replay.
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// The id of the webhook
    #[arg(value_parser = WebhookId::parse)]
    id: WebhookId,
    /// Only what was skipped from this time on: 2026-01-02T03:04:05Z, or so long ago: 2h
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only what was skipped before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

impl Command {
    /// Carries the command out.
    pub(super) async fn run(&self, client: &Client, output: &mut impl Write, json: bool) -> Result<(), CliError> {
        let nothing = None::<&()>;
        let answer = match self {
            Self::Standing { id } => client.get(&["webhooks", id.as_str(), "standing"], &[]).await?,
            Self::Resume { id } => client.send(Method::POST, &["webhooks", id.as_str(), "resume"], nothing).await?,
            Self::Replay(Replay { id, since, until }) => {
                let period = Period { since: *since, until: *until };
                client.send(Method::POST, &["webhooks", id.as_str(), "replay"], Some(&period)).await?
            }
            Self::DiscardSkipped { id } => {
                client.send(Method::POST, &["webhooks", id.as_str(), "discard-skipped"], nothing).await?
            }
        };
        match self {
            _ if json => Ok(present::json(output, &answer)?),
            Self::Standing { .. } => show_standing(output, client.read(&answer)?),
            Self::Resume { .. } => super::shown::one(output, &client.read(&answer)?),
            Self::Replay(_) => show_replayed(output, client.read(&answer)?),
            Self::DiscardSkipped { .. } => {
                let Discarded { discarded } = client.read(&answer)?;
                Ok(writeln!(output, "{discarded} skipped deliveries are given up")?)
            }
        }
    }
}

/// A time, or how long ago it was.
fn time(text: &str) -> Result<Timestamp, &'static str> {
    let ago = || SystemClock.now().checked_sub(parse_duration(text)?).ok();
    text.parse().ok().or_else(ago).ok_or("expected a time such as 2026-01-02T03:04:05Z, or how long ago it was: 2h")
}

/// How a webhook stands, in words.
pub(super) fn explained(webhook: &WebhookView) -> String {
    words(&webhook.standing, webhook.suspended_until, webhook.disabled_reason.as_deref())
}

fn words(standing: &str, suspended_until: Option<Timestamp>, disabled_reason: Option<&str>) -> String {
    match (suspended_until, disabled_reason) {
        (Some(until), _) => format!("{standing} until {}", present::time(until)),
        (None, Some(reason)) => format!("{standing}: {reason}"),
        (None, None) => standing.to_owned(),
    }
}

fn show_standing(output: &mut impl Write, standing: StandingView) -> Result<(), CliError> {
    let StandingView { standing, suspended_until, disabled_reason, changes } = standing;
    let words = words(&standing, suspended_until, disabled_reason.as_deref());
    present::fields(output, &[("standing", words)])?;
    show_changes(output, changes)
}

/// Shows what changed a standing, if anything did.
pub(super) fn show_changes(output: &mut impl Write, changes: Vec<StandingChangeView>) -> Result<(), CliError> {
    if changes.is_empty() {
        return Ok(());
    }
    writeln!(output)?;
    let rows = changes.into_iter().map(|change| [present::time(change.at), change.standing, change.reason]);
    Ok(present::table(output, ["AT", "BECAME", "BECAUSE"], rows.collect())?)
}

fn show_replayed(output: &mut impl Write, replayed: Replayed) -> Result<(), CliError> {
    let Replayed { replayed, overtaken, left_out, lost } = replayed;
    let fields = [
        ("replayed", replayed.to_string()),
        ("overtaken by later pushes", overtaken.to_string()),
        ("of other times", left_out.to_string()),
        ("no longer recorded", lost.to_string()),
    ];
    Ok(present::fields(output, &fields)?)
}
