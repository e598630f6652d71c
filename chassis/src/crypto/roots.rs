//! Who may vouch for servers, besides those whom the system trusts.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Certificates of authorities that somebody trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots(Vec<CertificateDer<'static>>);

/// What was given holds no certificates that could vouch for anybody.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// There is no certificate in it.
    #[error("holds no certificate (PEM)")]
    Empty,
    /// What is in it cannot be read.
    #[error("holds what is no certificate (PEM)")]
    Unreadable,
}

impl Roots {
    /// Reads certificates in PEM.
    pub fn read(pem: &[u8]) -> Result<Self, RootsError> {
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| RootsError::Unreadable)?;
            // The client would only say so when it is made, and not of which file.
            RootCertStore::empty().add(certificate.clone()).map_err(|_| RootsError::Unreadable)?;
            certificates.push(certificate);
        }
        if certificates.is_empty() { Err(RootsError::Empty) } else { Ok(Self(certificates)) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        assert!(matches!(Roots::read(b""), Err(RootsError::Empty)));
        assert!(matches!(Roots::read(b"certificates"), Err(RootsError::Empty)));
        let broken = b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n";
        assert!(matches!(Roots::read(broken), Err(RootsError::Unreadable)));
    }
}
