//! Reading members of JSON objects whose types cannot be trusted.

use serde_json::Value;

/// The text at `path`; none where it is missing, empty or of another type.
pub(super) fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path)?.as_str().filter(|text| !text.is_empty())
}

/// The whole number at `path`; none where it is missing, negative, fractional or of another type.
pub(super) fn count(value: &Value, path: &[&str]) -> Option<u64> {
    at(value, path)?.as_u64()
}

/// The list at `path`; empty where there is none.
pub(super) fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// `text` shortened to what is worth keeping of a free text such as a user's name.
pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(256).collect()
}
