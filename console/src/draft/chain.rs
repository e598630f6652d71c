//! Whom a caller wants a webhook to wait for.

use std::time::Duration;

use serde_json::Value;

use dockbell_chassis::config::parse_duration;
use dockbell_proto::chain::{After, CHAIN_LIMIT, SHORTEST_WITHIN, WITHIN_BY_DEFAULT};
use dockbell_proto::ids::WebhookId;
use dockbell_proto::policy::LONGEST_AGE;
use dockbell_proto::webhook::Webhook;

use crate::Console;
use crate::auth::Caller;
use crate::problem::{MemberProblem, Problem};

/// The member of a webhook that holds it.
const MEMBER: &str = "after";

/// What is to change of it.
#[derive(Debug)]
pub(crate) enum AfterChange {
    /// It waits for nobody.
    Nobody,
    /// What is none stays.
    Merge { webhook: Option<WebhookId>, within: Option<Duration> },
}

/// Reads a change. The refusal names every member that is wrong.
pub(super) fn change(value: &Value) -> Result<AfterChange, String> {
    let given = match value {
        Value::Null => return Ok(AfterChange::Nobody),
        Value::Object(given) => given,
        _ => return Err(format!("{MEMBER} must be an object with the id of a webhook as `webhook`")),
    };
    let (mut webhook, mut within, mut problems) = (None, None, Vec::new());
    for (name, value) in given {
        match name.as_str() {
            "webhook" => match value.as_str().map(WebhookId::parse) {
                Some(Ok(id)) => webhook = Some(id),
                Some(Err(error)) => problems.push(format!("webhook must be an id: {error}")),
                None => problems.push("webhook must be an id".to_owned()),
            },
            "within" => match span(value) {
                Ok(span) => within = Some(span),
                Err(problem) => problems.push(problem),
            },
            _ => problems.push(format!("there is no member {:?}", name.chars().take(64).collect::<String>())),
        }
    }
    if problems.is_empty() {
        Ok(AfterChange::Merge { webhook, within })
    } else {
        Err(problems.into_iter().map(|problem| format!("{MEMBER}: {problem}")).collect::<Vec<_>>().join("; "))
    }
}

/// `null` is as by default.
fn span(value: &Value) -> Result<Duration, String> {
    if value.is_null() {
        return Ok(WITHIN_BY_DEFAULT);
    }
    let span = value.as_str().and_then(parse_duration);
    let fits = |span: &Duration| (SHORTEST_WITHIN..=LONGEST_AGE).contains(span);
    span.filter(fits).ok_or_else(|| "within must be a duration of 1s to 7d, such as 30m".to_owned())
}

/// Reads whom a new webhook waits for.
pub(super) fn new(value: &Value) -> Result<Option<After>, String> {
    change(value)?.applied(None)
}

impl AfterChange {
    /// Whom it waits for after the change.
    pub(crate) fn apply(self, current: Option<&After>) -> Result<Option<After>, Problem> {
        self.applied(current).map_err(invalid)
    }

    fn applied(self, current: Option<&After>) -> Result<Option<After>, String> {
        let Self::Merge { webhook, within } = self else { return Ok(None) };
        let webhook = webhook.or_else(|| current.map(|after| after.webhook.clone()));
        let webhook = webhook.ok_or_else(|| format!("{MEMBER}: webhook must be given"))?;
        let within = within.or(current.map(|after| after.within)).unwrap_or(WITHIN_BY_DEFAULT);
        Ok(Some(After { webhook, within }))
    }
}

/// Refuses whom it makes no sense to wait for: nobody would ever report, or of other pushes alone.
/// A webhook that the caller does not reach is none.
pub(crate) async fn require_reports(console: &Console, caller: &Caller, webhook: &Webhook) -> Result<(), Problem> {
    let Some(after) = &webhook.after else { return Ok(()) };
    if !console.takes_callbacks {
        return Err(invalid(format!(
            "{MEMBER}: there are no callbacks, because the operator has set no public_url, and nothing would ever be sent"
        )));
    }
    let first = console.store.webhook(&after.webhook).await?;
    let Some(first) = first.filter(|first| caller.reaches(&first.pattern)) else {
        return Err(invalid(format!("{MEMBER}: there is no webhook {}", after.webhook)));
    };
    if let Some(problem) = mismatch(&first, webhook) {
        return Err(invalid(format!("{MEMBER}: {} {problem}", first.id)));
    }
    let mut next = Some(first);
    for _ in 0..CHAIN_LIMIT {
        let Some(link) = next else { return Ok(()) };
        if link.id == webhook.id {
            return Err(invalid(format!("{MEMBER}: the webhook would wait for itself")));
        }
        next = match &link.after {
            Some(after) => console.store.webhook(&after.webhook).await?,
            None => None,
        };
    }
    Err(invalid(format!("{MEMBER}: more than {CHAIN_LIMIT} webhooks would wait for one another")))
}

/// Why the one makes nothing to wait for of what the other is told.
fn mismatch(first: &Webhook, webhook: &Webhook) -> Option<String> {
    if !first.format.takes_callbacks() {
        return Some(format!(
            "has the format {}, in which nobody reports; it must be dockerhub",
            first.format.as_str()
        ));
    }
    if first.filter.only_changed {
        return Some("is told of changes alone, so that nobody reports of other pushes".to_owned());
    }
    if !first.pattern.covers(&webhook.pattern) {
        return Some(format!("is set on {}, which does not cover {}", first.pattern, webhook.pattern));
    }
    if first.registry.is_some() && first.registry != webhook.registry {
        return Some("is about one registry, and this one is not about the same".to_owned());
    }
    None
}

fn invalid(problem: String) -> Problem {
    Problem::invalid(vec![MemberProblem { member: MEMBER.to_owned(), problem }])
}
