//! The one provider of cryptography for every TLS connection of the process.

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
