//! The options of a webhook's format, as they are typed and shown.

use std::fs;

use serde_json::{Map, Value};

use super::policy::Member;
use crate::present;

/// Reads `repo_name=qualified`, or `source=@FILE`, whose value is the text of that file. Without a value the option is
/// as by default. Whether there is such an option, and what it may be, is for the API to say.
pub(crate) fn option(text: &str) -> Result<Member, String> {
    let (name, value) = text.split_once('=').ok_or("expected an option, an equals sign and a value")?;
    let value = match value.strip_prefix('@') {
        Some(path) => fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))?.into(),
        None if value.is_empty() => Value::Null,
        None => value.into(),
    };
    Ok((name.to_owned(), value))
}

/// The options as they are typed.
pub(super) fn shown(options: &Map<String, Value>) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let shown: Vec<String> = options.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
    present::or_nothing((!shown.is_empty()).then(|| shown.join(" ")))
}
