//! A webhook as it is kept: JSON, with its secrets.

use std::collections::BTreeMap;

use dockbell_proto::ids::WebhookId;
use dockbell_proto::names::Registry;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::policy::PolicyPatch;
use dockbell_proto::secret::Secret;
use dockbell_proto::webhook::{Format, Webhook};
use serde::{Deserialize, Serialize};

use crate::store::StoreError;
use crate::store::proofs::KeptProofs;

use super::{page, values};

/// The members; `place` and `pattern` are read by the scripts too. There is no `Debug`: it would show secrets.
#[derive(Serialize, Deserialize)]
struct Document {
    place: String,
    id: WebhookId,
    name: String,
    pattern: Pattern,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registry: Option<Registry>,
    url: String,
    format: Format,
    headers: BTreeMap<String, String>,
    secret: String,
    enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<String>,
    #[serde(default, skip_serializing_if = "is_none")]
    policy: PolicyPatch,
    #[serde(default, skip_serializing_if = "KeptProofs::is_default")]
    proofs: KeptProofs,
    /// Microseconds, as `updated_at`.
    created_at: i64,
    updated_at: i64,
}

fn is_none(policy: &PolicyPatch) -> bool {
    *policy == PolicyPatch::default()
}

/// The place of a webhook among all.
pub(super) fn place(webhook: &Webhook) -> String {
    page::place(webhook.created_at, webhook.id.as_str())
}

pub(super) fn write(webhook: &Webhook) -> Result<String, StoreError> {
    let headers = webhook.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
    values::to_json(&Document {
        place: place(webhook),
        id: webhook.id.clone(),
        name: webhook.name.clone(),
        pattern: webhook.pattern.clone(),
        registry: webhook.registry.clone(),
        url: webhook.url.expose().to_owned(),
        format: webhook.format,
        headers: headers.collect(),
        secret: webhook.proofs.secret.current.expose(),
        enabled: webhook.enabled,
        disabled_reason: webhook.disabled_reason.clone(),
        policy: webhook.policy.clone(),
        proofs: KeptProofs::of(&webhook.proofs),
        created_at: webhook.created_at.as_microsecond(),
        updated_at: webhook.updated_at.as_microsecond(),
    })
}

pub(super) fn read(text: &str) -> Result<Webhook, StoreError> {
    let found: Document = values::json("webhook", text)?;
    Ok(Webhook {
        id: found.id,
        name: found.name,
        pattern: found.pattern,
        registry: found.registry,
        url: Secret::new(found.url),
        format: found.format,
        headers: found.headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        proofs: found.proofs.read(&found.secret).map_err(|error| values::unreadable("webhook", error))?,
        enabled: found.enabled,
        disabled_reason: found.disabled_reason,
        policy: found.policy,
        created_at: values::time("webhook", found.created_at)?,
        updated_at: values::time("webhook", found.updated_at)?,
    })
}
