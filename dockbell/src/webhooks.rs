//! `dockbell webhooks`: setting, listing, changing, removing and testing them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Write;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use dockbell_console::{CreatedWebhook, DeliveryView, NewWebhook, PageView, TestAsked, WebhookChange, WebhookView};
use dockbell_proto::ids::{DeliveryId, WebhookId};
use dockbell_proto::secret::Secret;
use dockbell_proto::webhook::Format;
use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::client::{CliError, Client};
use crate::deliveries::{self, Page};
use crate::present;

/// How long the outcome of a test is waited for: an attempt takes at most half of it.
const TEST_LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked for.
const TEST_LOOK: Duration = Duration::from_millis(250);

/// Set, list, change, remove and test webhooks.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Set a webhook; its signing secret is shown this once
    Add(Add),
    /// List webhooks, oldest first
    List(List),
    /// Show a webhook
    Show {
        /// The id of the webhook
        #[arg(value_parser = WebhookId::parse)]
        id: WebhookId,
    },
    /// Change a webhook; what is not named stays
    Update(Update),
    /// Remove a webhook with its history
    Remove {
        /// The id of the webhook
        #[arg(value_parser = WebhookId::parse)]
        id: WebhookId,
    },
    /// Send a webhook a made-up push and wait for its outcome
    Test {
        /// The id of the webhook
        #[arg(value_parser = WebhookId::parse)]
        id: WebhookId,
    },
}

/// A webhook to set.
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// What to call it
    #[arg(long)]
    name: String,
    /// One repository (team/app), a namespace (team/*), or all (*)
    #[arg(long)]
    repository: String,
    /// Where its deliveries go
    #[arg(long, value_parser = secret)]
    url: Secret,
    /// The body that its receiver understands
    #[arg(long, value_parser = formats())]
    format: String,
    /// The one registry it is about; any, if left out
    #[arg(long)]
    registry: Option<String>,
    /// A header that its deliveries carry; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<Header>,
    /// Set it without letting it ring
    #[arg(long)]
    disabled: bool,
}

/// Which webhooks.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only webhooks that are set on exactly this
    #[arg(long)]
    repository: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// What to change.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// The id of the webhook
    #[arg(value_parser = WebhookId::parse)]
    id: WebhookId,
    #[command(flatten)]
    change: Change,
}

/// At least one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// A new name
    #[arg(long)]
    name: Option<String>,
    /// New repositories
    #[arg(long)]
    repository: Option<String>,
    /// A new URL
    #[arg(long, value_parser = secret)]
    url: Option<Secret>,
    /// A new format
    #[arg(long, value_parser = formats())]
    format: Option<String>,
    /// A new registry
    #[arg(long, conflicts_with = "any_registry")]
    registry: Option<String>,
    /// Any registry
    #[arg(long)]
    any_registry: bool,
    /// A header to set; the others stay
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<Header>,
    /// A header to take away
    #[arg(long = "remove-header", value_name = "NAME")]
    removed_headers: Vec<String>,
    /// Let it ring
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Do not let it ring
    #[arg(long)]
    disable: bool,
}

/// A header; its value may be a credential.
#[derive(Debug, Clone)]
struct Header {
    name: String,
    value: Secret,
}

impl Command {
    /// Carries the command out.
    pub(crate) async fn run(self, client: &Client, output: &mut impl Write, json: bool) -> Result<(), CliError> {
        let answer = match &self {
            Self::Test { id } => return test(client, id, output, json).await,
            Self::Add(add) => client.send(Method::POST, &["webhooks"], Some(&add.body())).await?,
            Self::List(list) => list.ask(client).await?,
            Self::Show { id } => client.get(&["webhooks", id.as_str()], &[]).await?,
            Self::Update(update) => {
                client.send(Method::PATCH, &["webhooks", update.id.as_str()], Some(&update.change.body())).await?
            }
            Self::Remove { id } => client.send(Method::DELETE, &["webhooks", id.as_str()], None::<&()>).await?,
        };
        match self {
            // There is nothing to show of what is gone, not even as JSON.
            Self::Remove { .. } if json => Ok(()),
            Self::Remove { id } => Ok(writeln!(output, "{id} is removed")?),
            _ if json => Ok(present::json(output, &answer)?),
            Self::Add(_) => show_made(output, &client.read(&answer)?),
            Self::List(_) => show_list(output, client.read(&answer)?),
            _ => show(output, &client.read(&answer)?),
        }
    }
}

