//! The bus on the file.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dockbell_proto::operations::OperatorEvent;
use rusqlite::Connection;

use crate::bus::{Bus, BusError, Consumer, DeadLetter, Depth, Outgoing, PublishError, Queue, Stray};

use super::consumer::EmbeddedConsumer;
use super::messages::{self, Incoming};
use super::status::Failure;
use super::{Embedded, dead, delayed};

impl From<Failure> for PublishError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotStored(reason) => Self::Unavailable(reason),
            Failure::Unknown(reason) => Self::Unknown(reason),
            Failure::Closed => Self::Unavailable(failure.to_string()),
        }
    }
}

impl From<Failure> for BusError {
    fn from(failure: Failure) -> Self {
        Self::Away(failure.to_string())
    }
}

#[async_trait]
impl Bus for Embedded {
    async fn publish(&self, queue: Queue, message: Outgoing) -> Result<(), PublishError> {
        let message = Incoming::new(queue, message)?;
        let room = self.queues.of(queue).reserve(message.bytes)?;
        let run = move |file: &Connection| messages::insert(file, &message);
        self.writer.write(run, move |seq| room.published(*seq)).await?;
        Ok(())
    }

    async fn publish_after(&self, queue: Queue, message: Outgoing, delay: Duration) -> Result<(), PublishError> {
        let message = Incoming::new(queue, message)?;
        let room = self.queues.of(queue).reserve(message.bytes)?;
        let schedule = Arc::clone(&self.schedule);
        let run = move |file: &Connection| delayed::insert_unless_there(file, &schedule, delay, &message);
        let schedule = Arc::clone(&self.schedule);
        let committed = move |due_at: &Option<i64>| {
            if let Some(due_at) = due_at {
                room.delayed();
                schedule.note(*due_at);
            }
        };
        self.writer.write(run, committed).await?;
        Ok(())
    }

    async fn bury(&self, queue: Queue, message: Outgoing, reason: String) -> Result<(), PublishError> {
        let message = Incoming::new(queue, message)?;
        let kept = self.kept.clone();
        self.writer.write(move |file| dead::insert(file, &kept, &message, &reason), |()| ()).await?;
        Ok(())
    }

    /// Nobody else can listen to a file.
    async fn announce(&self, _event: &OperatorEvent) -> Result<(), PublishError> {
        Ok(())
    }

    async fn consume(&self, queue: Queue, prefetch: NonZeroU16) -> Result<Consumer, BusError> {
        self.status.check()?;
        Ok(Consumer::new(EmbeddedConsumer {
            queue: Arc::clone(self.queues.of(queue)),
            reader: self.reader.clone(),
            writer: self.writer.clone(),
            status: Arc::clone(&self.status),
            kept: self.kept.clone(),
            permits: EmbeddedConsumer::permits(prefetch),
        }))
    }

    /// Only this process publishes.
    async fn consume_inbox(&self, _prefetch: NonZeroU16) -> Result<Option<Consumer>, BusError> {
        self.status.check()?;
        Ok(None)
    }

    fn is_full(&self, queue: Queue) -> bool {
        self.queues.of(queue).is_full()
    }

    async fn depth(&self, queue: Queue) -> Result<Depth, BusError> {
        self.status.check()?;
        Ok(self.queues.of(queue).depth())
    }

    async fn dead_letters(&self, position: u64, limit: u32) -> Result<Vec<DeadLetter>, BusError> {
        let kept = self.kept.clone();
        Ok(self.reader.read(move |file| dead::letters(file, &kept, position, limit)).await?)
    }

    async fn revive(&self, letter: &DeadLetter) -> Result<(), PublishError> {
        let DeadLetter { queue, id, headers, body, .. } = letter.clone();
        // There are no shards, so a key decides nothing.
        self.publish(queue, Outgoing { id, key: String::new(), headers, body, maybe_repeated: true }).await
    }

    /// Only this process publishes.
    async fn unrouted(&self, _limit: u32) -> Result<Vec<Stray>, BusError> {
        self.status.check()?;
        Ok(Vec::new())
    }

    async fn replay_unrouted(&self, _limit: u32) -> Result<u32, BusError> {
        self.status.check()?;
        Ok(0)
    }
}
