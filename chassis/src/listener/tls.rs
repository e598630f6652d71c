//! TLS of our own listeners, with a certificate that may be replaced while the process runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::crypto::{Identity, IdentityError};

/// How old what is known of the files may be. Renewed certificates overlap with those before by days.
const LOOKED_AT: Duration = Duration::from_secs(10);

/// What a listener shows its clients: a certificate with its chain, and the key, from two files (PEM). When the files
/// change, new connections see what they hold then; while they hold nothing usable, what they held before.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
}

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the certificate {certificate} and the key {key}")]
pub struct ServerTlsError {
    certificate: PathBuf,
    key: PathBuf,
    source: IdentityError,
}

impl ServerTls {
    /// Reads the files.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, ServerTlsError> {
        let refuse = |source| ServerTlsError { certificate: certificate.to_owned(), key: key.to_owned(), source };
        let renewed = Renewed::read(certificate.to_owned(), key.to_owned()).map_err(refuse)?;
        let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse(IdentityError::Unusable(error)))?;
        let mut config = versions.with_no_client_auth().with_cert_resolver(Arc::new(renewed));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config) })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// What the files hold, looked at again and again.
#[derive(Debug)]
struct Renewed {
    certificate: PathBuf,
    key: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    identity: Identity,
    looked_at: Instant,
}

impl Renewed {
    fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, IdentityError> {
        let identity = Identity::read(&certificate, &key)?;
        Ok(Self { certificate, key, known: Mutex::new(Known { identity, looked_at: Instant::now() }) })
    }

    /// Two small files are read now and then by who happens to connect.
    fn current(&self) -> Arc<CertifiedKey> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.looked_at.elapsed() >= LOOKED_AT {
            known.looked_at = Instant::now();
            match Identity::read(&self.certificate, &self.key) {
                Ok(identity) if identity != known.identity => {
                    tracing::info!(path = %self.certificate.display(), "a renewed certificate is shown from now on");
                    known.identity = identity;
                }
                Ok(_) => {}
                Err(error) => {
                    let path = self.certificate.display();
                    tracing::warn!(%path, %error, "the renewed certificate cannot be used; the one before is shown");
                }
            }
        }
        known.identity.certified()
    }
}

impl ResolvesServerCert for Renewed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}
