//! A producer to test: sources, an embedded bus, and a collector that can be killed.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::Bus;
use dockbell_backends::bus::{Depth, Outgoing, Queue, Received};
use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use dockbell_producer::collect::Collector;
use dockbell_producer::inbox::Inbox;
use dockbell_producer::intake::Intake;
use dockbell_producer::metrics::Metrics;
use dockbell_producer::publish::event_message;
use dockbell_producer::source::{Source, Sources};
use dockbell_producer::stamp::Stamper;
use dockbell_producer::window::WindowPolicy;
use dockbell_proto::batch::Batch;
use dockbell_proto::credential::{Credential, Proof};
use dockbell_proto::event::Event;
use dockbell_proto::ids::SourceName;
use dockbell_proto::input::InputFormat;
use dockbell_proto::message::Message;
use dockbell_proto::secret::Secret;
use dockbell_testkit::clock::ManualClock;
use dockbell_testkit::sample::moment;
use dockbell_testkit::wait;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The secret of every source here.
pub(crate) const TOKEN: &str = "canary";
/// Longer than any test takes: a window with this quiet time closes for another reason.
pub(crate) const LONG: Duration = Duration::from_mins(1);

pub(crate) fn source(name: &str, format: InputFormat) -> Source {
    source_by(name, format, Proof::Bearer)
}

/// A source that shows the secret in this way.
pub(crate) fn source_by(name: &str, format: InputFormat, proof: Proof) -> Source {
    let credential = Credential { proof, secret: Secret::new(TOKEN) };
    Source { name: SourceName::parse(name).unwrap(), format, credential, registry: None }
}

/// The default source `registry`, `lab` and `own`, and one for each format under its own name.
pub(crate) fn sources() -> Arc<Sources> {
    let mut others = vec![source("lab", InputFormat::Distribution), source("own", InputFormat::Native)];
    others.extend(InputFormat::ALL.map(|format| source(format.as_str(), format)));
    let basic = Proof::Basic { user: "alice".to_owned() };
    let proofs =
        [("basic", basic), ("verbatim", Proof::Authorization), ("signed", Proof::Signature), ("path", Proof::Path)];
    others.extend(proofs.map(|(name, proof)| source_by(name, InputFormat::Auto, proof)));
    Arc::new(Sources::new(source("registry", InputFormat::Auto), others))
}

pub(crate) fn metrics() -> Metrics {
    Metrics::new(&opentelemetry::global::meter("test"))
}

/// A window that closes after `quiet`, or with `max_events` events.
pub(crate) fn policy(quiet: Duration, max_events: usize) -> WindowPolicy {
    WindowPolicy::new(quiet, LONG, max_events).unwrap()
}

/// An embedded bus in a folder of its own.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) bus: Arc<Embedded>,
    pub(crate) clock: Arc<ManualClock>,
    _folder: TempDir,
}

impl House {
    pub(crate) fn open() -> Self {
        let (folder, clock) = (TempDir::new().unwrap(), Arc::new(ManualClock::new(moment())));
        let bus = Embedded::open(folder.path(), clock.clone(), EmbeddedLimits::default()).unwrap();
        Self { bus: Arc::new(bus), clock, _folder: folder }
    }

    pub(crate) fn intake(&self, bus: Arc<dyn Bus>) -> Intake {
        Intake {
            sources: sources(),
            bus,
            clock: self.clock.clone(),
            metrics: metrics(),
            stamper: Stamper::default(),
            tokens: None,
        }
    }

    /// A collector on this bus, running.
    pub(crate) fn collect(&self, policy: WindowPolicy) -> Running {
        self.collect_over(self.bus.clone(), policy, 1000)
    }

    pub(crate) fn collect_over(&self, bus: Arc<dyn Bus>, policy: WindowPolicy, prefetch: u16) -> Running {
        let (shutdown, mut task) = (Shutdown::default(), JoinSet::new());
        let collector = Collector {
            bus,
            sources: sources(),
            clock: self.clock.clone(),
            policy,
            prefetch: NonZeroU16::new(prefetch).unwrap(),
            metrics: metrics(),
            exports_traces: false,
        };
        task.spawn(collector.run(shutdown.clone()));
        Running { shutdown, task }
    }

