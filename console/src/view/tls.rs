//! What a webhook says about the TLS of its receiver, as the API shows and takes it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use dockbell_proto::tls::TargetTls;

use super::MASK;

/// What is otherwise of the TLS of a receiver. It counts for `https` alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Tls)]
pub struct TlsView {
    /// Certificates (PEM), any of which may vouch for it, besides those that the system and the operator trust; 16 at most.
    #[schema(max_length = 65536)]
    pub ca_certificates: Option<String>,
    /// What is shown to it, if it asks: a certificate, and those between it and its authority (PEM).
    #[schema(max_length = 65536)]
    pub client_certificate: Option<String>,
    /// The key of that certificate (PEM, without a password), masked when it is shown.
    #[schema(max_length = 16384)]
    pub client_key: Option<String>,
    /// Whether it is believed whatever it shows; the operator must allow that.
    #[schema(default = false)]
    pub skip_verify: bool,
}

impl From<&TargetTls> for TlsView {
    fn from(tls: &TargetTls) -> Self {
        Self {
            ca_certificates: tls.ca_certificates.clone(),
            client_certificate: tls.client.as_ref().map(|client| client.chain.clone()),
            client_key: tls.client.as_ref().map(|_| MASK.to_owned()),
            skip_verify: tls.skip_verify,
        }
    }
}
