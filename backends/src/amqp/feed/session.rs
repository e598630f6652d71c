//! One queue of one consumer on one channel: receives, lets wait what is early, settles, watches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _, OptionFuture, TryFutureExt as _, try_join_all};
use futures_util::stream::FuturesUnordered;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::time::{Instant, Interval, MissedTickBehavior, sleep_until};

use super::Feed;
use crate::amqp::bundle;
use crate::amqp::connect::{self, CallError, within};
use crate::amqp::delay::{Wait, wait_for};
use crate::amqp::depth;
use crate::amqp::desk::{Call, Calls, Desk, Verdict};
use crate::amqp::inbox::Arrived;
use crate::amqp::incarnation::Incarnation;
use crate::amqp::ledger::Due;
use crate::amqp::parcel::Parcel;
use crate::amqp::receipt::AmqpReceipt;
use crate::amqp::sources::Role;
use crate::bus::{PublishError, Queue};

/// How long settled messages are collected into one acknowledgement.
const COLLECT: Duration = Duration::from_millis(5);
/// How often a silent consumer is looked at; it is given up at the second look in a row.
const WATCH: Duration = Duration::from_secs(15);
/// How long sending a message to wait again is paused after it failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How many messages are received before anything else comes to its turn.
const LOT: usize = 256;

/// A consumer on a channel.
pub(super) struct Session {
    channel: Channel,
    /// None when the consumer was cancelled.
    consumer: Option<Consumer>,
    desk: Arc<Desk>,
    calls: Calls,
    /// Messages that are due soon, by time and then by tag.
    early: BTreeMap<(Instant, u64), Arrived>,
    /// Messages that are on their way to wait again.
    hopping: FuturesUnordered<BoxFuture<'static, Option<Arrived>>>,
    received: u64,
    silence: Silence,
}

/// What the last look at a consumer saw.
#[derive(Debug, Default)]
struct Silence {
    received: u64,
    looks: u32,
}

impl Session {
    pub(super) async fn open(feed: &Feed, incarnation: &Incarnation) -> Result<Self, CallError> {
        let config = &feed.outbox.config;
        let bound = config.options().call_timeout;
        let channel = connect::channel(config, &incarnation.connection).await?;
        let prefetch = channel.basic_qos(feed.prefetch.get(), BasicQosOptions::default());
        within(bound, "set the prefetch", prefetch).await?;
        let queue = feed.source.name.as_str().into();
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = channel.basic_consume(queue, ShortString::default(), options, arguments);
        let consumer = within(bound, "consume", consuming).await?;
        let (desk, calls) = Desk::new(feed.outbox.clone(), feed.source.role.queue(), feed.prefetch.get().into());
        Ok(Self {
            channel,
            consumer: Some(consumer),
            desk: Arc::new(desk),
            calls,
            early: BTreeMap::new(),
            hopping: FuturesUnordered::new(),
            received: 0,
            silence: Silence::default(),
        })
    }

    /// Runs until there is nothing more to do, which is no failure, or the channel is of no use any more.
    pub(super) async fn run(mut self, feed: &Feed, incarnation: &Incarnation) -> Result<(), String> {
        let result = self.pump(feed, incarnation).await;
        feed.outbox.sizes.held(feed.source.role.queue()).fetch_sub(self.owed(), Ordering::Relaxed);
        if result.is_ok() {
            connect::close_channel(&feed.outbox.config, &self.channel).await;
        }
        result
    }

    async fn pump(&mut self, feed: &Feed, incarnation: &Incarnation) -> Result<(), String> {
        let (mut collect, mut watch) = (interval(COLLECT), interval(WATCH));
        watch.reset();
        let mut is_wanted = true;
        while is_wanted || self.owed() > 0 {
            let first_due = self.early.keys().next().map(|(due, _)| sleep_until(*due));
            tokio::select! {
                biased;
                () = feed.closed.cancelled() => return self.finish(feed).await,
                () = incarnation.given_up() => return Err("the connection is given up".to_owned()),
                () = feed.gone.cancelled(), if is_wanted => {
                    is_wanted = false;
                    // What came after the consumer was dropped.
                    feed.inbox.clear();
                    self.cancel(feed).await?;
                }
                _ = collect.tick(), if self.owed() > 0 => self.acknowledge(feed).await?,
                _ = watch.tick(), if is_wanted => self.look(feed, incarnation).await?,
                Some((tag, call)) = self.calls.recv() => self.answer(feed, tag, call).await?,
                delivery = next(&mut self.consumer), if self.consumer.is_some() => match delivery {
                    Some(Ok(delivery)) => self.receive_all(feed, delivery, is_wanted)?,
                    Some(Err(error)) => return Err(error.to_string()),
                    None if is_wanted => return Err("the broker cancelled the consumer".to_owned()),
                    None => self.consumer = None,
                },
                Some(()) = OptionFuture::from(first_due) => self.release_due(feed),
                Some(back) = self.hopping.next() => if let Some(arrived) = back {
                    self.keep_until_due(feed, arrived);
                },
            }
        }
        Ok(())
    }

