//! Webhooks as they are shown on the terminal.

use std::io::Write;

use dockbell_console::{CreatedWebhook, PageView, StandingView, WebhookView};
use dockbell_proto::ids::WebhookId;

use super::{choice, options, policy, proofs, standing, tls};
use crate::client::{CliError, Client};
use crate::{deliveries, present};

pub(super) fn list(output: &mut impl Write, page: PageView<WebhookView>) -> Result<(), CliError> {
    let rows = page.items.into_iter().map(|webhook| {
        let failures = webhook.health.consecutive_failures.to_string();
        [webhook.id, webhook.name, webhook.repository, webhook.format, webhook.standing, failures, webhook.url]
    });
    present::table(output, ["ID", "NAME", "REPOSITORY", "FORMAT", "STANDING", "FAILURES", "URL"], rows.collect())?;
    Ok(deliveries::show_next(output, page.next)?)
}

pub(super) fn made(output: &mut impl Write, created: &CreatedWebhook) -> Result<(), CliError> {
    let mut fields = fields(&created.webhook);
    fields.push(("signing secret", created.secret.clone()));
    present::fields(output, &fields)?;
    Ok(writeln!(output, "\nKeep the signing secret: it is not shown again.")?)
}

pub(super) fn rotated(output: &mut impl Write, created: &CreatedWebhook) -> Result<(), CliError> {
    made(output, created)?;
    Ok(writeln!(output, "{}", proofs::rotated(created))?)
}

/// Shows a webhook with what changed its standing.
pub(super) async fn with_standing(client: &Client, id: &WebhookId, output: &mut impl Write) -> Result<(), CliError> {
    let webhook = client.get(&["webhooks", id.as_str()], &[]).await?;
    let standing: StandingView = client.read(&client.get(&["webhooks", id.as_str(), "standing"], &[]).await?)?;
    one(output, &client.read(&webhook)?)?;
    standing::show_changes(output, standing.changes)
}

pub(super) fn one(output: &mut impl Write, webhook: &WebhookView) -> Result<(), CliError> {
    Ok(present::fields(output, &fields(webhook))?)
}

fn fields(webhook: &WebhookView) -> Vec<(&'static str, String)> {
    let headers: Vec<&str> = webhook.headers.keys().map(String::as_str).collect();
    let mut fields = vec![
        ("id", webhook.id.clone()),
        ("name", webhook.name.clone()),
        ("repository", webhook.repository.clone()),
        ("registry", webhook.registry.clone().unwrap_or_else(|| "any".to_owned())),
        ("filter", choice::shown(&webhook.filter)),
        ("after", choice::waits(webhook.after.as_ref())),
        ("url", webhook.url.clone()),
        ("format", webhook.format.clone()),
        ("options", options::shown(&webhook.options)),
        ("headers", headers.join(", ")),
    ];
    fields.extend(proofs::fields(&webhook.proofs));
    fields.extend(tls::fields(&webhook.tls));
    fields.extend([
        ("policy", policy::shown(&webhook.policy)),
        ("standing", standing::explained(webhook)),
        ("waiting", webhook.health.waiting.to_string()),
        ("skipped", webhook.health.skipped.to_string()),
        ("failures", webhook.health.consecutive_failures.to_string()),
        ("failing since", present::or_nothing(webhook.health.failing_since.map(present::time))),
        ("last success", present::or_nothing(webhook.health.succeeded_at.map(present::time))),
        ("made at", present::time(webhook.created_at)),
        ("changed at", present::time(webhook.updated_at)),
    ]);
    fields
}
