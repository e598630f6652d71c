//! How much stands on the queues, as metrics.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::Bus;
use dockbell_backends::bus::Queue;
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

    /// Measures the queues of `bus` from time to time, until `shutdown`.
    pub(crate) async fn follow(self, bus: Arc<dyn Bus>, shutdown: Shutdown) -> Result<(), BoxError> {
        tokio::select! {
            // A look at a bus that is away takes its time.
            () = shutdown.requested() => Ok(()),
            never = self.measure(bus) => match never {},
        }
    }

    async fn measure(self, bus: Arc<dyn Bus>) -> Infallible {
        let mut ticks = interval(MEASURE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for queue in Queue::ALL {
                // A bus that is away has no depth worth telling.
                let Ok(depth) = bus.depth(queue).await else { continue };
                let name = KeyValue::new("queue", queue.as_str());
                self.messages.record(depth.messages, &[name.clone(), KeyValue::new("state", "ready_or_held")]);
                self.messages.record(depth.delayed, &[name.clone(), KeyValue::new("state", "waiting")]);
                self.bytes.record(depth.bytes, &[name]);
            }
        }
    }
}
