//! What a process shows a server that asks for a certificate of its clients.

use dockbell_proto::secret::Secret;

/// A certificate with its chain, and the key that belongs to it, both in PEM. Whoever makes one has checked that they go
/// together; a server would only say that it refuses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, and those between it and the authority.
    pub chain: String,
    /// The key, without a password.
    pub key: Secret,
}
