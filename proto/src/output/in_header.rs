//! The name of a repository as a header carries it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::names::Repository;

/// The longest that a name may be in a header, in bytes: every name of OCI's grammar fits.
const LIMIT: usize = 256;
/// What does not stand as it is. Every character of OCI's grammar does, and upper case, which some registries allow.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-').remove(b'/');

/// The name as it is if OCI's grammar allows it, else percent-encoded: receivers and proxies answer raw bytes with 400,
/// or show them as what they are not. None if it does not fit then; its delivery is sent without.
pub fn in_header(repository: &Repository) -> Option<String> {
    let value = utf8_percent_encode(repository.as_str(), ENCODED).to_string();
    (value.len() <= LIMIT).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::REPOSITORY_LIMIT;

    #[test]
    fn a_name_that_is_no_header_is_encoded_and_one_that_does_not_fit_is_left_out() {
        let longest = "a".repeat(REPOSITORY_LIMIT);
        for (name, value) in [
            ("team/app.a_b__c---d0", Some("team/app.a_b__c---d0")),
            (&longest, Some(&longest)),
            ("Team/App", Some("Team/App")),
            ("tëam/app", Some("t%C3%ABam/app")),
            ("100%/a+b", Some("100%25/a%2Bb")),
            ("a\u{202e}b/\"<>", Some("a%E2%80%AEb/%22%3C%3E")),
            (&"é".repeat(42), Some(&"%C3%A9".repeat(42))),
            (&"é".repeat(43), None),
        ] {
            let found = in_header(&Repository::parse(name).unwrap());
            assert_eq!(found.as_deref(), value, "{name}");
            assert!(found.is_none_or(|value| value.bytes().all(|byte| byte.is_ascii_graphic())));
        }
    }
}
