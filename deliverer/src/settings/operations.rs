//! Where operator events are sent, as it is configured.

use dockbell_chassis::config::Reader;
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::signature::SigningSecret;
use dockbell_proto::target::TargetUrl;

use crate::operations::OperatorTarget;

const URL: &str = "operations.url";
const SECRET: &str = "operations.secret";

/// Reads the operator's URL and secret; none if neither is set. What is wrong is noted in `reader`.
pub(super) fn read(reader: &mut Reader) -> Option<OperatorTarget> {
    let (url, secret) = (reader.text(URL), reader.text(SECRET));
    for (given, missing, key) in [(&url, &secret, SECRET), (&secret, &url, URL)] {
        if given.is_some() && missing.is_none() {
            reader.reject(key, format!("is missing: {URL} and {SECRET} are of no use without each other"));
        }
    }
    let url = TargetUrl::parse(&url?, &AddressPolicy::permitting_all());
    let url = url.map_err(|error| reader.reject(URL, error.to_string())).ok();
    let secret = SigningSecret::parse(&secret?);
    let secret = secret.map_err(|error| reader.reject(SECRET, error.to_string())).ok();
    Some(OperatorTarget { url: url?, secret: secret? })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use dockbell_chassis::config::Sources;

    use super::*;

    fn read_from(file: &str) -> Result<Option<OperatorTarget>, String> {
        let file = Some((PathBuf::from("dockbell.toml"), file.to_owned()));
        let mut reader = Reader::new(Sources { file, ..Sources::default() });
        let target = read(&mut reader);
        reader.finish().map(|()| target).map_err(|errors| errors.to_string())
    }

    #[test]
    fn the_operators_url_may_be_private_and_needs_a_secret() {
        assert_eq!(read_from(""), Ok(None));
        let secret = SigningSecret::from_random([9; 32]);
        let both = format!("[operations]\nurl = \"http://10.0.0.7/canary\"\nsecret = \"{}\"", secret.expose());
        let target = read_from(&both).unwrap().unwrap();
        assert_eq!((target.url.host(), target.secret), ("10.0.0.7", secret));
        for (file, told) in [
            ("operations.url = \"https://ops.test/canary\"", "operations.secret: is missing"),
            ("operations.secret = \"whsec_canary\"", "operations.url: is missing"),
            (
                "[operations]\nurl = \"ops.test/canary\"\nsecret = \"whsec_canary\"",
                "operations.secret: a signing secret",
            ),
            ("[operations]\nurl = \"ftp://ops.test/canary\"\nsecret = \"whsec_canary\"", "operations.url: url must"),
        ] {
            let error = read_from(file).unwrap_err();
            assert!(error.contains(told) && !error.contains("canary"), "{error}");
        }
    }
}
