//! The one provider of cryptography for every TLS connection of the process.

mod identity;

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;

pub use identity::{Identity, IdentityError};

/// Makes rustls use ring everywhere. Calling it again changes nothing.
///
/// Without it the first TLS client of the process panics, because no provider is built in.
pub fn install_crypto_provider() {
    let provider = rustls::crypto::ring::default_provider();
    if provider.install_default().is_err() {
        // Refused only because a provider is installed already, which is what the caller wants.
        tracing::trace!("a crypto provider is installed already");
    }
}

/// Builds an HTTP client, whose servers are verified against the platform's roots.
///
/// A platform without any roots, such as a bare container, gets a client that reaches no https server, and a
/// warning, rather than a process that cannot start although it may only ever dial http.
pub fn http_client(configured: impl Fn() -> reqwest::ClientBuilder) -> Result<reqwest::Client, reqwest::Error> {
    install_crypto_provider();
    configured().build().or_else(|error| {
        let rootless = configured().tls_backend_preconfigured(without_roots()).build()?;
        tracing::warn!(error = %error, "https servers cannot be verified: install the package ca-certificates");
        Ok(rootless)
    })
}

/// The TLS of a client whose servers are verified against the platform's roots, and by whom `extra` are. Where there is
/// nobody to verify them by, no server is believed, and that is logged.
pub fn tls_client(extra: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    install_crypto_provider();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    match Verifier::new_with_extra_roots(extra, provider) {
        Ok(verifier) => {
            let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
            Ok(builder.with_no_client_auth())
        }
        Err(error) => {
            tracing::warn!(error = %error, "https servers cannot be verified: install the package ca-certificates");
            Ok(without_roots())
        }
    }
}

/// A TLS configuration that trusts nobody.
pub(crate) fn without_roots() -> ClientConfig {
    ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_can_be_installed_twice() {
        install_crypto_provider();
        install_crypto_provider();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
