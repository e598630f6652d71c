//! `dockbell deliveries`: what was sent, and sending it again.

use std::io::Write;

use clap::builder::PossibleValuesParser;
use dockbell_console::{AttemptView, CallbackView, DeliveryView, PageView, RedeliveryAsked};
use dockbell_proto::ids::{DeliveryId, WebhookId};
use dockbell_proto::outcome::DeliveryState;
use reqwest::Method;
use serde_json::Value;

use crate::client::{CliError, Client};
use crate::present;

/// The most characters of an excerpt that a table shows.
const EXCERPT_SHOWN: usize = 80;

/// Look at deliveries, or have them sent again.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List deliveries, newest first
    List(List),
    /// Show a delivery with its attempts
    Show {
        /// The id of the delivery
        #[arg(value_parser = DeliveryId::parse)]
        id: DeliveryId,
    },
    /// Send a recorded delivery again
    Redeliver {
        /// The id of the delivery
        #[arg(value_parser = DeliveryId::parse)]
        id: DeliveryId,
    },
}

/// Which deliveries.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only deliveries to this webhook
    #[arg(long, value_name = "ID", value_parser = WebhookId::parse)]
    webhook: Option<WebhookId>,
    /// Only deliveries in this state
    #[arg(long, value_parser = PossibleValuesParser::new(DeliveryState::NAMES))]
    state: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// Which part of a list.
#[derive(Debug, clap::Args)]
pub(crate) struct Page {
    /// How many entries, at most 100
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) limit: u32,
    /// Where to go on: what the list before ended with
    #[arg(long)]
    pub(crate) after: Option<String>,
}

impl Command {
    /// Carries the command out.
    pub(crate) async fn run(self, client: &Client, output: &mut impl Write, json: bool) -> Result<(), CliError> {
        let answer = match &self {
            Self::List(list) => list.ask(client).await?,
            Self::Show { id } => read(client, id).await?,
            Self::Redeliver { id } => {
                client.send(Method::POST, &["deliveries", id.as_str(), "redeliver"], None::<&()>).await?
            }
        };
        if json {
            return Ok(present::json(output, &answer)?);
        }
        match self {
            Self::List(_) => show_list(output, client.read(&answer)?),
            Self::Show { .. } => show(output, &client.read(&answer)?),
            Self::Redeliver { .. } => {
                let RedeliveryAsked { id, request } = client.read(&answer)?;
                Ok(writeln!(output, "{id} is on its way again, as request {request}")?)
            }
        }
    }
}

impl List {
    async fn ask(&self, client: &Client) -> Result<Value, CliError> {
        let query = [
            ("webhook", self.webhook.as_ref().map(ToString::to_string)),
            ("state", self.state.clone()),
            ("limit", Some(self.page.limit.to_string())),
            ("after", self.page.after.clone()),
        ];
        client.get(&["deliveries"], &query).await
    }
}

/// The delivery as the API shows it.
pub(crate) async fn read(client: &Client, id: &DeliveryId) -> Result<Value, CliError> {
    client.get(&["deliveries", id.as_str()], &[]).await
}

fn show_list(output: &mut impl Write, page: PageView<DeliveryView>) -> Result<(), CliError> {
    let rows = page.items.into_iter().map(|delivery| {
        let tags: Vec<&str> = delivery.changes.iter().map(|change| change.tag.as_str()).collect();
        let tags = tags.join(",");
        let last_at = present::time(delivery.last_at);
        let repository = format!("{}/{}", delivery.registry, delivery.repository);
        [delivery.id, delivery.state, repository, tags, last_at, delivery.webhook]
    });
    present::table(output, ["ID", "STATE", "REPOSITORY", "TAGS", "LAST ATTEMPT", "WEBHOOK"], rows.collect())?;
    Ok(show_next(output, page.next)?)
}

/// Says how to go on, if there is more.
pub(crate) fn show_next(output: &mut impl Write, next: Option<String>) -> std::io::Result<()> {
    next.map_or(Ok(()), |next| writeln!(output, "There is more: go on with --after '{next}'"))
}

/// Writes a delivery and its attempts.
pub(crate) fn show(output: &mut impl Write, delivery: &DeliveryView) -> Result<(), CliError> {
    let tags: Vec<&str> = delivery.changes.iter().map(|change| change.tag.as_str()).collect();
    let fields = [
        ("id", delivery.id.clone()),
        ("webhook", delivery.webhook.clone()),
        ("state", delivery.state.clone()),
        ("repository", format!("{}/{}", delivery.registry, delivery.repository)),
        ("tags", tags.join(",")),
        ("first attempt", present::time(delivery.first_at)),
        ("last attempt", present::time(delivery.last_at)),
        ("next attempt", present::or_nothing(delivery.next_at.map(present::time))),
        ("parked because", present::or_nothing(delivery.parked_because.as_ref())),
        ("test", if delivery.is_test { "yes" } else { "no" }.to_owned()),
    ];
    present::fields(output, &fields)?;
    writeln!(output)?;
    let heads = ["REQUEST", "ORDINAL", "AT", "TOOK", "OUTCOME", "VERDICT", "ANSWER"];
    let rows = delivery.attempts.iter().map(|attempt| {
        let excerpt = attempt.excerpt.as_deref().unwrap_or_default();
        [
            attempt.request.to_string(),
            attempt.ordinal.to_string(),
            present::time(attempt.at),
            format!("{} ms", attempt.took_ms),
            outcome(attempt),
            verdict(attempt),
            beginning(excerpt),
        ]
    });
    present::table(output, heads, rows.collect())?;
    show_callbacks(output, &delivery.callbacks)
}

/// As much of an excerpt as fits a line.
pub(crate) fn beginning(excerpt: &str) -> String {
    excerpt.chars().take(EXCERPT_SHOWN).collect()
}

/// What the receiver reported, if it did.
fn show_callbacks(output: &mut impl Write, callbacks: &[CallbackView]) -> Result<(), CliError> {
    if callbacks.is_empty() {
        return Ok(());
    }
    writeln!(output)?;
    let rows = callbacks.iter().map(|callback| {
        let texts = [&callback.description, &callback.context, &callback.target_url];
        let [description, context, target_url] = texts.map(|text| text.clone().unwrap_or_default());
        let (request, at) = (callback.request.to_string(), present::time(callback.at));
        [request, at, callback.state.clone(), description, context, target_url]
    });
    let heads = ["REQUEST", "REPORTED AT", "STATE", "DESCRIPTION", "CONTEXT", "TARGET URL"];
    Ok(present::table(output, heads, rows.collect())?)
}

/// What happened to an attempt, such as `refused (HTTP 500)`.
pub(crate) fn outcome(attempt: &AttemptView) -> String {
    let outcome = attempt.outcome.replace('_', " ");
    match (attempt.status, &attempt.reason) {
        (Some(status), _) => format!("{outcome} (HTTP {status})"),
        (None, Some(reason)) => format!("{outcome} ({reason})"),
        (None, None) => outcome,
    }
}

/// What followed from it, such as `dead (…)`.
pub(crate) fn verdict(attempt: &AttemptView) -> String {
    match (attempt.retry_at, &attempt.verdict_reason) {
        (Some(at), _) => format!("{} at {}", attempt.verdict, present::time(at)),
        (None, Some(reason)) => format!("{} ({reason})", attempt.verdict),
        (None, None) => attempt.verdict.clone(),
    }
}
