//! `dockbell dead`: what was given up, and sending it again or discarding it.

mod shown;
#[cfg(test)]
mod tests;

use std::io::Write;

use clap::builder::PossibleValuesParser;
use dockbell_console::{DeadLetterView, LettersDecided, PageView, RevivalAsked};
use dockbell_proto::ids::{DeliveryId, WebhookId};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value;

use crate::client::{CliError, Client};
use crate::deliveries::Page;
use crate::present;

/// Look at dead letters, send them again, or discard them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List dead letters, oldest first
    List(List),
    /// Show a dead letter with its body and the last answer
    Show {
        /// Its position, or the id of the delivery
        which: Which,
    },
    /// Send dead letters again: a delivery as a redelivery, anything else unchanged to its queue
    Revive(Selection),
    /// Leave dead letters out of lists from now on
    Discard(Selection),
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// By its place.
    Position(u64),
    /// By what it is, however often it was given up.
    Delivery(DeliveryId),
}

/// Which dead letters to list.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
    /// Those with this mark; without any, if left out
    #[arg(long, value_parser = PossibleValuesParser::new(["none", "revived", "discarded", "any"]))]
    mark: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// Which dead letters to decide about.
#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    /// The position of one, or the id of a delivery
    #[arg(
        conflicts_with_all = ["webhook", "queue", "since", "until", "all"],
        required_unless_present_any = ["webhook", "queue", "since", "until", "all"]
    )]
    which: Option<Which>,
    #[command(flatten)]
    filter: Filter,
    /// All of them
    #[arg(long, conflicts_with_all = ["webhook", "queue", "since", "until"])]
    all: bool,
}

/// What dead letters have in common.
#[derive(Debug, Default, clap::Args)]
struct Filter {
    /// Only deliveries to this webhook
    #[arg(long, value_name = "ID", value_parser = WebhookId::parse)]
    webhook: Option<WebhookId>,
    /// Only messages of this queue
    #[arg(long, value_parser = PossibleValuesParser::new(["events", "deliveries", "redeliveries"]))]
    queue: Option<String>,
    /// Only what was given up at this time or later, as 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only what was given up at this time or before
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(position) => Ok(Self::Position(position)),
            Err(_) => DeliveryId::parse(text).map(Self::Delivery).map_err(|error| format!("no position, and {error}")),
        }
    }
}

/// Parameters of a query.
type Query = Vec<(&'static str, Option<String>)>;

impl Filter {
    fn query(&self) -> Query {
        vec![
            ("webhook", self.webhook.as_ref().map(ToString::to_string)),
            ("queue", self.queue.clone()),
            ("since", self.since.map(|time| time.to_string())),
            ("until", self.until.map(|time| time.to_string())),
        ]
    }
}

impl Command {
    /// Carries the command out.
    pub(crate) async fn run(self, client: &Client, output: &mut impl Write, json: bool) -> Result<(), CliError> {
        match self {
            Self::List(list) => list.run(client, output, json).await,
            Self::Show { which } => show(client, which, output, json).await,
            Self::Revive(Selection { which: Some(Which::Position(position)), .. }) => {
                revive_one(client, position, output, json).await
            }
            Self::Discard(Selection { which: Some(Which::Position(position)), .. }) => {
                discard_one(client, position, output, json).await
            }
            Self::Revive(selection) => selection.decide(client, "revive", output, json).await,
            Self::Discard(selection) => selection.decide(client, "discard", output, json).await,
        }
    }
}

impl List {
    async fn run(self, client: &Client, output: &mut impl Write, json: bool) -> Result<(), CliError> {
        let mut query = self.filter.query();
        query.extend([("mark", self.mark), ("limit", Some(self.page.limit.to_string())), ("after", self.page.after)]);
        let answer = client.get(&["dead-letters"], &query).await?;
        if json {
            return Ok(present::json(output, &answer)?);
        }
        shown::list(output, client.read(&answer)?)
    }
}

async fn show(client: &Client, which: Which, output: &mut impl Write, json: bool) -> Result<(), CliError> {
    let position = match which {
        Which::Position(position) => position,
        Which::Delivery(id) => latest(client, &id).await?,
    };
    let answer = client.get(&["dead-letters", &position.to_string()], &[]).await?;
    if json {
        return Ok(present::json(output, &answer)?);
    }
    shown::one(output, &client.read(&answer)?)
}

/// Where the delivery was given up last.
async fn latest(client: &Client, id: &DeliveryId) -> Result<u64, CliError> {
    let (mut found, mut after) = (None, None);
    loop {
        let query = [("delivery", Some(id.to_string())), ("mark", Some("any".to_owned())), ("after", after)];
        let page: PageView<DeadLetterView> = client.read(&client.get(&["dead-letters"], &query).await?)?;
        found = page.items.last().map(|letter| letter.position).or(found);
        after = page.next;
        if after.is_none() {
            return found.ok_or_else(|| none_of(id));
        }
    }
}

fn none_of(id: &DeliveryId) -> CliError {
    CliError::Nothing(format!("there is no dead letter of the delivery {id}"))
}

async fn revive_one(client: &Client, position: u64, output: &mut impl Write, json: bool) -> Result<(), CliError> {
    let path = ["dead-letters", &position.to_string(), "revive"];
    let answer = client.ask(Method::POST, &path, &[]).await?;
    if json {
        return Ok(present::json(output, &answer)?);
    }
    let asked: RevivalAsked = client.read(&answer)?;
    let told = match (asked.delivery, asked.request) {
        (Some(delivery), Some(request)) => format!("{delivery} is on its way again, as request {request}"),
        _ => format!("the message at {position} is on its queue again"),
    };
    Ok(writeln!(output, "{told}")?)
}

async fn discard_one(client: &Client, position: u64, output: &mut impl Write, json: bool) -> Result<(), CliError> {
    client.ask(Method::POST, &["dead-letters", &position.to_string(), "discard"], &[]).await?;
    if json { Ok(()) } else { Ok(writeln!(output, "the dead letter at {position} is discarded")?) }
}

impl Selection {
    /// Decides about all of them, page after page.
    async fn decide(
        self,
        client: &Client,
        decision: &str,
        output: &mut impl Write,
        json: bool,
    ) -> Result<(), CliError> {
        let decided = self.decide_pages(client, decision).await?;
        if let (Some(Which::Delivery(id)), 0, 0) = (&self.which, decided.done, decided.skipped) {
            return Err(none_of(id));
        }
        if json {
            let answer = serde_json::json!({ "done": decided.done, "skipped": decided.skipped });
            return Ok(present::json(output, &answer)?);
        }
        Ok(shown::decided(output, decision, &decided)?)
    }

    async fn decide_pages(&self, client: &Client, decision: &str) -> Result<LettersDecided, CliError> {
        let mut query = self.filter.query();
        if let Some(Which::Delivery(id)) = &self.which {
            query.push(("delivery", Some(id.to_string())));
        }
        query.push(("all", self.all.then(|| "true".to_owned())));
        let (mut done, mut skipped) = (0, 0);
        loop {
            let answer: Value = client.ask(Method::POST, &["dead-letters", decision], &query).await?;
            let page: LettersDecided = client.read(&answer)?;
            done += page.done;
            skipped += page.skipped;
            if page.next.is_none() {
                return Ok(LettersDecided { done, skipped, ..page });
            }
            query.retain(|(name, _)| !matches!(*name, "until" | "after"));
            query.extend([("until", Some(page.until.to_string())), ("after", page.next)]);
        }
    }
}
