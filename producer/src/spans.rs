//! The spans of windows and batches: how a push is followed through the producer.
//!
//! A window continues the trace of the event that opened it, so that a push that is alone in its window is one
//! trace from its intake to its last attempt; a batch links to all its events. A process that exports no traces has
//! no spans, which are most of what a small window costs, and passes on the trace of that event.

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
#[derive(Debug)]
pub(crate) struct Spans {
    are_exported: bool,
    open: HashMap<u64, Span>,
}

impl Spans {
    pub(crate) fn new(are_exported: bool) -> Self {
        Self { are_exported, open: HashMap::new() }
    }

    /// A window was opened by an event of this trace.
    pub(crate) fn opened(&mut self, number: u64, trace: &TraceContext) {
        if !self.are_exported {
            return;
        }
        let span = tracing::info_span!("window", otel.kind = "internal", reason = Empty, events = Empty);
        trace::continue_from(&span, &trace.traceparent, &trace.tracestate);
        self.open.insert(number, span);
    }

    /// Ends the span of a window. The span of its batch is returned, with the trace that the batch belongs to.
    pub(crate) fn closed(&mut self, number: u64, reason: CloseReason, events: &[Event]) -> (Span, TraceContext) {
        if !self.are_exported {
            return (Span::none(), events.first().map(|event| event.trace.clone()).unwrap_or_default());
        }
        let window = self.open.remove(&number).unwrap_or_else(Span::none);
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
        let (traceparent, tracestate) = batch.in_scope(trace::current_context);
        (batch, TraceContext { traceparent, tracestate })
    }
}
