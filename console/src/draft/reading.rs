//! What each member may be. A refusal is a sentence that begins with the member and never holds its value.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use dockbell_backends::bus::Queue;
use dockbell_backends::store::PAGE_LIMIT;
use dockbell_backends::store::marks::Decision;
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::filter::Filter;
use dockbell_proto::ids::{DeliveryId, WebhookId};
use dockbell_proto::names::Registry;
use dockbell_proto::outcome::DeliveryState;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::placeholder::check_placeholders;
use dockbell_proto::secret::Secret;
use dockbell_proto::target::TargetUrl;
use dockbell_proto::webhook::{Format, HEADERS_LIMIT, NAME_LIMIT, owner_headers};

use super::HeadersPatch;
use super::letters::Marked;
use crate::view::MASK;

/// How many entries a page has if the caller does not say.
pub(super) const LIMIT_BY_DEFAULT: u32 = 50;
/// The longest place in a list that is accepted, in bytes; what a page says is shorter.
const AFTER_LIMIT: usize = 256;

pub(super) fn name(value: &Value) -> Result<String, String> {
    let name = text("name", value)?;
    if name.trim().is_empty() {
        return Err("name must not be empty".to_owned());
    }
    if name.len() > NAME_LIMIT || name.chars().any(char::is_control) {
        return Err(format!("name must be at most {NAME_LIMIT} bytes, without control characters"));
    }
    Ok(name.to_owned())
}

pub(super) fn pattern(value: &Value) -> Result<Pattern, String> {
    Pattern::parse(text("repository", value)?).map_err(|error| error.to_string())
}

/// `null` is any registry.
pub(super) fn registry(value: &Value) -> Result<Option<Registry>, String> {
    match value {
        Value::Null => Ok(None),
        value => Registry::parse(text("registry", value)?).map(Some).map_err(|error| error.to_string()),
    }
}

/// The filter after a change; `null` lets everything through.
pub(crate) fn filter(value: &Value, current: &Filter) -> Result<Filter, String> {
    match value {
        Value::Null => Ok(Filter::default()),
        Value::Object(changes) => current.changed(changes),
        _ => Err("filter must be an object".to_owned()),
    }
}

/// The URL is kept as it was typed, so that its query reaches the receiver untouched.
pub(super) fn url(value: &Value, policy: &AddressPolicy) -> Result<Secret, String> {
    let url = text("url", value)?;
    if url.contains(MASK) {
        return Err(format!("url is a masked one ({MASK}); give the whole url, or leave it out to keep it"));
    }
    check_placeholders(url)?;
    TargetUrl::parse(url, policy).map_err(|error| error.to_string())?;
    Ok(Secret::new(url))
}

pub(super) fn format(value: &Value) -> Result<Format, String> {
    let known = || format!("format must be one of {}", Format::ALL.map(Format::as_str).join(", "));
    value.as_str().and_then(Format::parse).ok_or_else(known)
}

pub(super) fn enabled(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "enabled must be true or false".to_owned())
}

pub(super) fn headers(value: &Value) -> Result<BTreeMap<String, Secret>, String> {
    each_header(value, header)
}

/// `null` takes all headers away, the value `null` one of them.
pub(super) fn headers_patch(value: &Value) -> Result<HeadersPatch, String> {
    if value.is_null() {
        return Ok(HeadersPatch::Clear);
    }
    let read = |name: &str, value: &Value| match value {
        Value::Null => Ok((name.to_ascii_lowercase(), None)),
        value => header(name, value).map(|(name, value)| (name, Some(value))),
    };
    each_header(value, read).map(HeadersPatch::Merge)
}

/// Reads every header, to name all that are wrong.
fn each_header<T>(
    value: &Value,
    read: impl Fn(&str, &Value) -> Result<(String, T), String>,
) -> Result<BTreeMap<String, T>, String> {
    let given: &Map<String, Value> = value.as_object().ok_or("headers must be an object of names and values")?;
    let mut headers = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, value) in given {
        match read(name, value) {
            Ok((name, _)) if headers.contains_key(&name) => problems.push(format!("headers: {name} is given twice")),
            Ok((name, value)) => drop(headers.insert(name, value)),
            Err(problem) => problems.push(problem),
        }
    }
    if given.len() > HEADERS_LIMIT {
        problems = vec![format!("headers: at most {HEADERS_LIMIT} are allowed")];
    }
    if problems.is_empty() { Ok(headers) } else { Err(problems.join("; ")) }
}

fn header(name: &str, value: &Value) -> Result<(String, Secret), String> {
    let value = value.as_str().ok_or_else(|| format!("headers: the value of {name:?} must be a string"))?;
    if value == MASK {
        return Err(format!("headers: the value of {name:?} is a mask; leave the header out to keep its value"));
    }
    let checked = owner_headers(&BTreeMap::from([(name.to_owned(), value.to_owned())]))?;
    checked.into_iter().next().ok_or_else(|| format!("headers: {name:?} is not a header name"))
}

pub(super) fn webhook(value: &Value) -> Result<WebhookId, String> {
    WebhookId::parse(text("webhook", value)?).map_err(|error| format!("webhook must be an id: {error}"))
}

pub(super) fn state(value: &Value) -> Result<DeliveryState, String> {
    let known = || format!("state must be one of {}", DeliveryState::NAMES.join(", "));
    DeliveryState::parse(text("state", value)?).ok_or_else(known)
}

pub(super) fn delivery(value: &Value) -> Result<DeliveryId, String> {
    DeliveryId::parse(text("delivery", value)?).map_err(|error| format!("delivery must be an id: {error}"))
}

pub(super) fn queue(value: &Value) -> Result<Queue, String> {
    let name = text("queue", value)?;
    let known = || format!("queue must be one of {}", Queue::ALL.map(Queue::as_str).join(", "));
    Queue::ALL.into_iter().find(|queue| queue.as_str() == name).ok_or_else(known)
}

pub(super) fn time(member: &str, value: &Value) -> Result<Timestamp, String> {
    text(member, value)?.parse().map_err(|_| format!("{member} must be a time such as 2026-01-02T03:04:05Z"))
}

pub(super) fn marked(value: &Value) -> Result<Marked, String> {
    match text("mark", value)? {
        "none" => Ok(Marked::No),
        "any" => Ok(Marked::Anyhow),
        name => Decision::parse(name)
            .map(Marked::As)
            .ok_or_else(|| "mark must be one of none, revived, discarded, any".to_owned()),
    }
}

pub(super) fn position(value: &Value) -> Result<u64, String> {
    text("after", value)?.parse().map_err(|_| "after must be what the page before gave as `next`".to_owned())
}

pub(super) fn all(value: &Value) -> Result<bool, String> {
    text("all", value)?.parse().map_err(|_| "all must be true or false".to_owned())
}

pub(super) fn after(value: &Value) -> Result<String, String> {
    let after = text("after", value)?;
    if after.len() > AFTER_LIMIT {
        return Err("after must be what the page before gave as `next`".to_owned());
    }
    Ok(after.to_owned())
}

pub(super) fn limit(value: &Value) -> Result<u32, String> {
    let limit = text("limit", value)?.parse().ok().filter(|limit| (1..=PAGE_LIMIT).contains(limit));
    limit.ok_or_else(|| format!("limit must be a number from 1 to {PAGE_LIMIT}"))
}

fn text<'a>(member: &str, value: &'a Value) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("{member} must be a string"))
}
