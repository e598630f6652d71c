//! The W3C trace context that travels with events, batches and deliveries.

use serde::{Deserialize, Serialize};

/// A trace context as its two headers have it.
///
/// Source: W3C Trace Context, <https://www.w3.org/TR/trace-context/>.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// The `traceparent` header; empty when there is no trace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub traceparent: String,
    /// The `tracestate` header; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tracestate: String,
}

impl TraceContext {
    /// The longest header that is passed on, in bytes (the specification asks for at least 512).
    pub const LIMIT: usize = 512;

    /// Takes the headers of a message. One that is too long or not ASCII is left out.
    pub fn from_headers(traceparent: Option<&str>, tracestate: Option<&str>) -> Self {
        let fit = |text: &&str| text.len() <= Self::LIMIT && text.is_ascii();
        let keep = |header: Option<&str>| header.filter(fit).unwrap_or_default().to_owned();
        Self { traceparent: keep(traceparent), tracestate: keep(tracestate) }
    }

    /// Whether there is no trace.
    pub fn is_empty(&self) -> bool {
        self.traceparent.is_empty()
    }
}
