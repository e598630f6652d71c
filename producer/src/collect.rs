//! The collector: consumes events, holds them in windows, and publishes what closes.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::Bus;
use dockbell_backends::bus::{Consumer, Queue, Received};
use dockbell_chassis::failpoint::reach;
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use dockbell_proto::clock::Clock;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, unconstrained};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument as _;

use crate::custody::{Share, acknowledge, bury, split};
use crate::fold::fold;
use crate::metrics::Metrics;
use crate::publish::publish_batch;
use crate::reader::Reader;
use crate::source::Sources;
use crate::spans::Spans;
use crate::weight::weight;
use crate::window::{Closed, Moment, WindowPolicy, Windows};

/// How many batches are being published at once: as many as the bus has under way, so that none of its places stays
/// empty while a confirmation is awaited. They are no longer than the events that they are made of, which are held.
const PUBLISHING_LIMIT: usize = 1_000;
/// How many messages are taken before anything else comes to its turn.
const LOT: usize = 128;
/// How long batches may take to become durable when the producer stops; what is not goes back to the bus.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

/// What the collector needs.
#[derive(Debug)]
pub struct Collector {
    /// Where events come from and batches go.
    pub bus: Arc<dyn Bus>,
    /// In which formats events may come.
    pub sources: Arc<Sources>,
    /// The time that batches tell.
    pub clock: Arc<dyn Clock>,
    /// When windows close.
    pub policy: WindowPolicy,
    /// How many events are held at most.
    pub prefetch: NonZeroU16,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether spans go anywhere.
    pub exports_traces: bool,
}

/// A batch that became durable.
struct Published {
    number: u64,
    shares: usize,
}

struct Running {
    collector: Collector,
    reader: Reader,
    windows: Windows<Share>,
    spans: Spans,
    /// Polled by one task, so that a batch costs no task of its own.
    publishing: FuturesUnordered<BoxFuture<'static, Published>>,
    burying: JoinSet<()>,
    permits: Arc<Semaphore>,
    started: Instant,
}

impl Collector {
    /// Runs until `shutdown`; then closes all windows and publishes them.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), BoxError> {
        let mut consumer = self.bus.consume(Queue::Events, self.prefetch).await?;
        let mut running = Running {
            reader: Reader::new(Arc::clone(&self.sources), Arc::clone(&self.clock)),
            windows: Windows::new(self.policy),
            spans: Spans::new(self.exports_traces),
            publishing: FuturesUnordered::new(),
            burying: JoinSet::new(),
            permits: Arc::new(Semaphore::new(PUBLISHING_LIMIT)),
            started: Instant::now(),
            collector: self,
        };
        loop {
            let deadline = running.next_deadline();
            // Deadlines come before messages, or a busy queue would keep windows open.
            tokio::select! {
                biased;
                () = shutdown.requested() => break,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => running.close_due(),
                Some(published) = running.publishing.next() => running.confirm_all(published).await,
                Some(buried) = running.burying.join_next() => buried?,
                message = consumer.next() => match message {
                    Some(message) => running.take_all(message, &mut consumer).await,
                    None => return Err("the bus closed the consumer of events".into()),
                },
            }
            running.count();
        }
        drop(consumer);
        running.finish().await
    }
}

impl Running {
    fn next_deadline(&self) -> Option<Instant> {
        self.windows.next_deadline().map(|deadline| self.started + deadline)
    }

    fn now(&self) -> Moment {
        self.started.elapsed()
    }

    fn count(&self) {
        self.collector.metrics.windows_open(self.windows.open(), self.windows.held());
    }

    /// Takes a message, and others that are there already.
    async fn take_all(&mut self, first: Received, consumer: &mut Consumer) {
        self.take(first).await;
        for _ in 1..LOT {
            let Some(message) = consumer.next_ready() else { break };
            self.take(message).await;
        }
    }

