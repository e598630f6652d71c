//! A webhook as it is kept: JSON, with its secrets.

use dockbell_proto::chain::After;
use dockbell_proto::filter::Filter;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::names::Registry;
use dockbell_proto::options::Options;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::policy::PolicyPatch;
use dockbell_proto::webhook::{Format, Webhook};
use serde::{Deserialize, Serialize};

use crate::keyring::Keyring;
use crate::store::StoreError;
use crate::store::secrets::KeptSecrets;

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
    #[serde(default, skip_serializing_if = "Filter::is_empty")]
    filter: Filter,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<After>,
    #[serde(flatten)]
    secrets: KeptSecrets,
    format: Format,
    #[serde(default, skip_serializing_if = "has_none")]
    options: Options,
    enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<String>,
    #[serde(default, skip_serializing_if = "is_none")]
    policy: PolicyPatch,
    /// Microseconds, as `updated_at`.
    created_at: i64,
    updated_at: i64,
}

fn is_none(policy: &PolicyPatch) -> bool {
    *policy == PolicyPatch::default()
}

fn has_none(options: &Options) -> bool {
    *options == Options::default()
}

/// The place of a webhook among all.
pub(super) fn place(webhook: &Webhook) -> String {
    page::place(webhook.created_at, webhook.id.as_str())
}

pub(super) fn write(webhook: &Webhook, keys: &Keyring) -> Result<String, StoreError> {
    values::to_json(&Document {
        place: place(webhook),
        id: webhook.id.clone(),
        name: webhook.name.clone(),
        pattern: webhook.pattern.clone(),
        registry: webhook.registry.clone(),
        filter: webhook.filter.clone(),
        after: webhook.after.clone(),
        secrets: KeptSecrets::of(webhook, keys),
        format: webhook.format,
        options: webhook.options.clone(),
        enabled: webhook.enabled,
        disabled_reason: webhook.disabled_reason.clone(),
        policy: webhook.policy.clone(),
        created_at: webhook.created_at.as_microsecond(),
        updated_at: webhook.updated_at.as_microsecond(),
    })
}

pub(super) fn read(text: &str, keys: &Keyring) -> Result<Webhook, StoreError> {
    let found: Document = values::json("webhook", text)?;
    let opened = found.secrets.open(&found.id, keys);
    let opened = opened.map_err(|error| values::unreadable(&format!("webhook {}", found.id), error))?;
    Ok(Webhook {
        id: found.id,
        name: found.name,
        pattern: found.pattern,
        registry: found.registry,
        filter: found.filter,
        after: found.after,
        url: opened.url,
        format: found.format,
        options: found.options,
        headers: opened.headers,
        proofs: opened.proofs,
        tls: opened.tls,
        enabled: found.enabled,
        disabled_reason: found.disabled_reason,
        policy: found.policy,
        created_at: values::time("webhook", found.created_at)?,
        updated_at: values::time("webhook", found.updated_at)?,
    })
}

/// Whether the secrets of a webhook are sealed under the key that seals now.
pub(super) fn is_current(text: &str, keys: &Keyring) -> Result<bool, StoreError> {
    let found: Document = values::json("webhook", text)?;
    Ok(found.secrets.are_current(keys))
}

#[cfg(test)]
mod tests {
    use dockbell_proto::proof::Proofs;
    use dockbell_proto::signature::SigningSecret;
    use dockbell_testkit::sample::moment;

    use super::*;

    /// What was kept of a webhook before it could prove itself in more than one way, and before it could have a policy.
    #[test]
    fn a_webhook_that_was_kept_before_there_were_other_proofs_signs_as_it_did() {
        let secret = SigningSecret::from_random([7; 32]);
        let before = format!(
            r#"{{"place":"p.wh_0123456789abcdef01234567","id":"wh_0123456789abcdef01234567","name":"n","pattern":"team/*",
            "url":"https://receiver.test/","format":"batch","headers":{{"x-own":"1"}},"secret":"{}","enabled":true,
            "created_at":1,"updated_at":2}}"#,
            secret.expose()
        );
        let keys = Keyring::none();
        let found = read(&before, &keys).unwrap();
        assert_eq!(found.proofs, Proofs::v1(secret.clone()));
        let headers: Vec<_> = found.proofs.headers("msg_1", moment(), b"{}").into_iter().collect();
        let signature = headers.iter().find(|(name, _)| *name == "webhook-signature").map(|(_, value)| value.expose());
        assert_eq!(signature, Some(&*secret.sign("msg_1", moment(), b"{}")));
        assert_eq!(headers.len(), 3, "id, time and signature, and nothing else");
        // Processes of the release before read what this one writes again.
        let again: serde_json::Value = serde_json::from_str(&write(&found, &keys).unwrap()).unwrap();
        let members: Vec<&String> = again.as_object().unwrap().keys().collect();
        let was: serde_json::Value = serde_json::from_str(&before).unwrap();
        assert!(members.iter().all(|member| was.get(member.as_str()).is_some()), "{members:?}");
    }
}