impl Add {
    fn body(&self) -> NewWebhook {
        NewWebhook {
            name: self.name.clone(),
            repository: self.repository.clone(),
            url: self.url.expose().to_owned(),
            format: self.format.clone(),
            registry: self.registry.clone(),
            headers: self.headers.iter().map(Header::exposed).collect(),
            enabled: self.disabled.then_some(false),
        }
    }
}

impl List {
    async fn ask(&self, client: &Client) -> Result<Value, CliError> {
        let query = [
            ("repository", self.repository.clone()),
            ("limit", Some(self.page.limit.to_string())),
            ("after", self.page.after.clone()),
        ];
        client.get(&["webhooks"], &query).await
    }
}

impl Change {
    fn body(&self) -> WebhookChange {
        let removed = self.removed_headers.iter().map(|name| (name.clone(), None));
        let set = self.headers.iter().map(|header| (header.name.clone(), Some(header.value.expose().to_owned())));
        let headers: BTreeMap<String, Option<String>> = removed.chain(set).collect();
        WebhookChange {
            name: self.name.clone(),
            repository: self.repository.clone(),
            url: self.url.as_ref().map(|url| url.expose().to_owned()),
            format: self.format.clone(),
            registry: if self.any_registry { Some(None) } else { self.registry.clone().map(Some) },
            headers: (!headers.is_empty()).then_some(Some(headers)),
            enabled: (self.enable || self.disable).then_some(self.enable),
        }
    }
}

impl Header {
    fn exposed(&self) -> (String, String) {
        (self.name.clone(), self.value.expose().to_owned())
    }
}

fn formats() -> PossibleValuesParser {
    PossibleValuesParser::new(Format::ALL.map(Format::as_str))
}

#[expect(clippy::unnecessary_wraps, reason = "the parser of an argument returns a Result")]
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

fn header(text: &str) -> Result<Header, &'static str> {
    let (name, value) = text.split_once(':').ok_or("expected a name, a colon and a value")?;
    Ok(Header { name: name.trim().to_owned(), value: Secret::new(value.trim()) })
}

/// Asks for a test delivery and waits for its first attempt. It succeeds only if that was accepted.
async fn test(client: &Client, id: &WebhookId, output: &mut impl Write, json: bool) -> Result<(), CliError> {
    let asked = client.send(Method::POST, &["webhooks", id.as_str(), "test"], None::<&()>).await?;
    let TestAsked { delivery } = client.read(&asked)?;
    let delivery = client.read(&Value::String(delivery))?;
    let answer = attempted(client, &delivery).await?;
    let shown: DeliveryView = client.read(&answer)?;
    if json {
        present::json(output, &answer)?;
    }
    let Some(first) = shown.attempts.first() else {
        return Err(CliError::NotAccepted(format!("the attempt of {delivery} is not shown")));
    };
    let outcome = deliveries::outcome(first);
    if first.outcome != "accepted" {
        let verdict = deliveries::verdict(first);
        return Err(CliError::NotAccepted(format!(
            "the test delivery {delivery} was not accepted: {outcome}; {verdict}"
        )));
    }
    if json { Ok(()) } else { Ok(writeln!(output, "{delivery}: {outcome} in {} ms", first.took_ms)?) }
}

/// The test delivery as soon as its first attempt is recorded.
async fn attempted(client: &Client, delivery: &DeliveryId) -> Result<Value, CliError> {
    let deadline = Instant::now() + TEST_LIMIT;
    loop {
        match deliveries::read(client, delivery).await {
            Err(CliError::Refused(problem)) if problem.status == 404 && Instant::now() < deadline => {}
            Err(CliError::Refused(problem)) if problem.status == 404 => {
                let problem = format!(
                    "no outcome within {} s; look for it later with `dockbell deliveries show {delivery}`",
                    TEST_LIMIT.as_secs()
                );
                return Err(CliError::NotAccepted(problem));
            }
            answer => return answer,
        }
        sleep(TEST_LOOK).await;
    }
}

