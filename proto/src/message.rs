//! What stands on the queues: a batch or one delivery, each with the version of its schema.

use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::delivery::Delivery;

/// A message on the queues between producer and deliverer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "schema")]
pub enum Message {
    /// A batch, not yet routed.
    #[serde(rename = "dockbell.batch/1")]
    Batch(Batch),
    /// One delivery before its next attempt.
    #[serde(rename = "dockbell.delivery/1")]
    Delivery(Delivery),
}

/// What says how the rest is to be read.
#[derive(Deserialize)]
struct Tagged {
    schema: Schema,
}

#[derive(Deserialize)]
enum Schema {
    #[serde(rename = "dockbell.batch/1")]
    Batch,
    #[serde(rename = "dockbell.delivery/1")]
    Delivery,
}

/// The message cannot be read by this version.
#[derive(Debug, thiserror::Error)]
#[error("not a message that this version reads (dockbell.batch/1 or dockbell.delivery/1): {0}")]
pub struct MessageError(#[from] serde_json::Error);

impl Message {
    /// Reads a message body. A first look finds the schema, which costs less than to keep everything until it is found.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let Tagged { schema } = serde_json::from_slice(body)?;
        Ok(match schema {
            Schema::Batch => Self::Batch(serde_json::from_slice(body)?),
            Schema::Delivery => Self::Delivery(serde_json::from_slice(body)?),
        })
    }

    /// Writes the message body.
    ///
    /// # Panics
    /// Never: every part of a message has a JSON form.
    pub fn encode(&self) -> Vec<u8> {
        #[expect(
            clippy::expect_used,
            reason = "maps with non-string keys and failing serializers do not occur in these types"
        )]
        serde_json::to_vec(self).expect("a message has a JSON form")
    }
}
