//! What a webhook says about the TLS of its receiver, as it is typed and shown.

use dockbell_console::TlsView;
use dockbell_proto::secret::Secret;
use serde_json::{Map, Value};

/// What is said about it.
#[derive(Debug, clap::Args)]
pub(super) struct Said {
    /// A file of certificates (PEM), any of which may vouch for the receiver, besides those that the system and the operator
    /// trust
    #[arg(long, value_name = "FILE", value_parser = content)]
    ca_file: Option<String>,
    /// A file with the certificate (PEM) that is shown to a receiver that asks for one
    #[arg(long, value_name = "FILE", value_parser = content)]
    client_cert_file: Option<String>,
    /// The file of its key (PEM)
    #[arg(long, value_name = "FILE", value_parser = secret_content)]
    client_key_file: Option<Secret>,
    /// Believe the receiver whatever it shows, if the operator allows that
    #[arg(long, value_name = "WHETHER", num_args = 0..=1, default_missing_value = "true")]
    skip_verify: Option<bool>,
}

impl Said {
    /// The members that are said.
    pub(super) fn members(&self) -> Map<String, Value> {
        let texts = [
            ("ca_certificates", self.ca_file.clone()),
            ("client_certificate", self.client_cert_file.clone()),
            ("client_key", self.client_key_file.as_ref().map(|key| key.expose().to_owned())),
        ];
        let mut members: Map<String, Value> =
            texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::String(text?)))).collect();
        members.extend(self.skip_verify.map(|skips| ("skip_verify".to_owned(), Value::Bool(skips))));
        members
    }
}

fn content(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("the file cannot be read: {error}"))
}

fn secret_content(path: &str) -> Result<Secret, String> {
    content(path).map(Secret::new)
}

/// It as the fields of a webhook; none, if it is as for all.
pub(super) fn fields(tls: &TlsView) -> Vec<(&'static str, String)> {
    let count = |pem: &str| format!("{} of its own", pem.matches("BEGIN CERTIFICATE").count());
    let authorities = tls.ca_certificates.as_deref().map(|pem| ("authorities", count(pem)));
    let certificate = tls.client_certificate.as_ref().map(|_| ("client certificate", "its own".to_owned()));
    let skips = tls.skip_verify.then(|| ("verification", "skipped".to_owned()));
    [authorities, certificate, skips].into_iter().flatten().collect()
}
