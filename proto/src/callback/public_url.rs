//! The URL by which receivers reach the API.

use std::fmt;

use super::ticket::Ticket;
use crate::secret::Secret;

/// Where receivers reach the API, as the operator sets it.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// The text is no public URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be http:// or https:// with a host, and without user name, query and fragment")]
pub struct PublicUrlError;

impl PublicUrl {
    /// Reads a URL; a slash at its end makes no difference.
    pub fn parse(text: &str) -> Result<Self, PublicUrlError> {
        let url = url::Url::parse(text).map_err(|_| PublicUrlError)?;
        let is_plain = url.username().is_empty() && url.password().is_none() && !text.contains(['?', '#']);
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        if is_plain && is_web { Ok(Self(url.as_str().trim_end_matches('/').to_owned())) } else { Err(PublicUrlError) }
    }

    /// Where the holder of the ticket reports.
    pub fn callback_url(&self, ticket: &Ticket) -> Secret {
        Secret::new(format!("{}{}{}", self.0, super::PATH, ticket.expose().expose()))
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: &str = "wh_0123456789abcdef01234567.msg_0123456789abcdef0123456789abcdef.0.1767323045.canary";

    #[test]
    fn a_public_url_is_one_that_paths_can_be_appended_to() {
        let ticket = Ticket::parse(TICKET).unwrap();
        for url in ["https://dockbell.test", "https://dockbell.test/"] {
            let url = PublicUrl::parse(url).unwrap().callback_url(&ticket);
            assert!(url.expose().starts_with("https://dockbell.test/api/v1/callbacks/wh_"), "{}", url.expose());
        }
        for wrong in ["dockbell.test", "ftp://h", "https://u:p@h/", "https://h/?a", "https://h/#a", "https://"] {
            assert_eq!(PublicUrl::parse(wrong), Err(PublicUrlError), "{wrong}");
        }
    }
}
