//! What stands on the queues: a batch or one delivery, each with the version of its schema.

use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::delivery::Delivery;

/// A message on the queues between producer and deliverer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "schema")]
pub enum Message {
    /// A batch, not yet routed.
    #[serde(rename = "dockbell.batch/1")]
    Batch(Batch),
    /// One delivery before its next attempt.
    #[serde(rename = "dockbell.delivery/1")]
    Delivery(Delivery),
}

/// The message cannot be read by this version.
#[derive(Debug, thiserror::Error)]
#[error("not a message this version reads (dockbell.batch/1, dockbell.delivery/1): {0}")]
pub struct MessageError(#[from] serde_json::Error);

impl Message {
    /// Reads a message body.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        Ok(serde_json::from_slice(body)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages written by released versions must stay readable: these files are never edited.
    #[test]
    fn messages_of_every_past_version_are_read() {
        for (name, golden) in [
            ("batch-1", include_str!("../tests/golden/batch-1.json")),
            ("delivery-1", include_str!("../tests/golden/delivery-1.json")),
        ] {
            let message = Message::decode(golden.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
            let written: serde_json::Value = serde_json::from_slice(&message.encode()).unwrap();
            assert_eq!(written, serde_json::from_str::<serde_json::Value>(golden).unwrap(), "{name}");
        }
    }

    #[test]
    fn a_message_of_an_unknown_version_is_refused() {
        assert!(Message::decode(br#"{"schema":"dockbell.batch/99"}"#).is_err());
    }
}
