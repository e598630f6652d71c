//! Where operators are told what people do to the standing of webhooks.

use std::fmt;

use dockbell_proto::operations::OperatorEvent;

/// Tells operators of an event, by every way that the process has, and never waits. What those ways are is no business
/// of the API.
pub struct Operators(Box<dyn Fn(OperatorEvent) + Send + Sync>);

impl Operators {
    /// Operators who hear of an event through `tell`, which must return at once.
    pub fn new(tell: impl Fn(OperatorEvent) + Send + Sync + 'static) -> Self {
        Self(Box::new(tell))
    }

    pub(crate) fn tell(&self, event: OperatorEvent) {
        (self.0)(event);
    }
}

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operators").finish_non_exhaustive()
    }
}
