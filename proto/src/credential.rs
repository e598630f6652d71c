//! How a source proves that a request comes from it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::secret::Secret;

/// Where a source shows its secret, or that it has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Proof {
    /// `Authorization: Bearer`, and the secret.
    #[default]
    Bearer,
    /// `Authorization: Basic`, with this user and the secret as the password.
    Basic {
        /// The user.
        user: String,
    },
    /// `Authorization`, of which the secret is the whole value, as Harbor sends it.
    Authorization,
    /// `X-Hub-Signature-256`: the HMAC-SHA256 of the body under the secret, as GitHub sends it.
    Signature,
    /// The secret is the last segment of the path, for what can send nothing but a URL.
    Path,
}

/// What a request shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presented<'a> {
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The header `X-Hub-Signature-256`.
    pub signature: Option<&'a str>,
    /// What stood in the path behind the name of the source.
    pub segment: Option<&'a str>,
}

/// The secret of a source, and how it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// How it is shown.
    pub proof: Proof,
    /// The secret.
    pub secret: Secret,
}

impl Credential {
    /// Whether a request may go on to have its body read. Only a signature needs the body to be judged.
    pub fn may_admit(&self, presented: Presented<'_>) -> bool {
        match self.proof {
            Proof::Signature => presented.signature.is_some(),
            _ => self.admits(presented, b""),
        }
    }

    /// Whether a request with this body comes from the source. The time it takes does not depend on where the secret
    /// and what was presented differ.
    pub fn admits(&self, presented: Presented<'_>, body: &[u8]) -> bool {
        let (secret, authorization) = (&self.secret, presented.authorization);
        match &self.proof {
            Proof::Bearer => scheme(authorization, "Bearer").is_some_and(|token| secret.matches(token)),
            Proof::Basic { user } => {
                let decoded = scheme(authorization, "Basic").and_then(|encoded| STANDARD.decode(encoded).ok());
                let expected = Secret::new(format!("{user}:{}", secret.expose()));
                decoded.and_then(|pair| String::from_utf8(pair).ok()).is_some_and(|pair| expected.matches(&pair))
            }
            Proof::Authorization => authorization.is_some_and(|value| secret.matches(value.trim())),
            Proof::Signature => presented.signature.is_some_and(|signature| self.signed(signature, body)),
            Proof::Path => presented.segment.is_some_and(|segment| secret.matches(segment)),
        }
    }

    fn signed(&self, signature: &str, body: &[u8]) -> bool {
        #[expect(clippy::expect_used, reason = "HMAC accepts keys of every length")]
        let mut code = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()).expect("any length is accepted");
        code.update(body);
        let presented = signature.strip_prefix("sha256=").and_then(unhex);
        presented.is_some_and(|presented| code.verify_slice(&presented).is_ok())
    }
}

/// What stands behind a scheme, which has no case; never nothing.
///
/// Source: RFC 9110, section 11.1.
fn scheme<'a>(authorization: Option<&'a str>, expected: &str) -> Option<&'a str> {
    let (scheme, credentials) = authorization?.split_once(' ')?;
    Some(credentials.trim()).filter(|text| !text.is_empty() && scheme.eq_ignore_ascii_case(expected))
}

/// The bytes of hexadecimal digits in either case.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let is_hex = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| text.as_bytes().chunks(2).map(digits).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(proof: Proof) -> Credential {
        Credential { proof, secret: Secret::new("canary") }
    }

    fn by_header(proof: Proof, authorization: &str) -> bool {
        let presented = Presented { authorization: Some(authorization), ..Presented::default() };
        let credential = credential(proof);
        assert_eq!(credential.may_admit(presented), credential.admits(presented, b"any"));
        credential.admits(presented, b"any")
    }

    #[test]
    fn bearer_basic_and_a_whole_header_are_told_apart() {
        let basic = || Proof::Basic { user: "alice".to_owned() };
        for good in ["Bearer canary", "bearer canary", "BEARER  canary "] {
            assert!(by_header(Proof::Bearer, good), "{good}");
        }
        for good in ["Basic YWxpY2U6Y2FuYXJ5", "basic YWxpY2U6Y2FuYXJ5"] {
            assert!(by_header(basic(), good), "{good}");
        }
        assert!(by_header(Proof::Authorization, "canary"));
        for bad in ["", "Bearer", "Bearer ", "Bearer Canary", "Basic", "Basic ????", "Basic Ym9iOmNhbmFyeQ==", "Canary"]
        {
            for proof in [Proof::Bearer, basic(), Proof::Authorization, Proof::Signature, Proof::Path] {
                assert!(!by_header(proof, bad), "{bad}");
            }
        }
    }

    /// The example of GitHub's documentation, *Validating webhook deliveries*.
    #[test]
    fn a_signature_covers_the_body() {
        let credential = Credential { proof: Proof::Signature, secret: Secret::new("It's a Secret to Everybody") };
        let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let presented = |signature| Presented { signature: Some(signature), ..Presented::default() };
        assert!(credential.may_admit(presented(good)) && credential.admits(presented(good), b"Hello, World!"));
        let upper = good.replace("757107ea", "757107EA");
        assert!(credential.admits(presented(&upper), b"Hello, World!"));
        assert!(!credential.admits(presented(good), b"Hello, World?"));
        for bad in ["", "sha256=", "sha256=75", "sha1=757107ea", "sha256=é7", &good.replace('7', "8")] {
            assert!(!credential.admits(presented(bad), b"Hello, World!"), "{bad}");
        }
        assert!(!credential.may_admit(Presented::default()));
    }

    #[test]
    fn a_segment_of_the_path_is_compared_whole() {
        let presented = |segment| Presented { segment: Some(segment), ..Presented::default() };
        assert!(credential(Proof::Path).admits(presented("canary"), b""));
        for bad in ["", "canar", "canaryy", "Canary"] {
            assert!(!credential(Proof::Path).admits(presented(bad), b""), "{bad}");
        }
        assert!(!credential(Proof::Bearer).admits(presented("canary"), b""), "only where it is so configured");
    }
}
