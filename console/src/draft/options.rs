//! What a caller chooses of what the format of a webhook leaves open.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use dockbell_proto::batch::Batch;
use dockbell_proto::ids::DeliveryId;
use dockbell_proto::options::Options;
use dockbell_proto::output::render;
use dockbell_proto::webhook::{Format, Webhook};

use crate::problem::{MemberProblem, Problem};
use crate::sample;

/// The member of a webhook that holds it.
const MEMBER: &str = "options";

/// What is to change of the options of a webhook; without a value it is as the format has it by default.
#[derive(Debug)]
pub(crate) struct OptionsChange {
    /// Whether all that were before go.
    clear: bool,
    changes: Map<String, Value>,
}

/// Reads a change. Which options there are, the format tells: see [`OptionsChange::apply`].
pub(super) fn change(value: &Value) -> Result<OptionsChange, String> {
    match value {
        Value::Null => Ok(OptionsChange { clear: true, changes: Map::new() }),
        Value::Object(changes) => Ok(OptionsChange { clear: false, changes: changes.clone() }),
        _ => Err(format!("{MEMBER} must be an object")),
    }
}

/// Reads the options of a new webhook. Without a format, which is told elsewhere, there is nothing to say.
pub(super) fn new(value: &Value, format: Option<Format>) -> Result<Options, String> {
    let OptionsChange { changes, .. } = change(value)?;
    format.map_or_else(|| Ok(Options::default()), |format| Options::default().changed(format, format, &changes))
}

impl OptionsChange {
    /// The options after the change, of a webhook that is to have the format `to`.
    pub(crate) fn apply(self, current: &Webhook, to: Format) -> Result<Options, Problem> {
        let before = if self.clear { Options::default() } else { current.options.clone() };
        before.changed(current.format, to, &self.changes).map_err(invalid)
    }
}

/// Refuses options that do not go with the rest of the webhook, and those with which nothing could be sent.
pub(crate) fn require_sense(webhook: &Webhook) -> Result<(), Problem> {
    require_samples(webhook)?;
    let Some(header) = &webhook.options.header else { return Ok(()) };
    let own = BTreeMap::from([(header.as_str().to_owned(), webhook.url.clone())]);
    if webhook.headers.contains_key(header.as_str()) || webhook.proofs.conflict(&own).is_some() {
        let name = header.as_str();
        return Err(invalid(format!("{MEMBER}: header is {name}, which the webhook sets already; choose another")));
    }
    Ok(())
}

/// Renders a push of which everything is known, and one of which nothing is that a source may leave out.
fn require_samples(webhook: &Webhook) -> Result<(), Problem> {
    if webhook.format != Format::Template {
        return Ok(());
    }
    let full = sample::delivery(webhook, DeliveryId::from_random([0; 16]), webhook.updated_at).content;
    let mut bare = Batch::clone(&full);
    for change in &mut bare.changes {
        (change.digest, change.media_type, change.size, change.pusher) = (None, None, None, None);
        change.blobs.clear();
    }
    for (content, what) in [(&*full, "a sample push"), (&bare, "a push of which only the tag is known")] {
        render(webhook.format, &webhook.options, content, (webhook.updated_at, ""))
            .map_err(|error| invalid(format!("{MEMBER}: with {what}: {error}")))?;
    }
    Ok(())
}

fn invalid(problem: String) -> Problem {
    Problem::invalid(vec![MemberProblem { member: MEMBER.to_owned(), problem }])
}
