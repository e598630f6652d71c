//! Which servers a client believes, and what it shows them.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::{Identity, Roots, install_crypto_provider};

/// Who may vouch for servers, whichever client asks.
#[derive(Debug, Clone)]
pub struct Believed(Vec<Arc<dyn ServerCertVerifier>>);

/// What of the TLS of some servers is otherwise than that of all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OwnTls {
    /// Who may vouch for them too.
    pub roots: Roots,
    /// What is shown to them, if they ask.
    pub identity: Option<Identity>,
    /// Whether they are believed whatever they show.
    pub skip_verify: bool,
}

impl Believed {
    /// The authorities of the platform, and these. Where there is nobody to verify servers by, none is believed, and that is
    /// logged.
    pub fn platform_and(extra: &Roots) -> Self {
        install_crypto_provider();
        match Verifier::new_with_extra_roots(extra.certificates(), provider()) {
            Ok(verifier) => Self(vec![Arc::new(verifier)]),
            Err(error) => {
                tracing::warn!(error = %error, "https servers cannot be verified: install the package ca-certificates");
                Self(Vec::new())
            }
        }
    }

    /// The TLS of a client of servers of which this is otherwise.
    pub fn client(&self, own: &OwnTls) -> Result<ClientConfig, Error> {
        let provider = provider();
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let judge = Judge { any_of: self.with(&own.roots)?, skips: own.skip_verify, provider };
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(judge));
        Ok(match &own.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified()))),
            None => builder.with_no_client_auth(),
        })
    }

    fn with(&self, roots: &Roots) -> Result<Vec<Arc<dyn ServerCertVerifier>>, Error> {
        let mut any_of = self.0.clone();
        if !roots.is_empty() {
            let mut store = RootCertStore::empty();
            for certificate in roots.certificates() {
                store.add(certificate)?;
            }
            let own = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider());
            any_of.push(own.build().map_err(|error| Error::General(error.to_string()))?);
        }
        Ok(any_of)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Judges the certificates of servers by several verifiers, any of which may believe them. That a server has the key of its
/// certificate is verified in any case.
#[derive(Debug)]
struct Judge {
    any_of: Vec<Arc<dyn ServerCertVerifier>>,
    skips: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.skips {
            return Ok(ServerCertVerified::assertion());
        }
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let mut refusal = unknown.clone();
        for verifier in &self.any_of {
            match verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
                Ok(verified) => return Ok(verified),
                // What one says who knows the authority is worth more.
                Err(error) if error != unknown => refusal = error,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
