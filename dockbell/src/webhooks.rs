//! `dockbell webhooks`: setting, listing, changing, removing and testing them.

mod choice;
pub(crate) mod options;
pub(crate) mod policy;
mod proofs;
mod shown;
mod standing;
mod tls;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Write;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use dockbell_console::{AttemptView, DeliveryView, NewWebhook, TestAsked, WebhookChange};
use dockbell_proto::ids::{DeliveryId, WebhookId};
use dockbell_proto::secret::Secret;
use dockbell_proto::webhook::Format;
use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::client::{CliError, Client};
use crate::deliveries::{self, Page};
use crate::present;
use policy::Member;

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
    /// Show a webhook, how it stands, and why
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
    /// Give a webhook a new signing secret, shown this once; the one of before signs too for 24 hours
    Rotate {
        /// The id of the webhook
        #[arg(value_parser = WebhookId::parse)]
        id: WebhookId,
    },
    #[command(flatten)]
    Standing(standing::Command),
}

/// A webhook to set.
#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
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
    /// An option of the format, such as repo_name=qualified, or source=@FILE for the text of a file; may be given
    /// several times
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = options::option)]
    options: Vec<Member>,
    /// The one registry it is about; any, if left out
    #[arg(long)]
    registry: Option<String>,
    /// Tell it only of these pushes, such as tags=v*, tags=!*-rc*, repositories=team/**, kinds=image (image, index, chart,
    /// artifact) or only_changed=true; may be given several times
    #[arg(long = "filter", value_name = "MEMBER=VALUE", value_parser = choice::member)]
    filter: Vec<Member>,
    #[command(flatten)]
    waits: choice::Waits,
    /// A header that its deliveries carry; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<Header>,
    #[command(flatten)]
    proofs: proofs::Given,
    #[command(flatten)]
    tls: tls::Said,
    /// Set it without letting it ring
    #[arg(long)]
    disabled: bool,
    /// A member of the delivery policy that is otherwise for it, such as cooldown=5m; may be given several times
    #[arg(long = "policy", value_name = "MEMBER=VALUE", value_parser = policy::member)]
    policy: Vec<Member>,
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
// Named one by one, because a group does not take in the arguments that are flattened into it.
#[group(required = true, multiple = true, args = [
    "name", "repository", "url", "format", "options", "registry", "any_registry", "filter",
    "no_filter", "after", "within", "no_after", "headers", "removed_headers", "signatures", "authorization", "basic", "bearer", "no_authorization", "ca_file", "client_cert_file", "client_key_file", "skip_verify", "no_tls", "enable", "disable", "policy", "default_policy",
])]
#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
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
    /// An option of the format to set, such as repo_name=qualified, or source=@FILE for the text of a file; without a
    /// value it is as by default again
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = options::option)]
    options: Vec<Member>,
    /// A new registry
    #[arg(long, conflicts_with = "any_registry")]
    registry: Option<String>,
    /// Any registry
    #[arg(long)]
    any_registry: bool,
    /// A part of the filter to replace, such as tags=v*, given as often as it has values; without a value it lets
    /// everything through
    #[arg(long = "filter", value_name = "MEMBER=VALUE", value_parser = choice::member, conflicts_with = "no_filter")]
    filter: Vec<Member>,
    /// Tell it of every push
    #[arg(long)]
    no_filter: bool,
    #[command(flatten)]
    waits: choice::Waits,
    /// Let it wait for nobody
    #[arg(long, conflicts_with_all = ["after", "within"])]
    no_after: bool,
    /// A header to set; the others stay
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<Header>,
    /// A header to take away
    #[arg(long = "remove-header", value_name = "NAME")]
    removed_headers: Vec<String>,
    #[command(flatten)]
    proofs: proofs::Given,
    /// Leave the header Authorization out
    #[arg(long, conflicts_with_all = ["authorization", "basic", "bearer"])]
    no_authorization: bool,
    #[command(flatten)]
    tls: tls::Said,
    /// Say nothing about the TLS of its receiver
    #[arg(long, conflicts_with_all = ["ca_file", "client_cert_file", "client_key_file", "skip_verify"])]
    no_tls: bool,
    /// Let it ring
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Do not let it ring
    #[arg(long)]
    disable: bool,
    /// A member of the delivery policy to set, such as cooldown=5m; without a value it is as for all again
    #[arg(long = "policy", value_name = "MEMBER=VALUE", value_parser = policy::member, conflicts_with = "default_policy")]
    policy: Vec<Member>,
    /// All of the delivery policy is to be as for all
    #[arg(long)]
    default_policy: bool,
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
            Self::Standing(standing) => return standing.run(client, output, json).await,
            Self::Show { id } if !json => return shown::with_standing(client, id, output).await,
            Self::Add(add) => client.send(Method::POST, &["webhooks"], Some(&add.body())).await?,
            Self::List(list) => list.ask(client).await?,
            Self::Show { id } => client.get(&["webhooks", id.as_str()], &[]).await?,
            Self::Update(update) => {
                client.send(Method::PATCH, &["webhooks", update.id.as_str()], Some(&update.change.body())).await?
            }
            Self::Rotate { id } => client.send(Method::POST, &["webhooks", id.as_str(), "rotate"], None::<&()>).await?,
            Self::Remove { id } => client.send(Method::DELETE, &["webhooks", id.as_str()], None::<&()>).await?,
        };
        match self {
            // There is nothing to show of what is gone, not even as JSON.
            Self::Remove { .. } if json => Ok(()),
            Self::Remove { id } => Ok(writeln!(output, "{id} is removed")?),
            _ if json => Ok(present::json(output, &answer)?),
            Self::Add(_) => shown::made(output, &client.read(&answer)?),
            Self::Rotate { .. } => shown::rotated(output, &client.read(&answer)?),
            Self::List(_) => shown::list(output, client.read(&answer)?),
            _ => shown::one(output, &client.read(&answer)?),
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
            options: policy::members(&self.options),
            registry: self.registry.clone(),
            filter: choice::filter(&self.filter),
            after: self.waits.members(),
            headers: self.headers.iter().map(Header::exposed).collect(),
            signatures: self.proofs.signatures.clone(),
            authorization: self.proofs.authorization(),
            tls: self.tls.members(),
            enabled: self.disabled.then_some(false),
            policy: policy::members(&self.policy),
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
            options: (!self.options.is_empty()).then(|| Some(policy::members(&self.options))),
            registry: if self.any_registry { Some(None) } else { self.registry.clone().map(Some) },
            filter: match self.filter.as_slice() {
                [] => self.no_filter.then_some(None),
                members => Some(Some(choice::filter(members))),
            },
            after: if self.no_after { Some(None) } else { self.waits.members().map(Some) },
            headers: (!headers.is_empty()).then_some(Some(headers)),
            signatures: (!self.proofs.signatures.is_empty()).then(|| self.proofs.signatures.clone()),
            authorization: if self.no_authorization { Some(None) } else { self.proofs.authorization().map(Some) },
            tls: match self.tls.members() {
                members if members.is_empty() => self.no_tls.then_some(None),
                members => Some(Some(members)),
            },
            enabled: (self.enable || self.disable).then_some(self.enable),
            policy: match self.policy.as_slice() {
                [] => self.default_policy.then_some(None),
                members => Some(Some(policy::members(members))),
            },
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
pub(crate) fn secret(text: &str) -> Result<Secret, Infallible> {
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
    let outcome = format!("{} in {} ms{}", deliveries::outcome(first), first.took_ms, answered(first));
    if first.outcome != "accepted" {
        let verdict = deliveries::verdict(first);
        return Err(CliError::NotAccepted(format!(
            "the test delivery {delivery} was not accepted: {outcome}; {verdict}"
        )));
    }
    if json { Ok(()) } else { Ok(writeln!(output, "{delivery}: {outcome}")?) }
}

/// What the receiver answered, as far as it fits the line.
fn answered(attempt: &AttemptView) -> String {
    let excerpt = attempt.excerpt.as_deref().map(|excerpt| present::plain(&deliveries::beginning(excerpt)));
    excerpt.map(|excerpt| format!(", answering {excerpt:?}")).unwrap_or_default()
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

#[cfg(test)]
mod tests;
