//! The spans of windows and batches: how a push is followed through the producer.
//!
//! A window continues the trace of the event that opened it, so that a push that is alone in its window is one
//! trace from its intake to its last attempt; a batch links to all its events.

use std::collections::HashMap;

use dockbell_chassis::trace;
use dockbell_proto::event::Event;
use dockbell_proto::trace::TraceContext;
use tracing::Span;
use tracing::field::Empty;

use crate::window::CloseReason;

/// How many events the trace of a batch links to at most.
const LINKS_LIMIT: usize = 32;

/// The spans of open windows, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Spans(HashMap<u64, Span>);

impl Spans {
    /// A window was opened by an event of this trace.
    pub(crate) fn opened(&mut self, number: u64, trace: &TraceContext) {
        let span = tracing::info_span!("window", otel.kind = "internal", reason = Empty, events = Empty);
        trace::continue_from(&span, &trace.traceparent, &trace.tracestate);
        self.0.insert(number, span);
    }

    /// Ends the span of a window. The span of its batch is returned.
    pub(crate) fn closed(&mut self, number: u64, reason: CloseReason, events: &[Event]) -> Span {
        let window = self.0.remove(&number).unwrap_or_else(Span::none);
        window.record("reason", reason.as_str());
        window.record("events", events.len());
        let unlinked = events.len().saturating_sub(LINKS_LIMIT);
        let batch = tracing::info_span!(
            parent: &window,
            "batch",
            otel.kind = "producer",
            events = events.len(),
            events.unlinked = unlinked
        );
        for event in events.iter().take(LINKS_LIMIT).filter(|event| !event.trace.is_empty()) {
            trace::link(&batch, &event.trace.traceparent, &event.trace.tracestate);
        }
        batch
    }
}

/// The trace of the current span.
pub(crate) fn current_trace() -> TraceContext {
    let (traceparent, tracestate) = trace::current_context();
    TraceContext { traceparent, tracestate }
}
