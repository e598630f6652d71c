//! Watches the embedded store: what it tells of itself becomes readiness and metrics.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::Bus as _;
use dockbell_backends::bus::Queue;
use dockbell_backends::embedded::Embedded;
use dockbell_chassis::admin::Component;
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Gauge, Meter};
use tokio::time::{MissedTickBehavior, interval};

/// How often the depth of the queues is measured; scrapers rarely ask more often.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// The instruments of queues.
#[derive(Debug)]
pub(crate) struct Depths {
    messages: Gauge<u64>,
    bytes: Gauge<u64>,
}

impl Depths {
    pub(crate) fn new(meter: &Meter) -> Self {
        let messages = meter.u64_gauge("dockbell.queue.messages").with_description("Messages of a queue, by state");
        let bytes = meter.u64_gauge("dockbell.queue.size").with_unit("By").with_description("Bytes of a queue");
        Self { messages: messages.build(), bytes: bytes.build() }
    }

    async fn measure(&self, embedded: &Embedded) {
        for queue in Queue::ALL {
            // A store that is closed has no depth worth telling.
            let Ok(depth) = embedded.depth(queue).await else { continue };
            let name = KeyValue::new("queue", queue.as_str());
            self.messages.record(depth.messages, &[name.clone(), KeyValue::new("state", "ready_or_held")]);
            self.messages.record(depth.delayed, &[name.clone(), KeyValue::new("state", "waiting")]);
            self.bytes.record(depth.bytes, &[name]);
        }
    }
}

/// Runs until `shutdown`. A store that is broken is an error: what it holds is known again only after it was
/// opened anew.
pub(crate) async fn watch(
    embedded: Arc<Embedded>,
    component: Component,
    depths: Depths,
    shutdown: Shutdown,
) -> Result<(), BoxError> {
    let mut trouble = embedded.trouble();
    let mut ticks = interval(MEASURE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        match &*trouble.borrow_and_update() {
            None => component.ready(),
            Some(reason) => component.unready(reason),
        }
        tokio::select! {
            () = shutdown.requested() => {
                component.unready("shutting down");
                return Ok(());
            }
            reason = embedded.broken() => {
                component.unready(&*reason);
                return Err(format!("the embedded store failed: {reason}").into());
            }
            changed = trouble.changed() => changed?,
            _ = ticks.tick() => depths.measure(&embedded).await,
        }
    }
}
