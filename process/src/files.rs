//! Settings that name files: certificates and keys.

use std::path::PathBuf;

use dockbell_chassis::config::Reader;
use dockbell_chassis::crypto::Identity;

use crate::command::chain;

/// The files of a certificate and its key; one without the other is of no use.
pub(crate) fn pair(reader: &mut Reader, certificate: &str, key: &str) -> Option<(PathBuf, PathBuf)> {
    match (reader.text(certificate), reader.text(key)) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        (Some(_), None) => {
            reader.reject(key, format!("is missing: {certificate} is set, and needs its key"));
            None
        }
        (None, Some(_)) => {
            reader.reject(certificate, format!("is missing: {key} is set, and needs its certificate"));
            None
        }
    }
}

/// What a server is shown that asks for it, by the settings `client_cert_file` and `client_key_file` of a section.
pub(crate) fn client_identity(reader: &mut Reader, section: &str) -> Option<Identity> {
    let (certificate_key, key_key) = (format!("{section}.client_cert_file"), format!("{section}.client_key_file"));
    let (certificate, key) = pair(reader, &certificate_key, &key_key)?;
    let read = Identity::read(&certificate, &key);
    let told = |error| format!("{} and {} {}", certificate.display(), key.display(), chain(&error));
    read.map_err(|error| reader.reject(&certificate_key, told(error))).ok()
}

/// The content of the file that a setting names.
pub fn content(reader: &mut Reader, key: &str) -> Option<Vec<u8>> {
    let path = reader.text(key)?;
    std::fs::read(&path).map_err(|error| reader.reject(key, format!("the file {path} cannot be read: {error}"))).ok()
}
