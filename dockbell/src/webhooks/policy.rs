//! The delivery policy of one webhook, as it is typed and shown.

use dockbell_console::PolicyView;
use serde_json::{Map, Value};

/// A member and what it is to be.
pub(crate) type Member = (String, Value);

/// Reads `cooldown=5m`. A number is a number, the schedule a list; without a value the member is as for all webhooks.
/// Whether there is such a member, and what it may be, is for the API to say.
pub(super) fn member(text: &str) -> Result<Member, &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected a member, an equals sign and a value")?;
    let value = match (name, value.parse::<u32>()) {
        (_, _) if value.is_empty() => Value::Null,
        ("schedule", _) => value.split(',').map(|pause| Value::from(pause.trim())).collect(),
        (_, Ok(number)) => number.into(),
        (_, Err(_)) => value.into(),
    };
    Ok((name.to_owned(), value))
}

/// The members as the API takes them.
pub(crate) fn members(members: &[Member]) -> Map<String, Value> {
    members.iter().cloned().collect()
}

/// The members as they are typed.
pub(super) fn shown(policy: &PolicyView) -> String {
    let Ok(Value::Object(members)) = serde_json::to_value(policy) else { return String::new() };
    let typed = |value: &Value| match value {
        Value::Array(pauses) => pauses.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let shown = members.iter().map(|(name, value)| format!("{name}={}", typed(value)));
    if members.is_empty() { "as for all".to_owned() } else { shown.collect::<Vec<_>>().join(" ") }
}
