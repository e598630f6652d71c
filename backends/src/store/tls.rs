//! What webhooks say about the TLS of their receivers, as it is kept.

use dockbell_proto::secret::Secret;
use dockbell_proto::tls::{ClientCertificate, TargetTls};
use serde::{Deserialize, Serialize};

/// The same as texts. There is no `Debug`: it would show a key that is not sealed.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptTls {
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_certificates: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<KeptClient>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    skip_verify: bool,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct KeptClient {
    chain: String,
    key: String,
}

impl KeptTls {
    pub(super) fn of(tls: &TargetTls) -> Self {
        let kept = |client: &ClientCertificate| KeptClient {
            chain: client.chain.clone(),
            key: client.key.expose().to_owned(),
        };
        Self {
            ca_certificates: tls.ca_certificates.clone(),
            client: tls.client.as_ref().map(kept),
            skip_verify: tls.skip_verify,
        }
    }

    pub(super) fn read(self) -> TargetTls {
        let client = self.client.map(|client| ClientCertificate { chain: client.chain, key: Secret::new(client.key) });
        TargetTls { ca_certificates: self.ca_certificates, client, skip_verify: self.skip_verify }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Every secret, by the name of its field.
    pub(super) fn texts(&mut self) -> impl Iterator<Item = (String, &mut String)> {
        self.client.iter_mut().map(|client| ("client key".to_owned(), &mut client.key))
    }
}
