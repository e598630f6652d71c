//! The receipt: settles one message that was handed out.

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::OwnedSemaphorePermit;

use crate::bus::{BusError, Settle, Settlement};

use super::queue::Held;
use super::status::Failure;
use super::sweep::Kept;
use super::writer::Writer;
use super::{dead, messages};

/// The receipt of one message.
#[derive(Debug)]
pub(super) struct EmbeddedReceipt {
    /// None once it is with the writer, which then has the duty.
    held: Option<Held>,
    writer: Writer,
    kept: Kept,
    /// Free for the next message when this receipt is gone, after the message it held.
    _permit: OwnedSemaphorePermit,
}

impl EmbeddedReceipt {
    pub(super) fn new(held: Held, writer: Writer, kept: Kept, permit: OwnedSemaphorePermit) -> Self {
        Self { held: Some(held), writer, kept, _permit: permit }
    }

    /// Returns once the writer has taken the deletion. Should its commit fail, the message comes back.
    async fn ack(&mut self) -> Result<(), Failure> {
        let place = self.writer.reserve().await?;
        let held = self.held.take().ok_or(Failure::Closed)?.settling();
        let seq = held.seq();
        place.post(move |file| messages::delete(file, seq), move |()| held.settled());
        Ok(())
    }

    async fn dead_letter(&mut self, reason: String) -> Result<(), Failure> {
        let place = self.writer.reserve().await?;
        let held = self.held.take().ok_or(Failure::Closed)?.settling();
        let (seq, kept) = (held.seq(), self.kept.clone());
        let run = move |file: &Connection| {
            dead::copy(file, &kept, seq, &reason)?;
            messages::delete(file, seq)
        };
        place.write(run, move |()| held.settled()).await
    }

    fn requeue(&mut self) -> Result<(), Failure> {
        self.writer.check()?;
        drop(self.held.take());
        Ok(())
    }
}

#[async_trait]
impl Settle for EmbeddedReceipt {
    async fn settle(&mut self, settlement: Settlement) -> Result<(), BusError> {
        let settled = match settlement {
            Settlement::Ack => self.ack().await,
            Settlement::Requeue => self.requeue(),
            Settlement::DeadLetter(letter) => self.dead_letter(letter.reason).await,
        };
        settled.map_err(|failure| match failure {
            Failure::Closed => BusError::Stale,
            failure => failure.into(),
        })
    }
}
