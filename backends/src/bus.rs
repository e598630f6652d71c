//! The port to the broker, which has custody of everything that is not yet done.

use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dockbell_proto::batch::Batch;
use dockbell_proto::message::Message;
use dockbell_proto::operations::OperatorEvent;
use jiff::Timestamp;

/// A queue of the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Events on their way to a window.
    Events,
    /// Batches on their way to their first attempts.
    Deliveries,
    /// Deliveries that wait for a further attempt; consumed with a prefetch of its own, so that old trouble
    /// never stands before fresh news.
    Redeliveries,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 3] = [Self::Events, Self::Deliveries, Self::Redeliveries];

    /// The name of the queue in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Deliveries => "deliveries",
            Self::Redeliveries => "redeliveries",
        }
    }
}

/// A message on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Identifies the message among those in flight; a repeated publish carries the same id.
    pub id: String,
    /// What decides the shard: messages of equal keys stay in order.
    pub key: String,
    /// Headers, by lower-case name.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Whether an earlier publish of it may have succeeded.
    pub maybe_repeated: bool,
}

impl Outgoing {
    /// The message that carries a batch or a delivery. The same batch, and the same attempt of a delivery,
    /// have the same id.
    pub fn carrying(message: &Message) -> Self {
        let key = |content: &Batch| format!("{}/{}", content.registry, content.repository);
        let (key, id) = match message {
            Message::Batch(batch) => (key(batch), batch.message_id()),
            Message::Delivery(delivery) => (key(&delivery.content), delivery.attempt_id().to_string()),
        };
        Self::json(id, key, message.encode().into())
    }

    /// The message that carries an operator event. The same event has the same id.
    pub fn announcing(event: &OperatorEvent) -> Self {
        Self::json(event.id.clone(), event.kind.as_str().to_owned(), event.encode().into())
    }

    fn json(id: String, key: String, body: Bytes) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { id, key, headers, body, maybe_repeated: false }
    }
}

/// A message handed to a consumer, together with the duty to settle it.
#[derive(Debug)]
pub struct Received {
    /// The id it was published with.
    pub id: String,
    /// Headers, by lower-case name.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Whether it may have been handed out, or published, before.
    pub maybe_repeated: bool,
    /// The duty to settle it.
    pub receipt: Receipt,
}

impl Received {
    /// The header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The message is given up. Returns once it is durable among the dead letters, its reason with it.
    pub async fn dead_letter(self, reason: impl Into<String> + Send) -> Result<(), BusError> {
        let Self { id, headers, body, maybe_repeated, receipt: Receipt(mut settle) } = self;
        let letter = Letter { id, headers, body, maybe_repeated, reason: reason.into() };
        settle.settle(Settlement::DeadLetter(Box::new(letter))).await
    }
}

/// A message that is to be given up, for an adapter that cannot look it up where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The id it was published with.
    pub id: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
    /// Whether it may have been handed out, or published, before.
    pub maybe_repeated: bool,
    /// Why it is given up.
    pub reason: String,
}

/// How much stands on a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages ready or handed out, not settled.
    pub messages: u64,
    /// Messages that wait for their time.
    pub delayed: u64,
    /// The bytes of both.
    pub bytes: u64,
}

/// A message that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its place among the dead letters; later ones are larger.
    pub position: u64,
    /// The queue it came from.
    pub queue: Queue,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// The id it was published with.
    pub id: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
}

/// A message of somebody else that nothing was bound to take when it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// The routing key it was published with.
    pub key: String,
    /// The id it was published with; mostly empty.
    pub id: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
}

/// A publish that did not succeed, by what its caller should do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It is not stored and will not be until someone mends the broker's topology.
    #[error("the message cannot be routed: {0}")]
    Unroutable(String),
    /// It is not stored; try again later.
    #[error("the bus does not take the message now: {0}")]
    Unavailable(String),
    /// It may or may not be stored: publish it again under the same id, flagged `maybe_repeated`.
    #[error("it is unknown whether the message was stored: {0}")]
    Unknown(String),
}

/// An operation of the bus that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The receipt is of an earlier connection: the message comes again, so count this and go on.
    #[error("the receipt is stale")]
    Stale,
    /// The bus is away; try again later.
    #[error("the bus is away: {0}")]
    Away(String),
}

/// The broker.
///
/// Every future may be dropped at any await: a publish then has an unknown result, and a message whose
/// receipt is dropped comes back.
#[async_trait]
pub trait Bus: fmt::Debug + Send + Sync {
    /// Returns once the message is durable on `queue`.
    async fn publish(&self, queue: Queue, message: Outgoing) -> Result<(), PublishError>;

    /// Returns once the message is durable, to appear on `queue` when `delay` has passed, or a little later.
    async fn publish_after(&self, queue: Queue, message: Outgoing, delay: Duration) -> Result<(), PublishError>;

