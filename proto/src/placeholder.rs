//! Placeholders in the URL of a webhook: `https://ci.example.com/images/{repository}?tag={tag}`.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Position, Url};

use crate::batch::Batch;
use crate::names::Digest;
use crate::output::newest;

/// Every placeholder.
pub const PLACEHOLDERS: [&str; 4] = ["{registry}", "{repository}", "{tag}", "{digest}"];

/// What stands in a URL as it is: the unreserved characters (RFC 3986, section 2.3). A slash is encoded too, so that a
/// value stays one segment of a path.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A piece of a URL: text, or the placeholder that stands there.
type Piece<'a> = Result<&'a str, &'a str>;

/// Whether a URL holds any placeholder.
pub fn has_placeholder(url: &str) -> bool {
    PLACEHOLDERS.iter().any(|placeholder| url.contains(placeholder))
}

/// Checks the braces of a URL that is to be kept. The error says what is wrong, and never holds the URL.
pub fn check_placeholders(url: &str) -> Result<(), String> {
    if let Some(text) = pieces(url).into_iter().find_map(|piece| piece.ok().filter(|text| text.contains(['{', '}']))) {
        let known = PLACEHOLDERS.join(", ");
        let shown: String = text.chars().skip_while(|c| !matches!(c, '{' | '}')).take(16).collect();
        return Err(format!(
            "url holds {shown:?}, which is no placeholder; there are {known}, and a brace itself is written %7B or %7D"
        ));
    }
    // What is before the path must be the same whatever is filled in, in whichever spelling the parser understands.
    let before_path = |value: &'static str| {
        let filled = fill(url, |_| Cow::Borrowed(value));
        Url::parse(&filled).ok().map(|url| url[..Position::BeforePath].to_owned())
    };
    let is_elsewhere = || before_path("1").is_none() || before_path("1") != before_path("2");
    if has_placeholder(url) && is_elsewhere() {
        return Err("url has a placeholder before its path; placeholders may stand in the path and the query only, because a webhook has one host".to_owned());
    }
    Ok(())
}

/// The URL for `content`, whose newest change the placeholders are about. Values are percent-encoded; a digest that no
/// source told is empty.
pub fn expand<'a>(url: &'a str, content: &Batch) -> Cow<'a, str> {
    let Some(change) = newest(content).filter(|_| has_placeholder(url)) else { return Cow::Borrowed(url) };
    let value = |placeholder: &str| match placeholder {
        "{registry}" => content.registry.as_str(),
        "{repository}" => content.repository.as_str(),
        "{tag}" => change.tag.as_str(),
        _ => change.digest.as_ref().map_or("", Digest::as_str),
    };
    Cow::Owned(fill(url, |placeholder| utf8_percent_encode(value(placeholder), ENCODED).into()))
}

fn fill<'v>(url: &str, value: impl Fn(&str) -> Cow<'v, str>) -> String {
    let text = |piece: Piece<'_>| piece.map_or_else(&value, |text| Cow::Owned(text.to_owned()));
    pieces(url).into_iter().map(text).collect()
}

/// A URL in its pieces. A value that is filled in is never looked at again.
fn pieces(url: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = url;
    let first = |rest: &str| {
        let found = PLACEHOLDERS.iter().filter_map(|placeholder| Some((rest.find(placeholder)?, placeholder.len())));
        found.min()
    };
    while let Some((start, length)) = first(rest) {
        let (text, after) = rest.split_at(start);
        let (placeholder, after) = after.split_at(length);
        pieces.extend([Ok(text), Err(placeholder)]);
        rest = after;
    }
    pieces.push(Ok(rest));
    pieces
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn batch(repository: &str) -> Batch {
        let change = |tag, order| {
            json!({"tag": tag, "digest": format!("sha256:{}", "0".repeat(64)), "order": order,
            "pushed_at": "2026-01-02T03:04:05Z", "event_ids": ["e"]})
        };
        serde_json::from_value(json!({
            "source": "lab", "registry": "hub.test:5000", "repository": repository, "events": 2,
            "opened_at": "2026-01-02T03:04:05Z", "closed_at": "2026-01-02T03:04:06Z",
            "changes": [change("new", "00001767323045000001-e2"), change("old", "00001767323045000000-e1")],
        }))
        .unwrap()
    }

    #[test]
    fn placeholders_are_filled_in_encoded_and_with_the_newest_change() {
        for (url, repository, expected) in [
            ("https://a.test/{repository}/{tag}?d={digest}", "team/app", "https://a.test/team%2Fapp/new?d=sha256%3A"),
            ("https://a.test/?r={registry}&x=%7e", "team/app", "https://a.test/?r=hub.test%3A5000&x=%7e"),
            ("https://a.test/{repository}", "é&a=b+{tag}", "https://a.test/%C3%A9%26a%3Db%2B%7Btag%7D"),
            ("https://a.test/{a}", "team/app", "https://a.test/{a}"),
        ] {
            let found = expand(url, &batch(repository));
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn braces_elsewhere_or_of_another_name_are_refused() {
        for url in ["https://a.test/{repository}:{tag}", "https://a.test/a?b={digest}{registry}", "https://a.test/%7Ba"]
        {
            assert_eq!(check_placeholders(url), Ok(()), "{url}");
        }
        for (url, part) in [
            ("https://a.test/{name}", "\"{name}\", which is no placeholder"),
            ("https://a.test/{repository", "no placeholder"),
            ("https://a.test/}", "no placeholder"),
            ("https://{registry}/", "before its path"),
            ("https://{registry}.a.test/", "before its path"),
            ("https://{tag}@a.test/", "before its path"),
            ("https://a.test:1{tag}/", "before its path"),
            ("http:/{registry}/", "before its path"),
            ("http:///{registry}/", "before its path"),
            ("{registry}://a.test/", "before its path"),
        ] {
            let error = check_placeholders(url).unwrap_err();
            assert!(error.starts_with("url ") && error.contains(part), "{url}: {error}");
        }
    }
}
