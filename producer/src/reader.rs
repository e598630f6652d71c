//! From a message of the bus to its events, whoever published it.

use std::sync::Arc;

use dockbell_backends::bus::Received;
use dockbell_proto::clock::Clock;
use dockbell_proto::event::Event;
use dockbell_proto::input::Headers;
use dockbell_proto::trace::TraceContext;

use crate::decode::{BODY_LIMIT, Decoded, decode_message, decode_orphan};
use crate::publish::SOURCE_HEADER;
use crate::source::Sources;
use crate::stamp::Stamper;

/// Reads messages.
#[derive(Debug)]
pub(crate) struct Reader {
    sources: Arc<Sources>,
    clock: Arc<dyn Clock>,
    stamper: Stamper,
}

impl Reader {
    /// Reads messages of `sources`; `clock` tells when those came that do not say it.
    pub(crate) fn new(sources: Arc<Sources>, clock: Arc<dyn Clock>) -> Self {
        Self { sources, clock, stamper: Stamper::default() }
    }

    /// The events of a message, none if it is noise; or why the message is to be given up.
    pub(crate) fn read(&self, message: &Received) -> Result<Vec<Event>, String> {
        if message.body.len() > BODY_LIMIT {
            return Err("the body is larger than 4 MiB".to_owned());
        }
        let mut events = accepted(self.decode(message)?, &message.id)?;
        let trace = TraceContext::from_headers(message.header("traceparent"), message.header("tracestate"));
        for event in events.iter_mut().filter(|event| event.trace.is_empty()) {
            event.trace = trace.clone();
        }
        Ok(events)
    }

    fn decode(&self, message: &Received) -> Result<Decoded, String> {
        let headers = || Headers::of(message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let stamp = || self.stamper.stamp(self.clock.now());
        match self.sources.named_or_default(message.header(SOURCE_HEADER)) {
            Some(source) => decode_message(source, (headers, &message.body), stamp).map_err(|error| error.to_string()),
            None => decode_orphan(self.sources.default(), &message.body, stamp)
                .map_err(|_| format!("the header {SOURCE_HEADER} names a source that is not configured")),
        }
    }
}

/// One bad event does not keep the others out, unless there are no others.
fn accepted(decoded: Decoded, message_id: &str) -> Result<Vec<Event>, String> {
    match decoded.rejected.first() {
        Some(reason) if decoded.events.is_empty() => return Err((*reason).to_owned()),
        Some(reason) => {
            let rejected = decoded.rejected.len();
            tracing::warn!(
                message.id = message_id,
                rejected,
                reason,
                "parts of a message are no events and are dropped"
            );
        }
        None => {}
    }
    Ok(decoded.events)
}

#[cfg(test)]
mod tests;
