//! The same work without what makes it reliable, as processes of their own: what ours is measured against.

use std::collections::BTreeSet;
use std::mem::take;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, Subcommand};
use dockbell_chassis::lifecycle::BoxError;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _, MaybeDone, maybe_done, poll_immediate};
use http::header::CONTENT_TYPE;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, PublisherConfirm};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// A publish that is being written.
type Writing = MaybeDone<BoxFuture<'static, lapin::Result<PublisherConfirm>>>;

const PERSISTENT: u8 = 2;
/// For how long settled messages are gathered before one acknowledgement settles all of them.
const GATHERED_FOR: Duration = Duration::from_millis(1);
/// Publishes that wait for their confirmation at most.
const UNCONFIRMED: usize = 512;

/// Which one.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Naked {
    /// Consumes, POSTs each body as it is, and acknowledges
    Deliverer(NakedDeliverer),
    /// Consumes, publishes the bodies of every so many as one, and acknowledges
    Producer(NakedProducer),
}

/// What both are told.
#[derive(Debug, Clone, Args)]
struct Source {
    #[arg(long)]
    amqp_url: String,
    #[arg(long)]
    queue: String,
    #[arg(long)]
    prefetch: NonZeroU16,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct NakedDeliverer {
    #[command(flatten)]
    source: Source,
    /// POSTs under way at once
    #[arg(long)]
    at_once: usize,
    /// Where to, in turn
    #[arg(long = "url", required = true)]
    urls: Vec<Uri>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct NakedProducer {
    #[command(flatten)]
    source: Source,
    /// Messages that make one
    #[arg(long)]
    every: usize,
    /// The exchange that it goes to, with its key
    #[arg(long)]
    exchange: String,
    #[arg(long)]
    key: String,
}

impl Naked {
    /// Works until it is killed.
    pub(crate) async fn run(&self) -> Result<(), BoxError> {
        match self {
            Self::Deliverer(deliverer) => deliverer.run().await,
            Self::Producer(producer) => producer.run().await,
        }
    }
}

impl Source {
    async fn consume(&self) -> Result<(Connection, Channel, Consumer), BoxError> {
        let connection = Connection::connect(&self.amqp_url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.basic_qos(self.prefetch.get(), BasicQosOptions::default()).await?;
        let (queue, options) = (ShortString::from(self.queue.as_str()), BasicConsumeOptions::default());
        let consumer = channel.basic_consume(queue, "naked".into(), options, FieldTable::default()).await?;
        Ok((connection, channel, consumer))
    }
}

impl NakedDeliverer {
    async fn run(&self) -> Result<(), BoxError> {
        let (_connection, channel, mut consumer) = self.source.consume().await?;
        let (done, settled) = mpsc::channel(self.source.prefetch.get().into());
        // What fails in any of them ends the process.
        let mut working = JoinSet::new();
        working.spawn(acknowledge(channel, settled));
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let permits = Arc::new(Semaphore::new(self.at_once));
        for url in self.urls.iter().cycle() {
            let Some(message) = consumer.next().await else { break };
            let Delivery { delivery_tag, data, .. } = message?;
            let permit = Arc::clone(&permits).acquire_owned().await?;
            let (client, done, url) = (client.clone(), done.clone(), url.clone());
            working.spawn(async move {
                let request = Request::post(url).header(CONTENT_TYPE, "application/json").body(Full::from(data))?;
                let answer = client.request(request).await?;
                if !answer.status().is_success() {
                    return Err(BoxError::from("the sink did not accept a POST"));
                }
                answer.into_body().collect().await?;
                drop(permit);
                Ok(done.send(delivery_tag).await?)
            });
            while let Some(ended) = working.try_join_next() {
                ended??;
            }
        }
        Ok(())
    }
}

impl NakedProducer {
    async fn run(&self) -> Result<(), BoxError> {
        let (connection, channel, mut consumer) = self.source.consume().await?;
        let (done, settled) = mpsc::channel(self.source.prefetch.get().into());
        let mut working = JoinSet::new();
        working.spawn(acknowledge(channel, settled));
        let publishing = connection.create_channel().await?;
        publishing.confirm_select(ConfirmSelectOptions::default()).await?;
        let (sender, mut confirmations) = mpsc::channel::<(Writing, Vec<u64>)>(UNCONFIRMED);
        working.spawn(async move {
            while let Some((mut writing, tags)) = confirmations.recv().await {
                (&mut writing).await;
                Pin::new(&mut writing).take_output().ok_or("a publish is awaited once")??.await?;
                for tag in tags {
                    done.send(tag).await?;
                }
            }
            Ok(())
        });
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let (mut tags, mut body) = (Vec::new(), Vec::new());
        while let Some(message) = consumer.next().await {
            let message = message?;
            tags.push(message.delivery_tag);
            body.extend_from_slice(&message.data);
            if tags.len() == self.every {
                let (exchange, key) = (self.exchange.as_str().into(), self.key.as_str().into());
                let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
                let (publishing, body, properties) = (publishing.clone(), take(&mut body), properties.clone());
                let publish = async move { publishing.basic_publish(exchange, key, options, &body, properties).await };
                let mut writing = maybe_done(publish.boxed());
                // Its writing begins here, and does not wait for those before it.
                poll_immediate(&mut writing).await;
                sender.send((writing, take(&mut tags))).await.map_err(|_| "nobody waits for confirmations")?;
            }
            while let Some(ended) = working.try_join_next() {
                ended??;
            }
        }
        Ok(())
    }
}

/// Acknowledges what is settled, all at once up to the first that is not.
async fn acknowledge(channel: Channel, mut settled: mpsc::Receiver<u64>) -> Result<(), BoxError> {
    let (mut later, mut next, mut gathered) = (BTreeSet::new(), 1, Vec::new());
    while settled.recv_many(&mut gathered, usize::MAX).await > 0 {
        later.extend(gathered.drain(..));
        let first = next;
        while later.remove(&next) {
            next += 1;
        }
        if next > first {
            channel.basic_ack(next - 1, BasicAckOptions { multiple: true }).await?;
        }
        tokio::time::sleep(GATHERED_FOR).await;
    }
    Ok(())
}
