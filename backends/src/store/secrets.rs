//! The secrets of a webhook as they are kept, sealed if there is a key. Both stores keep them so.

use std::collections::BTreeMap;

use dockbell_proto::ids::WebhookId;
use dockbell_proto::proof::Proofs;
use dockbell_proto::secret::Secret;
use dockbell_proto::tls::TargetTls;
use dockbell_proto::webhook::Webhook;
use serde::{Deserialize, Serialize};

use super::proofs::KeptProofs;
use super::tls::KeptTls;
use crate::keyring::{Keyring, Place, is_sealed};

/// The secrets of a webhook as texts. There is no `Debug`: it would show what is not sealed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeptSecrets {
    pub(crate) url: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// The current signing secret.
    pub(crate) secret: String,
    #[serde(default, skip_serializing_if = "KeptProofs::is_default")]
    pub(crate) proofs: KeptProofs,
    #[serde(default, skip_serializing_if = "KeptTls::is_default")]
    pub(crate) tls: KeptTls,
}

/// The same as what they are.
pub(crate) struct Opened {
    pub(crate) url: Secret,
    pub(crate) headers: BTreeMap<String, Secret>,
    pub(crate) proofs: Proofs,
    pub(crate) tls: TargetTls,
}

impl KeptSecrets {
    /// Those of a webhook, sealed.
    pub(crate) fn of(webhook: &Webhook, keys: &Keyring) -> Self {
        let headers = webhook.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        let mut kept = Self {
            url: webhook.url.expose().to_owned(),
            headers: headers.collect(),
            secret: webhook.proofs.secret.current.expose(),
            proofs: KeptProofs::of(&webhook.proofs),
            tls: KeptTls::of(&webhook.tls),
        };
        for (field, text) in kept.texts() {
            *text = keys.seal(Place { webhook: &webhook.id, field: &field }, text);
        }
        kept
    }

    /// Opens those of the webhook of this id. An error shows nothing of them.
    pub(crate) fn open(mut self, id: &WebhookId, keys: &Keyring) -> Result<Opened, String> {
        let texts = self.texts();
        // Whoever may write to the database could have what is sealed sent to a URL of his own.
        let sealed = texts.iter().filter(|(_, text)| is_sealed(text)).count();
        if sealed != 0 && sealed != texts.len() {
            return Err(
                "some of its secrets are sealed and some are not, which nobody wrote who has the keys".to_owned()
            );
        }
        for (field, text) in texts {
            *text = keys.open(Place { webhook: id, field: &field }, text)?;
        }
        Ok(Opened {
            url: Secret::new(self.url),
            headers: self.headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
            proofs: self.proofs.read(&self.secret)?,
            tls: self.tls.read(),
        })
    }

    /// Whether all are sealed under the key that seals now, or none if there is no key.
    pub(crate) fn are_current(mut self, keys: &Keyring) -> bool {
        self.texts().into_iter().all(|(_, text)| keys.is_current(text))
    }

    /// Every secret, by the name of its field.
    fn texts(&mut self) -> Vec<(String, &mut String)> {
        let headers = self.headers.iter_mut().map(|(name, value)| (format!("header {name}"), value));
        let own = [("url".to_owned(), &mut self.url), ("secret".to_owned(), &mut self.secret)];
        own.into_iter().chain(headers).chain(self.proofs.texts()).chain(self.tls.texts()).collect()
    }
}
