//! The settings of sources: `sources.NAME.*`.

use dockbell_chassis::config::Reader;
use dockbell_proto::credential::{Credential, Proof};
use dockbell_proto::ids::SourceName;
use dockbell_proto::input::InputFormat;
use dockbell_proto::names::Registry;
use dockbell_proto::secret::Secret;

use crate::source::Source;

/// What stands in paths is seen by proxies and in histories: it should not be guessed from them.
const PATH_SECRET: usize = 16;

/// What a source is told but for its secret, which the default one may be given elsewhere.
#[derive(Debug, Clone, Default)]
pub struct SourceSettings {
    /// The format it reports in.
    pub format: InputFormat,
    /// The registry of events that do not say it.
    pub registry: Option<Registry>,
    /// How it shows its secret.
    pub proof: Proof,
}

impl SourceSettings {
    /// Reads what stands below `sources.NAME`, but for the secret.
    pub(super) fn read(reader: &mut Reader, name: &str) -> Self {
        let key = |member: &str| format!("sources.{name}.{member}");
        let formats = format!("one of {}", InputFormat::ALL.map(InputFormat::as_str).join(", "));
        let host = "a registry's host, optionally with a port";
        Self {
            format: reader.get(&key("format"), &formats, InputFormat::parse).unwrap_or_default(),
            registry: reader.get(&key("registry"), host, |text| Registry::parse(text).ok()),
            proof: read_proof(reader, &key("auth"), &key("user")),
        }
    }

    /// The source of this name and secret.
    pub(super) fn into_source(self, name: SourceName, secret: Secret) -> Source {
        let credential = Credential { proof: self.proof, secret };
        Source { name, format: self.format, credential, registry: self.registry }
    }
}

/// Reads a source that must have a secret of its own.
pub(super) fn read_source(reader: &mut Reader, name: &str) -> Option<Source> {
    let settings = SourceSettings::read(reader, name);
    let key = format!("sources.{name}.token");
    let secret = reader.text(&key).map(Secret::new);
    match &secret {
        None => reader.reject(&key, "is missing: a source needs a secret, which it shows as `auth` says"),
        Some(secret) => check(reader, &key, &settings.proof, secret),
    }
    match SourceName::parse(name) {
        Ok(name) => Some(settings.into_source(name, secret?)),
        Err(error) => {
            reader.reject(&format!("sources.{name}"), error.to_string());
            None
        }
    }
}

/// Rejects a secret that could not be shown in this way.
pub(super) fn check(reader: &mut Reader, key: &str, proof: &Proof, secret: &Secret) {
    let text = secret.expose();
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if *proof == Proof::Path && (text.len() < PATH_SECRET || !text.bytes().all(is_unreserved)) {
        reader.reject(key, "must be at least 16 letters, digits, `-`, `.`, `_` or `~`, because it stands in a path");
    }
    let is_header = text.trim() == text && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if matches!(proof, Proof::Bearer | Proof::Authorization) && !is_header {
        reader.reject(key, "must be ASCII without blanks at its ends, because it stands in a header");
    }
}

fn read_proof(reader: &mut Reader, key: &str, user_key: &str) -> Proof {
    let user = reader.get(user_key, "a name without a colon", |text| {
        (!text.is_empty() && !text.contains(':')).then(|| text.to_owned())
    });
    let basic = |user: Option<&String>| Proof::Basic { user: user.cloned().unwrap_or_default() };
    let proof = reader.get(key, "one of bearer, basic, authorization, signature, path", |text| match text {
        "bearer" => Some(Proof::Bearer),
        "basic" => Some(basic(user.as_ref())),
        "authorization" => Some(Proof::Authorization),
        "signature" => Some(Proof::Signature),
        "path" => Some(Proof::Path),
        _ => None,
    });
    let proof = proof.unwrap_or_default();
    match (&proof, reader.is_given(user_key)) {
        (Proof::Basic { .. }, false) => reader.reject(user_key, "is missing: `auth = \"basic\"` needs a user"),
        (Proof::Basic { .. }, true) | (_, false) => {}
        (_, true) => reader.reject(user_key, "has no meaning unless `auth` is `basic`"),
    }
    proof
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use dockbell_chassis::config::Sources;

    use super::*;

    /// The source of a file's `[sources.hub]`, or what is wrong with it.
    fn read(members: &str) -> Result<Option<Source>, String> {
        let text = format!("[sources.hub]\n{members}\n");
        let mut reader = Reader::new(Sources { file: Some((PathBuf::from("f.toml"), text)), ..Sources::default() });
        reader.table_names("sources");
        let source = read_source(&mut reader, "hub");
        reader.finish().map(|()| source).map_err(|error| error.to_string())
    }

    #[test]
    fn a_source_shows_its_secret_as_it_is_told() {
        let proof = |members: &str| read(members).unwrap().unwrap().credential.proof;
        assert_eq!(proof("token = \"canary\""), Proof::Bearer);
        let basic = proof("token = \"canary\"\nauth = \"basic\"\nuser = \"alice\"");
        assert_eq!(basic, Proof::Basic { user: "alice".to_owned() });
        assert_eq!(proof("token = \"Bearer x\"\nauth = \"authorization\""), Proof::Authorization);
        assert_eq!(proof("token = \"canary\"\nauth = \"signature\""), Proof::Signature);
        assert_eq!(proof("token = \"canary-0123456789\"\nauth = \"path\""), Proof::Path);
    }

    #[test]
    fn what_does_not_fit_together_is_told_without_the_secret() {
        for (members, told) in [
            ("auth = \"bearer\"", "sources.hub.token is missing"),
            ("token = \"canary\"\nauth = \"magic\"", "bearer, basic, authorization, signature, path"),
            ("token = \"canary\"\nauth = \"basic\"", "sources.hub.user is missing"),
            ("token = \"canary\"\nauth = \"basic\"\nuser = \"a:b\"", "without a colon"),
            ("token = \"canary\"\nuser = \"alice\"", "sources.hub.user has no meaning"),
            ("token = \"canary\"\nauth = \"path\"", "at least 16"),
            ("token = \"canary/0123456789\"\nauth = \"path\"", "stands in a path"),
            ("token = \"canäry\"", "stands in a header"),
            ("token = \"canary\"\nformat = \"gitea\"", "alibaba, jfrog, eventgrid"),
        ] {
            let problem = read(members).unwrap_err();
            assert!(problem.replace(": ", " ").contains(told), "{problem} does not tell {told}");
            assert!(!problem.contains("can"), "{problem}");
        }
    }
}
