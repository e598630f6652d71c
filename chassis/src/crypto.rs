//! The one provider of cryptography for every TLS connection of the process.

mod believed;
mod identity;
mod roots;

use rustls::ClientConfig;

pub use believed::{Believed, OwnTls};
pub use identity::{Identity, IdentityError};
pub use roots::{Roots, RootsError};

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
