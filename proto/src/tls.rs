//! What a webhook says about the TLS of its receiver.

use std::fmt;

use crate::ids::fingerprint;
use crate::secret::Secret;

/// The most bytes of the certificates of one webhook.
pub const CERTIFICATES_LIMIT: usize = 64 * 1024;
/// The most certificates that may vouch for its receiver.
pub const AUTHORITIES_LIMIT: usize = 16;
/// The most bytes of the key of its own certificate.
pub const KEY_LIMIT: usize = 16 * 1024;

/// What of the TLS of a webhook's receiver is otherwise than for all. It counts for `https` alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetTls {
    /// Certificates (PEM), any of which may vouch for the receiver, besides those that the system and the operator trust.
    pub ca_certificates: Option<String>,
    /// What is shown to a receiver that asks for a certificate.
    pub client: Option<ClientCertificate>,
    /// Whether the receiver is believed whatever it shows, if the operator allows that.
    pub skip_verify: bool,
}

/// A certificate of a webhook's own, with its key.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its authority (PEM).
    pub chain: String,
    /// Its key (PEM).
    pub key: Secret,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate")
    }
}

impl TargetTls {
    /// Whether it is as for all.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// By which it is known again: connections that were made otherwise are not shared.
    pub fn fingerprint(&self) -> [u8; 16] {
        let client = self.client.as_ref();
        let parts = [
            self.ca_certificates.as_deref().unwrap_or_default(),
            client.map_or("", |client| client.chain.as_str()),
            client.map_or("", |client| client.key.expose()),
            if self.skip_verify { "skip" } else { "" },
        ];
        fingerprint(&parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_tells_one_from_another() {
        let client =
            |chain: &str, key: &str| Some(ClientCertificate { chain: chain.to_owned(), key: Secret::new(key) });
        let all = [
            TargetTls::default(),
            TargetTls { ca_certificates: Some("a".to_owned()), ..TargetTls::default() },
            TargetTls { client: client("a", ""), ..TargetTls::default() },
            TargetTls { client: client("", "a"), ..TargetTls::default() },
            TargetTls { client: client("a", "b"), ..TargetTls::default() },
            TargetTls { skip_verify: true, ..TargetTls::default() },
        ];
        let distinct: std::collections::HashSet<_> = all.iter().map(TargetTls::fingerprint).collect();
        assert_eq!(distinct.len(), all.len());
        assert!(!format!("{:?}", all[4]).contains('b'), "{:?}", all[4]);
    }
}
