//! W3C trace contexts: how a trace enters and leaves this process.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

#[cfg(test)]
mod tests;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// `traceparent` and `tracestate` of the current span; both empty when there is none.
pub fn current_context() -> (String, String) {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut headers);
    let mut take = |name| headers.remove(name).unwrap_or_default();
    (take(TRACEPARENT), take(TRACESTATE))
}

/// Makes `span` continue a trace from elsewhere. It must be called before the span is entered; headers
/// that are not valid change nothing.
pub fn continue_from(span: &Span, traceparent: &str, tracestate: &str) {
    if span.is_disabled() || traceparent.is_empty() {
        return;
    }
    let parent = context_of(traceparent, tracestate);
    if !parent.span().span_context().is_valid() {
        return;
    }
    if let Err(error) = span.set_parent(parent) {
        // A span that is not traced has no parent either, and one that was entered keeps what it has.
        tracing::trace!(error = %error, "the span does not continue the trace");
    }
}

/// Links `span` to a span of another trace. Headers that are not valid change nothing.
pub fn link(span: &Span, traceparent: &str, tracestate: &str) {
    let other = context_of(traceparent, tracestate).span().span_context().clone();
    if other.is_valid() {
        span.add_link(other);
    }
}

fn context_of(traceparent: &str, tracestate: &str) -> Context {
    let pairs = [(TRACEPARENT, traceparent), (TRACESTATE, tracestate)];
    let headers: HashMap<String, String> =
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // Not the current context: an invalid header must not silently continue whatever runs here.
    TraceContextPropagator::new().extract_with_context(&Context::new(), &headers)
}