    /// An inbox on this bus, running.
    pub(crate) fn empty_inbox(&self, bus: Arc<dyn Bus>, prefetch: u16) -> Running {
        let (shutdown, mut task) = (Shutdown::default(), JoinSet::new());
        let inbox = Inbox {
            bus,
            sources: sources(),
            clock: self.clock.clone(),
            prefetch: NonZeroU16::new(prefetch).unwrap(),
            metrics: metrics(),
        };
        task.spawn(inbox.run(shutdown.clone()));
        Running { shutdown, task }
    }

    /// Puts an event on the bus, as an intake does.
    pub(crate) async fn take_in(&self, event: &Event) {
        self.bus.publish(Queue::Events, event_message(event).unwrap()).await.unwrap();
    }

    /// Puts a body on the events queue, as another publisher does.
    pub(crate) async fn put(&self, body: impl Into<Vec<u8>>, headers: &[(&str, &str)]) {
        self.put_on(Queue::Events, body, headers).await;
    }

    pub(crate) async fn put_on(&self, queue: Queue, body: impl Into<Vec<u8>>, headers: &[(&str, &str)]) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (id, key) = ("foreign".to_owned(), "foreign".to_owned());
        let message = Outgoing { id, key, headers, body: body.into().into(), maybe_repeated: false };
        self.bus.publish(queue, message).await.unwrap();
    }

    pub(crate) async fn depth(&self, queue: Queue) -> Depth {
        self.bus.depth(queue).await.unwrap()
    }

    /// Waits until so many messages are not settled.
    pub(crate) async fn wait_for_depth(&self, queue: Queue, messages: u64) {
        let what = format!("{messages} messages on {}", queue.as_str());
        wait::until(&what, async || (self.depth(queue).await.messages == messages).then_some(())).await;
    }

    /// The next `count` messages of a queue, acknowledged.
    pub(crate) async fn consume(&self, queue: Queue, count: usize) -> Vec<Consumed> {
        let mut consumer = self.bus.consume(queue, NonZeroU16::MAX).await.unwrap();
        let mut messages = Vec::new();
        while messages.len() < count {
            let received = timeout(wait::DEADLINE, consumer.next()).await.expect("a message in time").unwrap();
            messages.push(Consumed::of(&received));
            received.receipt.ack().await.unwrap();
        }
        messages
    }

    /// The next batch, and whether it may be repeated.
    pub(crate) async fn batch(&self) -> (Batch, bool) {
        self.batches(1).await.remove(0)
    }

    pub(crate) async fn batches(&self, count: usize) -> Vec<(Batch, bool)> {
        let messages = self.consume(Queue::Deliveries, count).await;
        messages.into_iter().map(|message| (message.batch(), message.maybe_repeated)).collect()
    }
}

/// A message that was taken from a queue.
#[derive(Debug)]
pub(crate) struct Consumed {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) maybe_repeated: bool,
}

impl Consumed {
    fn of(received: &Received) -> Self {
        Self {
            headers: received.headers.clone(),
            body: received.body.to_vec(),
            maybe_repeated: received.maybe_repeated,
        }
    }

    pub(crate) fn event(&self) -> Event {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn batch(&self) -> Batch {
        match Message::decode(&self.body).unwrap() {
            Message::Batch(batch) => batch,
            Message::Delivery(delivery) => panic!("{delivery:?}"),
        }
    }
}

/// A running collector or inbox. Dropping it is a kill.
#[derive(Debug)]
pub(crate) struct Running {
    shutdown: Shutdown,
    task: JoinSet<Result<(), BoxError>>,
}

impl Running {
    /// Asks it to stop, as SIGTERM does.
    pub(crate) fn ask_to_stop(&self) {
        self.shutdown.request();
    }

    /// Asks it to stop, and waits for it.
    pub(crate) async fn stop(mut self) {
        self.shutdown.request();
        self.task.join_next().await.unwrap().unwrap().unwrap();
    }

    /// Whether it is still running after `time`.
    pub(crate) async fn is_running_after(&mut self, time: Duration) -> bool {
        timeout(time, self.task.join_next()).await.is_err()
    }

    /// Ends it at whatever it awaits, with nothing tidied up.
    pub(crate) async fn kill(mut self) {
        self.task.shutdown().await;
    }
}