    /// Returns once the message is durable among the dead letters of `queue`, its reason with it. For what is
    /// given up without a receipt of its own, as one delivery of a batch is.
    async fn bury(&self, queue: Queue, message: Outgoing, reason: String) -> Result<(), PublishError>;

    /// Tells whoever listens of an operator event; returns once the bus has it. Nobody need listen, and who does not
    /// listen now never learns of it. On a bus to which nobody else can connect nothing happens.
    async fn announce(&self, event: &OperatorEvent) -> Result<(), PublishError>;

    /// Starts to consume `queue`, with at most `prefetch` messages handed out and not settled.
    async fn consume(&self, queue: Queue, prefetch: NonZeroU16) -> Result<Consumer, BusError>;

    /// Starts to consume what others published without knowing its shard: as they wrote it, for a producer to
    /// publish to [`Queue::Events`] under its key. None where such messages are on [`Queue::Events`] already, or
    /// nobody else can publish. What is dead-lettered counts as of [`Queue::Events`].
    async fn consume_inbox(&self, prefetch: NonZeroU16) -> Result<Option<Consumer>, BusError>;

    /// Whether `queue` is so close to its bound that what could wait there should be given up instead. A
    /// hint, known without asking the broker.
    fn is_full(&self, queue: Queue) -> bool;

    /// How much stands on `queue`.
    async fn depth(&self, queue: Queue) -> Result<Depth, BusError>;

    /// Up to `limit` dead letters after `position`, oldest first. Reading does not consume them.
    async fn dead_letters(&self, position: u64, limit: u32) -> Result<Vec<DeadLetter>, BusError>;

    /// Returns once a dead letter is durable on its queue again, unchanged and flagged `maybe_repeated`. An event
    /// goes the way of what others publish where its shard is not known. The letter stays among the dead ones.
    async fn revive(&self, letter: &DeadLetter) -> Result<(), PublishError>;

    /// Up to `limit` messages that others published and nothing was bound to take, oldest first, as far as no one
    /// else looks at them just now. They stay; that they were looked at may flag them as `maybe_repeated`. None
    /// where nobody else can publish.
    async fn unrouted(&self, limit: u32) -> Result<Vec<Stray>, BusError>;

    /// Publishes up to `limit` of them, oldest first, to where what others publish goes, and says how many. Each
    /// leaves its place only once it is durable there: a crash between may make it come twice. Stops at the first
    /// that is not taken; an error means that none was.
    async fn replay_unrouted(&self, limit: u32) -> Result<u32, BusError>;
}

/// What an adapter does for a [`Consumer`].
#[async_trait]
pub trait Consume: fmt::Debug + Send {
    /// See [`Consumer::next`].
    async fn next(&mut self) -> Option<Received>;

    /// See [`Consumer::next_ready`].
    fn next_ready(&mut self) -> Option<Received> {
        None
    }
}

/// A running consumer. Dropping it stops consumption; messages already handed out stay theirs who hold them.
#[derive(Debug)]
pub struct Consumer(Box<dyn Consume>);

impl Consumer {
    /// Wraps an adapter's consumer.
    pub fn new(consume: impl Consume + 'static) -> Self {
        Self(Box::new(consume))
    }

    /// The next message; none once the bus is closed. While the broker is away this waits.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Received> {
        self.0.next().await
    }

    /// A further message, if one can be handed out without waiting; an adapter that cannot tell has none. Who takes
    /// many at once is woken less often.
    pub fn next_ready(&mut self) -> Option<Received> {
        self.0.next_ready()
    }
}

/// How a message is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Its work is durable elsewhere.
    Ack,
    /// It goes back to its queue.
    Requeue,
    /// It is given up and kept among the dead letters.
    DeadLetter(Box<Letter>),
}

/// What an adapter does for a [`Receipt`]. Dropped before it has settled, the message comes back.
#[async_trait]
pub trait Settle: fmt::Debug + Send {
    /// Settles the message.
    async fn settle(&mut self, settlement: Settlement) -> Result<(), BusError>;

    /// Settles as [`Settlement::Ack`] says, where that needs no waiting; none where it does.
    fn ack_at_once(&mut self) -> Option<Result<(), BusError>> {
        None
    }
}

/// The duty to settle one message. Dropping it gives the message back to its queue.
#[derive(Debug)]
#[must_use = "a dropped receipt makes the message come back"]
pub struct Receipt(Box<dyn Settle>);

impl Receipt {
    /// Wraps an adapter's receipt.
    pub fn new(settle: impl Settle + 'static) -> Self {
        Self(Box::new(settle))
    }

    /// The message's work is durable elsewhere. Returns once the bus has taken note; a crash right after
    /// may still make the message come back.
    pub async fn ack(mut self) -> Result<(), BusError> {
        if let Some(acked) = self.0.ack_at_once() {
            return acked;
        }
        self.0.settle(Settlement::Ack).await
    }

    /// The message goes back to its queue at once.
    pub async fn requeue(mut self) -> Result<(), BusError> {
        self.0.settle(Settlement::Requeue).await
    }
}
