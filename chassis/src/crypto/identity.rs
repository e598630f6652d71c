//! A certificate with its key: what a process proves itself with, to clients or to servers.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// A certificate with its chain, and the key that belongs to it, both in PEM.
#[derive(Clone)]
pub struct Identity {
    chain: Vec<u8>,
    key: Vec<u8>,
    certified: Arc<CertifiedKey>,
}

/// What is wrong with a certificate and its key. Nothing of the key is shown.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file is not there or may not be read.
    #[error("cannot be read: {0}")]
    File(#[source] io::Error),
    /// The one holds no certificate.
    #[error("do not go together: the first holds no certificate (PEM)")]
    NoCertificate,
    /// The other holds no key.
    #[error("do not go together: the second holds no private key (PEM, without a password)")]
    NoKey,
    /// The key is of another certificate, or of a kind that is not known.
    #[error("do not go together: {0}")]
    Unusable(#[source] rustls::Error),
}

impl Identity {
    /// Reads both files, and checks that they go together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let read = |path| std::fs::read(path).map_err(IdentityError::File);
        Self::from_pem(read(certificate)?, read(key)?)
    }

    /// Reads both from PEM, and checks that they go together.
    pub fn from_pem(chain: Vec<u8>, key: Vec<u8>) -> Result<Self, IdentityError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
        let certificates = certificates.ok().filter(|found| !found.is_empty()).ok_or(IdentityError::NoCertificate)?;
        let private = PrivateKeyDer::from_pem_slice(&key).map_err(|_| IdentityError::NoKey)?;
        let certified = CertifiedKey::from_der(certificates, private, &ring::default_provider());
        Ok(Self { chain, key, certified: Arc::new(certified.map_err(IdentityError::Unusable)?) })
    }

    /// The certificate with its chain, in PEM.
    pub fn chain(&self) -> &[u8] {
        &self.chain
    }

    /// The key, in PEM.
    pub fn expose_key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        (&self.chain, &self.key) == (&other.chain, &other.key)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}