    fn owed(&self) -> u64 {
        u64::try_from(self.desk.ledger().owed()).unwrap_or(u64::MAX)
    }

    /// Takes a message in, with others that are there already, so that one wake-up serves many.
    fn receive_all(&mut self, feed: &Feed, first: Delivery, is_wanted: bool) -> Result<(), String> {
        let now = Instant::now();
        self.receive(feed, first, (now, is_wanted));
        for _ in 1..LOT {
            // What is not there now is waited for by the next turn, which also sees the end.
            match next(&mut self.consumer).now_or_never() {
                Some(Some(Ok(delivery))) => self.receive(feed, delivery, (now, is_wanted)),
                Some(Some(Err(error))) => return Err(error.to_string()),
                Some(None) if is_wanted => return Err("the broker cancelled the consumer".to_owned()),
                Some(None) => self.consumer = None,
                None => break,
            }
        }
        Ok(())
    }

    /// Takes a message in. The one that another process had told to wait may be there twice, because that
    /// process may have gone before it learned of its success.
    fn receive(&mut self, feed: &Feed, delivery: Delivery, (now, is_wanted): (Instant, bool)) {
        let tag = delivery.delivery_tag;
        self.desk.ledger().hold(tag, now);
        self.received += 1;
        feed.outbox.sizes.held(feed.source.role.queue()).fetch_add(1, Ordering::Relaxed);
        feed.outbox.sizes.note(feed.source.role.queue(), delivery.data.len());
        let mut parcel = Parcel::read(delivery);
        let receipt = AmqpReceipt::new(tag, Arc::clone(&self.desk));
        if !is_wanted {
            // Dropping the receipt gives the message back.
            return;
        }
        let remaining = parcel.remaining(feed.outbox.clock.as_ref());
        match (wait_for(remaining), &parcel.due) {
            (Wait::OnStep(..), _) => self.hopping.push(hop(feed, Arrived { parcel, receipt })),
            (Wait::WithConsumer, Some((_, publisher))) => {
                parcel.maybe_repeated |= **publisher != *feed.outbox.process;
                self.keep_until_due(feed, Arrived { parcel, receipt });
            }
            (Wait::WithConsumer, None) => put(feed, Arrived { parcel, receipt }),
        }
    }

    fn keep_until_due(&mut self, feed: &Feed, arrived: Arrived) {
        let due = Instant::now() + arrived.parcel.remaining(feed.outbox.clock.as_ref());
        self.early.insert((due, arrived.receipt.tag()), arrived);
    }

    fn release_due(&mut self, feed: &Feed) {
        let now = Instant::now();
        while let Some(first) = self.early.first_entry()
            && first.key().0 <= now
        {
            put(feed, first.remove());
        }
    }

    /// Does at once what a receipt asks for.
    async fn answer(&mut self, feed: &Feed, tag: u64, call: Call) -> Result<(), String> {
        match call {
            Call::Ack(done) => {
                let options = BasicAckOptions { multiple: false };
                bounded(feed, "acknowledge", self.channel.basic_ack(tag, options)).await?;
                self.release(feed, tag);
                // A channel is served in order: once this is answered, the acknowledgement is carried out.
                let barrier = self.channel.basic_qos(feed.prefetch.get(), BasicQosOptions::default());
                bounded(feed, "settle", barrier).await?;
                // Whoever settled may have stopped waiting.
                done.send(()).ok();
            }
            Call::Requeue => {
                let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                bounded(feed, "requeue", self.channel.basic_nack(tag, options)).await?;
                self.release(feed, tag);
            }
        }
        Ok(())
    }

    fn release(&self, feed: &Feed, tag: u64) {
        self.desk.ledger().release(tag);
        feed.outbox.sizes.held(feed.source.role.queue()).fetch_sub(1, Ordering::Relaxed);
    }

    async fn acknowledge(&mut self, feed: &Feed) -> Result<(), String> {
        let due = self.desk.ledger().take_due(Instant::now());
        self.carry_out(feed, due).await
    }

    async fn carry_out(&mut self, feed: &Feed, due: Due) -> Result<(), String> {
        let written = self.write(feed, &due).await;
        feed.outbox.sizes.held(feed.source.role.queue()).fetch_sub(due.count, Ordering::Relaxed);
        written
    }

