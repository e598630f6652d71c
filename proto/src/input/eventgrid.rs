//! Azure Event Grid: a list of events, whose data are those of Azure Container Registry's webhooks.
//!
//! Source: *Azure Container Registry as an Event Grid source* and *Webhook event delivery* of Microsoft's documentation.

use serde_json::Value;

use super::Entry;
use super::acr;
use super::field::{at, text};
use super::report::Report;

/// What the types of events of a registry begin with.
const OF_A_REGISTRY: &str = "Microsoft.ContainerRegistry.";
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";

/// The entries of a body. None when it is of another dialect.
pub(super) fn decode(body: &Value) -> Option<Vec<Entry>> {
    let events = body.as_array()?;
    let is_one = |event: &Value| text(event, &["eventType"]).is_some();
    events.iter().any(is_one).then(|| events.iter().map(entry).collect())
}

/// The code that Event Grid wants back before it sends anything; none if it does not ask for one.
pub(super) fn validation_code(body: &Value) -> Option<&str> {
    let event = body.as_array()?.first()?;
    (text(event, &["eventType"])? == VALIDATION).then(|| text(event, &["data", "validationCode"]))?
}

fn entry(event: &Value) -> Entry {
    let kind = text(event, &["eventType"]).ok_or("an event has no `eventType`")?;
    of_registry(kind, at(event, &["data"]).unwrap_or(&Value::Null))
}

/// The entry of an event of this type, also where it comes as a `CloudEvent`.
pub(super) fn of_registry(kind: &str, data: &Value) -> Entry {
    if !kind.starts_with(OF_A_REGISTRY) {
        return Ok(Report::noise(kind));
    }
    // The service has delivered data as a text of JSON.
    let parsed = data.as_str().and_then(|text| serde_json::from_str(text).ok());
    let mut entries = acr::decode(parsed.as_ref().unwrap_or(data)).unwrap_or_default();
    entries.pop().unwrap_or(Err("`data` has no `action` or no `target`"))
}

/// Whether events of this type are of a registry.
pub(super) fn is_of_registry(kind: &str) -> bool {
    kind.starts_with(OF_A_REGISTRY)
}
