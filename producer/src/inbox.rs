//! The inbox: what others published without knowing its shard is published again under its key.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::Bus;
use dockbell_backends::bus::{Consumer, Outgoing, PublishError, Queue, Received};
use dockbell_backends::repeat::until_published;
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use dockbell_proto::clock::Clock;
use dockbell_proto::event::Event;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use futures_util::stream::FuturesUnordered;
use tokio::task::unconstrained;
use tokio::time::timeout;

use crate::custody::{acknowledge, bury};
use crate::metrics::Metrics;
use crate::publish::event_message;
use crate::reader::Reader;
use crate::source::Sources;

/// No further message is taken while so many events are being published. The last one that was taken may
/// bring as many again.
const PUBLISHING_LIMIT: usize = 1000;
/// How long what is under way may take when the producer stops; what does not end goes back to the bus.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

/// What it takes to publish again what others published.
#[derive(Debug)]
pub struct Inbox {
    /// Where messages come from and events go.
    pub bus: Arc<dyn Bus>,
    /// Who may report.
    pub sources: Arc<Sources>,
    /// The time of events that do not say one.
    pub clock: Arc<dyn Clock>,
    /// How many messages are held at most.
    pub prefetch: NonZeroU16,
    /// What is counted.
    pub metrics: Metrics,
}

/// The work on the messages that were taken; each ends with the number of events that it published. It is
/// polled by one task, so that publishes begin in the order in which their messages came.
type UnderWay = FuturesUnordered<BoxFuture<'static, usize>>;

impl Inbox {
    /// Runs until `shutdown`; where there is no inbox, it has nothing to do.
    ///
    /// A message is acknowledged when all its events are durable under their keys. Until then a crash makes it
    /// come again, and what was published twice is recognised by the ids of its events.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), BoxError> {
        let Some(mut consumer) = self.bus.consume_inbox(self.prefetch).await? else {
            shutdown.requested().await;
            return Ok(());
        };
        let mut under_way = UnderWay::new();
        let taken = self.take_all(&mut consumer, &mut under_way, &shutdown).await;
        drop(consumer);
        let rest = async { while under_way.next().await.is_some() {} };
        if timeout(SHUTDOWN_TIME, rest).await.is_err() {
            tracing::warn!("events could not be published again in time; their messages come back after the restart");
        }
        taken
    }

    async fn take_all(
        &self,
        consumer: &mut Consumer,
        under_way: &mut UnderWay,
        shutdown: &Shutdown,
    ) -> Result<(), BoxError> {
        let reader = Reader::new(Arc::clone(&self.sources), Arc::clone(&self.clock));
        let mut publishing = 0;
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => return Ok(()),
                Some(published) = under_way.next() => publishing -= published,
                message = consumer.next(), if publishing < PUBLISHING_LIMIT => match message {
                    Some(message) => {
                        let (events, work) = self.work(&reader, message);
                        publishing += events;
                        under_way.push(work);
                    }
                    None => return Err("the bus closed the consumer of the inbox".into()),
                },
            }
        }
    }

    /// What is to be done with a message, and how many events that publishes. What is given up counts as none,
    /// so that a flood of it holds up no events.
    fn work(&self, reader: &Reader, message: Received) -> (usize, BoxFuture<'static, usize>) {
        let (bus, metrics) = (Arc::clone(&self.bus), self.metrics.clone());
        match reader.read(&message).and_then(|events| outgoing(&events, message.maybe_repeated)) {
            Err(reason) => {
                let work = async move {
                    bury(message, reason, &metrics).await;
                    0
                };
                (0, work.boxed())
            }
            Ok(messages) => {
                let events = messages.len();
                let work = async move {
                    join_all(messages.into_iter().map(|message| publish(&bus, &metrics, message))).await;
                    metrics.events_republished(events);
                    acknowledge(Some(message.receipt)).await;
                    events
                };
                // Or a publish that has used up its task's budget would begin after later ones.
                (events, unconstrained(work).boxed())
            }
        }
    }
}

fn outgoing(events: &[Event], maybe_repeated: bool) -> Result<Vec<Outgoing>, String> {
    let message = |event| event_message(event).map(|message| Outgoing { maybe_repeated, ..message });
    events.iter().map(message).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// Publishes an event, and repeats that until it is durable. The caller drops the future when it gives up.
async fn publish(bus: &Arc<dyn Bus>, metrics: &Metrics, message: Outgoing) {
    let failed = |error: &PublishError, pause: Duration| {
        metrics.backend_away("publish an event");
        let after_ms = pause.as_millis();
        tracing::warn!(error = %error, retry.after_ms = after_ms, "an event could not be published again and is kept");
    };
    until_published(message, |message| bus.publish(Queue::Events, message), failed).await;
}