    async fn write(&mut self, feed: &Feed, due: &Due) -> Result<(), String> {
        if let Some(tag) = due.prefix {
            let options = BasicAckOptions { multiple: true };
            bounded(feed, "acknowledge", self.channel.basic_ack(tag, options)).await?;
        }
        // Side by side: each waits until it is written, and none for another.
        let singles = due.singles.iter().map(|tag| self.channel.basic_ack(*tag, BasicAckOptions { multiple: false }));
        bounded(feed, "acknowledge", try_join_all(singles).map_ok(drop)).await
    }

    /// Asks for no more. What was received and not handed out goes back.
    async fn cancel(&mut self, feed: &Feed) -> Result<(), String> {
        self.early.clear();
        let Some(tag) = self.consumer.as_ref().map(Consumer::tag) else { return Ok(()) };
        bounded(feed, "cancel", self.channel.basic_cancel(tag, BasicCancelOptions::default())).await
    }

    /// Tells the broker what is settled. The rest comes back when the channel closes.
    async fn finish(&mut self, feed: &Feed) -> Result<(), String> {
        while let Ok((tag, call)) = self.calls.try_recv() {
            self.answer(feed, tag, call).await?;
        }
        let due = self.desk.ledger().take_all();
        self.carry_out(feed, due).await
    }

    /// Finds out whether the consumer is silent although the broker has messages that it should get. An
    /// inactive consumer of a queue with a single active one gets none, so one that never got any may be that.
    async fn look(&mut self, feed: &Feed, incarnation: &Incarnation) -> Result<(), String> {
        let has_received = self.received > self.silence.received;
        let may_be_inactive = feed.source.role == Role::Work(Queue::Events) && self.received == 0;
        let is_full = self.owed() >= u64::from(feed.prefetch.get());
        self.silence.received = self.received;
        if has_received || may_be_inactive || is_full {
            self.silence.looks = 0;
            return Ok(());
        }
        let queues = vec![feed.source.name.clone()];
        let ready = depth::ready(&feed.outbox.config, &incarnation.connection, queues).await;
        let ready = ready.map_err(|error| error.to_string())?;
        self.silence.looks = if ready > 0 { self.silence.looks + 1 } else { 0 };
        if self.silence.looks < 2 { Ok(()) } else { Err("the consumer is silent".to_owned()) }
    }
}

/// Hands a message to whoever consumes, or those that it stands for. One that says it is a bundle and cannot be
/// read goes the way of all that cannot be read.
fn put(feed: &Feed, arrived: Arrived) {
    let is_ours = feed.source.role == Role::Work(Queue::Redeliveries);
    let Some(members) = bundle::members(&arrived.parcel).filter(|members| is_ours && !members.is_empty()) else {
        return feed.inbox.put(arrived);
    };
    let receipts = arrived.receipt.shared_by(members.len());
    members.into_iter().zip(receipts).for_each(|(parcel, receipt)| feed.inbox.put(Arrived { parcel, receipt }));
}

async fn bounded(
    feed: &Feed,
    what: &'static str,
    call: impl Future<Output = lapin::Result<()>> + Send,
) -> Result<(), String> {
    within(feed.outbox.config.options().call_timeout, what, call).await.map_err(|error| error.to_string())
}

fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn next(consumer: &mut Option<Consumer>) -> Option<lapin::Result<Delivery>> {
    match consumer {
        Some(consumer) => consumer.next().await,
        None => None,
    }
}

/// Sends a message to wait again, and then settles it. While it cannot wait elsewhere it waits here; once the rest
/// is too short for a step, it is returned.
fn hop(feed: &Feed, arrived: Arrived) -> BoxFuture<'static, Option<Arrived>> {
    let (outbox, queue, shard) = (feed.outbox.clone(), feed.source.role.queue(), feed.source.shard);
    let Arrived { mut parcel, mut receipt } = arrived;
    async move {
        loop {
            let remaining = parcel.remaining(outbox.clock.as_ref());
            if wait_for(remaining) == Wait::WithConsumer {
                return Some(Arrived { parcel, receipt });
            }
            let Err(error) = outbox.wait(queue, shard, parcel.clone(), remaining).await else { break };
            parcel.maybe_repeated |= matches!(error, PublishError::Unknown(_));
            tracing::warn!(%error, "failed to let a message wait again");
            tokio::time::sleep(PAUSE).await;
        }
        if receipt.tell(Verdict::Ack).is_err() {
            tracing::debug!("a message that waits again comes twice");
        }
        None
    }
    .boxed()
}
