//! The queues that are consumed: those of the present configuration, and those that earlier ones left.

use lapin::types::FieldTable;
use lapin::{Channel, Connection};

use crate::bus::Queue;

use super::config::{AmqpConfig, MOST_SHARDS};
use super::connect::{self, CallError, within};
use super::delay::STEPS;
use super::names::AmqpNames;
use super::topology::passive;

/// What is consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A queue of the bus.
    Work(Queue),
    /// What others published without knowing its shard.
    Inbox,
}

impl Role {
    /// The queue that its messages count as.
    pub(super) fn queue(self) -> Queue {
        match self {
            Self::Work(queue) => queue,
            Self::Inbox => Queue::Events,
        }
    }
}

/// One queue of the broker that is consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) role: Role,
    pub(super) name: String,
    /// Where its messages go when they have to wait again.
    pub(super) shard: u16,
    /// Whether an earlier configuration left it: nothing is amiss when it goes.
    pub(super) is_left: bool,
}

/// The queues of the present configuration.
pub(super) fn present(config: &AmqpConfig, role: Role) -> Vec<Source> {
    let names = &config.options().names;
    let source = |name, shard| Source { role, name, shard, is_left: false };
    match role {
        Role::Work(queue) => {
            (0..config.options().shards.get()).map(|shard| source(names.queue(queue, shard), shard)).collect()
        }
        Role::Inbox => vec![source(names.inbox_queue(), 0)],
    }
}

/// What earlier configurations left: shards beyond the present ones, and the version before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) sources: Vec<Source>,
    /// Queues on which messages may wait.
    pub(super) delays: Vec<String>,
    /// How many shards the version before has.
    pub(super) previous_shards: u16,
}

impl Left {
    /// Looks for them. The broker says that a queue is absent by closing the channel, and logs that.
    pub(super) async fn find(config: &AmqpConfig, connection: &Connection) -> Result<Self, CallError> {
        let names = &config.options().names;
        let channel = connect::channel(config, connection).await?;
        let mut search = Search { config, connection, channel, left: Self::default() };
        search.find_shards(names, config.options().shards.get()).await?;
        if let Some(previous) = names.previous() {
            search.left.previous_shards = search.find_shards(&previous, 0).await?;
            let name = previous.inbox_queue();
            if search.is_there(&name).await? {
                search.left.sources.push(Source { role: Role::Inbox, name, shard: 0, is_left: true });
            }
        }
        connect::close_channel(config, &search.channel).await;
        Ok(search.left)
    }

    pub(super) fn of(&self, role: Role) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(move |source| source.role == role)
    }
}

struct Search<'a> {
    config: &'a AmqpConfig,
    connection: &'a Connection,
    channel: Channel,
    left: Left,
}

impl Search<'_> {
    /// Finds shards from `first` on; returns the number of the one after the last.
    async fn find_shards(&mut self, names: &AmqpNames, first: u16) -> Result<u16, CallError> {
        let mut end = first;
        for queue in Queue::ALL {
            for shard in first..MOST_SHARDS {
                let name = names.queue(queue, shard);
                if !self.is_there(&name).await? {
                    break;
                }
                let shard_now = shard % self.config.options().shards;
                self.left.sources.push(Source { role: Role::Work(queue), name, shard: shard_now, is_left: true });
                end = end.max(shard + 1);
            }
        }
        for shard in first..end {
            self.left.delays.extend(STEPS.map(|step| names.delay_queue(step, shard)));
        }
        Ok(end)
    }

    async fn is_there(&mut self, name: &str) -> Result<bool, CallError> {
        let looking = self.channel.queue_declare(name.into(), passive(), FieldTable::default());
        match within(self.config.options().call_timeout, "look for a queue", looking).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => {
                self.channel = connect::channel(self.config, self.connection).await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