    /// Puts the events of a message into their windows.
    async fn take(&mut self, message: Received) {
        reach("delivered");
        let events = match self.reader.read(&message) {
            Ok(events) => events,
            Err(reason) => return self.give_up(message, reason),
        };
        if events.is_empty() {
            return acknowledge(Some(message.receipt)).await;
        }
        self.collector.metrics.events_taken(events.len());
        let shares = split(message.receipt, events.len(), message.maybe_repeated);
        for (event, share) in events.into_iter().zip(shares) {
            let (size, trace) = (weight(&event), self.collector.exports_traces.then(|| event.trace.clone()));
            let pushed = self.windows.push(event, size, share, (self.now(), self.collector.clock.now()));
            reach("in window");
            if let Some((number, trace)) = pushed.opened.zip(trace) {
                self.spans.opened(number, &trace);
            }
            pushed.closed.into_iter().for_each(|closed| self.publish(closed));
            if let Some(share) = pushed.stale {
                self.collector.metrics.event_stale();
                acknowledge(share.settle()).await;
            }
        }
        self.relieve();
    }

    /// Buries a message in the background, so that a flood of them holds nothing up.
    fn give_up(&mut self, message: Received, reason: String) {
        let metrics = self.collector.metrics.clone();
        self.burying.spawn(async move { bury(message, reason, &metrics).await });
    }

    /// When most of what the bus hands out is held, the oldest windows close, or no message could come that
    /// fills them.
    fn relieve(&mut self) {
        let limit = usize::from(self.collector.prefetch.get());
        if self.windows.held() * 5 >= limit * 4 {
            for closed in self.windows.close_oldest(limit / 2) {
                self.publish(closed);
            }
        }
    }

    fn close_due(&mut self) {
        for closed in self.windows.close_due(self.now()) {
            self.publish(closed);
        }
    }

    /// Folds a closed window and publishes its batch in the background; then settles its shares.
    fn publish(&mut self, closed: Closed<Share>) {
        let collector = &self.collector;
        collector.metrics.window_closed(closed.reason);
        let folded = fold(&closed.events, closed.opened_at, collector.clock.now());
        collector.metrics.manifests_orphaned(folded.orphans);
        let (bus, metrics, permits) =
            (Arc::clone(&collector.bus), collector.metrics.clone(), Arc::clone(&self.permits));
        let (span, trace) = self.spans.closed(closed.number, closed.reason, &closed.events);
        let opened = self.started + closed.opened;
        let maybe_repeated = closed.shares.iter().any(Share::maybe_repeated);
        let task = async move {
            if let Some(mut batch) = folded.batch {
                batch.trace = trace;
                reach("batch sealed");
                let changes = batch.changes.len();
                // The semaphore is never closed, so the only other result does not occur.
                let _permit = permits.acquire().await.ok();
                publish_batch(&bus, &metrics, batch, maybe_repeated).await;
                metrics.batch_published(changes, opened.elapsed());
                reach("confirm seen");
            }
            let shares = closed.shares.len();
            for share in closed.shares {
                acknowledge(share.settle()).await;
                reach("acknowledged");
            }
            reach("all acknowledged");
            metrics.window_settled(folded.fates, shares - closed.events.len());
            Published { number: closed.number, shares }
        };
        // Or one that has used up its task's budget would begin after later ones.
        self.publishing.push(unconstrained(task.instrument(span)).boxed());
    }

    /// A batch is durable, and maybe others are too.
    async fn confirm_all(&mut self, first: Published) {
        self.confirm(first).await;
        while let Some(Some(published)) = self.publishing.next().now_or_never() {
            self.confirm(published).await;
        }
    }

    /// A batch is durable: repetitions of its events are settled with it.
    async fn confirm(&mut self, published: Published) {
        let repeated = self.windows.confirmed(published.number, published.shares);
        self.collector.metrics.events_repeated(repeated.len());
        for share in repeated {
            acknowledge(share.settle()).await;
        }
    }

    /// Publishes what is open. What does not become durable in time comes back after the restart.
    async fn finish(mut self) -> Result<(), BoxError> {
        for closed in self.windows.close_all() {
            self.publish(closed);
        }
        let all = async {
            while let Some(published) = self.publishing.next().await {
                self.confirm(published).await;
            }
            while let Some(buried) = self.burying.join_next().await {
                buried?;
            }
            Ok(())
        };
        timeout(SHUTDOWN_TIME, all).await.unwrap_or_else(|_| {
            tracing::warn!("batches could not be published in time; their events are taken up again after the restart");
            Ok(())
        })
    }
}
