//! What a format tells beside the body: in headers of a request, or of a message.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// The headers that a format may read. No other is kept, so that no credential gets here.
const READ: [&str; 4] = ["content-type", "x-github-event", "x-github-delivery", "x-registry-event"];
/// What the names of the attributes of a `CloudEvent` begin with over HTTP, where their values are percent-encoded.
///
/// Source: the HTTP binding of the `CloudEvents` specification, section 3.1.3.
const OVER_HTTP: &str = "ce-";
/// What they begin with over AMQP.
///
/// Source: the AMQP binding of the `CloudEvents` specification, section 3.1.3.1.
const OVER_AMQP: [&str; 2] = ["cloudevents_", "cloudevents:"];
/// Attributes are few; more are no attributes.
const LIMIT: usize = 64;

/// Headers by their names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// Keeps those headers that a format may read, whatever the case of their names.
    pub fn of<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let known = headers.into_iter().filter(|(_, value)| !value.is_empty());
        Self(known.filter_map(|(name, value)| kept(name, value)).take(LIMIT).collect())
    }

    /// The header of that name, which is given in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The attribute of a `CloudEvent` that is not structured.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.get(&format!("ce-{name}"))
    }
}

fn kept(name: &str, value: &str) -> Option<(String, String)> {
    let name = name.to_ascii_lowercase();
    if let Some(attribute) = name.strip_prefix(OVER_HTTP) {
        let value = percent_decode_str(value).decode_utf8().ok()?;
        return Some((format!("ce-{attribute}"), value.into_owned()));
    }
    if let Some(attribute) = OVER_AMQP.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        return Some((format!("ce-{attribute}"), value.to_owned()));
    }
    READ.contains(&name.as_str()).then(|| (name, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_one_name_over_http_and_amqp() {
        for (name, value) in [("Ce-Type", "a%20b"), ("cloudEvents_type", "a b"), ("cloudEvents:type", "a b")] {
            assert_eq!(Headers::of([(name, value)]).attribute("type"), Some("a b"), "{name}");
        }
    }

    #[test]
    fn only_what_a_format_reads_is_kept() {
        let headers = Headers::of([("Authorization", "Bearer canary"), ("X-GitHub-Event", "ping"), ("ce-id", "")]);
        assert_eq!(headers, Headers::of([("x-github-event", "ping")]));
        assert!(!format!("{headers:?}").contains("canary"));
    }
}
