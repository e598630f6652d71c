//! Who may vouch for receivers, besides those whom the system trusts.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Certificates of authorities that an operator trusts.
#[derive(Debug, Clone, Default)]
pub struct Roots(Vec<CertificateDer<'static>>);

/// The file holds no certificates that could vouch for anybody.
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