fn show_list(output: &mut impl Write, page: PageView<WebhookView>) -> Result<(), CliError> {
    let rows = page.items.into_iter().map(|webhook| {
        let enabled = yes_or_no(webhook.enabled);
        let failures = webhook.health.consecutive_failures.to_string();
        [webhook.id, webhook.name, webhook.repository, webhook.format, enabled, failures, webhook.url]
    });
    present::table(output, ["ID", "NAME", "REPOSITORY", "FORMAT", "ENABLED", "FAILURES", "URL"], rows.collect())?;
    Ok(deliveries::show_next(output, page.next)?)
}

fn show_made(output: &mut impl Write, made: &CreatedWebhook) -> Result<(), CliError> {
    let mut fields = fields(&made.webhook);
    fields.push(("signing secret", made.secret.clone()));
    present::fields(output, &fields)?;
    Ok(writeln!(output, "\nKeep the signing secret: it is not shown again.")?)
}

fn show(output: &mut impl Write, webhook: &WebhookView) -> Result<(), CliError> {
    Ok(present::fields(output, &fields(webhook))?)
}

fn fields(webhook: &WebhookView) -> Vec<(&'static str, String)> {
    let headers: Vec<&str> = webhook.headers.keys().map(String::as_str).collect();
    vec![
        ("id", webhook.id.clone()),
        ("name", webhook.name.clone()),
        ("repository", webhook.repository.clone()),
        ("registry", webhook.registry.clone().unwrap_or_else(|| "any".to_owned())),
        ("url", webhook.url.clone()),
        ("format", webhook.format.clone()),
        ("headers", headers.join(", ")),
        ("enabled", yes_or_no(webhook.enabled)),
        ("failures", webhook.health.consecutive_failures.to_string()),
        ("failing since", present::or_nothing(webhook.health.failing_since.map(present::time))),
        ("last success", present::or_nothing(webhook.health.succeeded_at.map(present::time))),
        ("made at", present::time(webhook.created_at)),
        ("changed at", present::time(webhook.updated_at)),
    ]
}

fn yes_or_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn parse(arguments: &[&str]) -> Result<Command, clap::Error> {
        Line::try_parse_from(["webhooks"].iter().chain(arguments)).map(|line| line.command)
    }

    fn change(arguments: &[&str]) -> Value {
        let command = parse(&[&["update", "wh_1"], arguments].concat()).unwrap();
        let Command::Update(update) = command else { panic!("{command:?}") };
        serde_json::to_value(update.change.body()).unwrap()
    }

    #[test]
    fn a_webhook_is_added_as_it_is_typed() {
        let command = parse(&[
            "add",
            "--name",
            "a",
            "--repository",
            "team/*",
            "--url",
            "https://ci.test/?canary",
            "--format",
            "alin",
            "--header",
            "Authorization: Basic a:b",
            "--header",
            "X-B:c",
        ])
        .unwrap();
        assert!(!format!("{command:?}").contains("canary"));
        let Command::Add(add) = command else { panic!("not an add") };
        let expected = json!({
            "name": "a", "repository": "team/*", "url": "https://ci.test/?canary", "format": "alin",
            "headers": { "Authorization": "Basic a:b", "X-B": "c" },
        });
        assert_eq!(serde_json::to_value(add.body()).unwrap(), expected);
    }

    #[test]
    fn only_what_is_named_changes() {
        assert_eq!(change(&["--disable"]), json!({ "enabled": false }));
        assert_eq!(change(&["--enable", "--name", "b"]), json!({ "enabled": true, "name": "b" }));
        assert_eq!(change(&["--any-registry"]), json!({ "registry": null }));
        assert_eq!(change(&["--registry", "hub.test"]), json!({ "registry": "hub.test" }));
        let headers = change(&["--header", "a: 1", "--remove-header", "b"]);
        assert_eq!(headers, json!({ "headers": { "a": "1", "b": null } }));
    }

    #[test]
    fn a_command_that_says_nothing_or_two_things_is_refused() {
        for arguments in [
            &["update", "wh_1"][..],
            &["update", "wh_1", "--enable", "--disable"],
            &["update", "wh_1", "--registry", "a", "--any-registry"],
            &["update", "wh_1", "--header", "no-colon"],
            &["show", "msg_1"],
            &["add", "--name", "a", "--repository", "b", "--url", "c", "--format", "xml"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
