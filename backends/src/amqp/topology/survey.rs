//! Makes the exchanges and queues, or looks at them, and says how they differ from what they must be.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPSoftError};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection};

use crate::amqp::config::{AmqpConfig, Topology};
use crate::amqp::connect::{self, CallError, within};

use super::{Declared, Exchange, Place, exchanges, passive, queues};

/// What a broker before 3.12 needs for the dead letters, and to lose nothing that leaves a queue.
const STREAMS: &str = "enable the feature flag it needs: rabbitmqctl enable_feature_flag stream_queue";

/// Makes the topology as it must be, or only looks at it; returns how it differs all the same.
pub(in crate::amqp) async fn establish(config: &AmqpConfig, connection: &Connection) -> Result<Vec<String>, CallError> {
    let mut survey = Survey::begin(config, connection).await?;
    for exchange in exchanges(config) {
        survey.exchange(exchange).await?;
    }
    let queues = queues(config);
    for queue in &queues {
        survey.queue(queue).await?;
    }
    if config.options().topology == Topology::Declare {
        for queue in &queues {
            survey.bind(&queue.name, &queue.bindings).await?;
        }
        // After that, and only if all is in its place, so that there is no moment at which neither the old nor the
        // new place is fed.
        let is_in_place = survey.differences.is_empty();
        for queue in queues.iter().filter(|_| is_in_place) {
            survey.unbind(&queue.name, &queue.unbound).await?;
        }
    }
    Ok(survey.end().await)
}

fn lacks_feature(refusal: &AMQPError) -> bool {
    refusal.get_message().as_str().contains("feature flag")
}

/// A way through the topology on one channel after the other: a refusal closes the channel.
pub(super) struct Survey<'a> {
    config: &'a AmqpConfig,
    connection: &'a Connection,
    channel: Channel,
    differences: Vec<String>,
    /// Whether this user may declare, as far as it is known.
    may_declare_exchanges: bool,
    may_declare_queues: bool,
}

impl<'a> Survey<'a> {
    pub(super) async fn begin(config: &'a AmqpConfig, connection: &'a Connection) -> Result<Self, CallError> {
        let channel = connect::channel(config, connection).await?;
        let differences = Vec::new();
        Ok(Self { config, connection, channel, differences, may_declare_exchanges: true, may_declare_queues: true })
    }

    pub(super) async fn end(self) -> Vec<String> {
        connect::close_channel(self.config, &self.channel).await;
        self.differences
    }

    /// What was looked for and found is declared all the same where this user may: nothing comes of it but the
    /// broker's word on how it differs.
    async fn exchange(&mut self, exchange: Exchange) -> Result<(), CallError> {
        let Exchange { name, kind, arguments } = exchange;
        let shown = format!("exchange {name}");
        let name = ShortString::from(name);
        if self.only_looks() {
            let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
            let (channel, none) = (self.channel.clone(), FieldTable::default());
            let looking = channel.exchange_declare(name.clone(), kind.clone(), options, none);
            let is_there = self.is_there(&shown, looking).await?;
            if !is_there || !self.may_declare_exchanges {
                return Ok(());
            }
        }
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let channel = self.channel.clone();
        let refusal = self.refusal("declare an exchange", channel.exchange_declare(name, kind, options, arguments));
        if let Some(refusal) = refusal.await? {
            self.may_declare_exchanges &= self.note(&shown, &refusal);
        }
        Ok(())
    }

    async fn queue(&mut self, queue: &Declared) -> Result<(), CallError> {
        let shown = format!("queue {}", queue.name);
        let name = ShortString::from(queue.name.as_str());
        if self.only_looks() {
            let channel = self.channel.clone();
            let looking = channel.queue_declare(name.clone(), passive(), FieldTable::default());
            let is_there = self.is_there(&shown, looking).await?;
            if !is_there || !self.may_declare_queues {
                return Ok(());
            }
        }
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let channel = self.channel.clone();
        let declaring = channel.queue_declare(name, options, queue.arguments.clone());
        let is_stream = queue.name == self.config.options().names.dead_queue();
        let refusal = match self.refusal("declare a queue", declaring).await {
            Err(error) if is_stream && error.refusal().is_some_and(lacks_feature) => {
                return Err(CallError::NoStreams(format!("{shown}: {error}; {STREAMS}")));
            }
            refusal => refusal?,
        };
        if let Some(refusal) = refusal {
            self.may_declare_queues &= self.note(&shown, &refusal);
        }
        Ok(())
    }

    pub(super) async fn bind(&mut self, queue: &str, places: &[Place]) -> Result<(), CallError> {
        for (exchange, key) in places {
            let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
            let channel = self.channel.clone();
            let binding =
                channel.queue_bind(queue.into(), exchange.as_str().into(), key.as_str().into(), options, arguments);
            if let Some(refusal) = self.refusal("bind a queue", binding).await? {
                self.note(&format!("binding of {queue} to {exchange}"), &refusal);
            }
        }
        Ok(())
    }

    /// Unbinding what is not bound is no error.
    pub(super) async fn unbind(&mut self, queue: &str, places: &[Place]) -> Result<(), CallError> {
        for (exchange, key) in places {
            let arguments = FieldTable::default();
            let channel = self.channel.clone();
            let unbinding =
                channel.queue_unbind(queue.into(), exchange.as_str().into(), key.as_str().into(), arguments);
            if let Some(refusal) = self.refusal("unbind a queue", unbinding).await? {
                self.note(&format!("end of the binding of {queue} to {exchange}"), &refusal);
            }
        }
        Ok(())
    }

    fn only_looks(&self) -> bool {
        self.config.options().topology == Topology::Verify
    }

    async fn is_there<T>(
        &mut self,
        shown: &str,
        looking: impl Future<Output = lapin::Result<T>>,
    ) -> Result<bool, CallError> {
        let Some(refusal) = self.refusal("look at the topology", looking).await? else { return Ok(true) };
        if *refusal.kind() == AMQPSoftError::NOTFOUND.into() {
            self.differences.push(format!("{shown}: missing"));
        } else {
            self.differences.push(format!("{shown}: {}", refusal.get_message()));
        }
        Ok(false)
    }

    /// Takes note of a refused declaration; says whether this user may declare. One who only looks need not be
    /// allowed to.
    fn note(&mut self, shown: &str, refusal: &AMQPError) -> bool {
        let is_forbidden = *refusal.kind() == AMQPSoftError::ACCESSREFUSED.into();
        if !(is_forbidden && self.only_looks()) {
            self.differences.push(format!("{shown}: {}", refusal.get_message()));
        }
        !is_forbidden
    }

    /// What the broker says against a call; then there is a new channel for the next. What closes the connection
    /// is an error.
    async fn refusal<T>(
        &mut self,
        what: &'static str,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<Option<AMQPError>, CallError> {
        let Err(error) = within(self.config.options().call_timeout, what, call).await else { return Ok(None) };
        match error.refusal() {
            Some(refusal) if matches!(refusal.kind(), AMQPErrorKind::Soft(_)) => {
                let refusal = refusal.clone();
                self.channel = connect::channel(self.config, self.connection).await?;
                Ok(Some(refusal))
            }
            _ => Err(error),
        }
    }
}
