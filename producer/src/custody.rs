//! The duty to settle a message, shared by the events that came in it.

use std::sync::{Arc, Mutex, PoisonError};

use dockbell_backends::bus::{Receipt, Received};

use crate::metrics::Metrics;

/// One event's share of a receipt. When the last share is settled, so is the message. A share that is
/// dropped instead makes the message come back.
#[derive(Debug)]
pub struct Share {
    part: Part,
    maybe_repeated: bool,
}

#[derive(Debug)]
enum Part {
    /// The message brought one event, as most do.
    Whole(Receipt),
    One(Arc<Mutex<Custody>>),
}

#[derive(Debug)]
struct Custody {
    receipt: Option<Receipt>,
    unsettled: usize,
}

/// Splits the receipt of a message, which may have been handed out before, into `count` shares.
pub fn split(receipt: Receipt, count: usize, maybe_repeated: bool) -> Vec<Share> {
    if count == 1 {
        return vec![Share { part: Part::Whole(receipt), maybe_repeated }];
    }
    let custody = Arc::new(Mutex::new(Custody { receipt: Some(receipt), unsettled: count }));
    (0..count).map(|_| Share { part: Part::One(Arc::clone(&custody)), maybe_repeated }).collect()
}

impl Share {
    /// Whether the message may have been handed out before, so that its batch may exist already.
    pub fn maybe_repeated(&self) -> bool {
        self.maybe_repeated
    }

    /// Settles this share. Whoever settles the last one gets the receipt, to acknowledge the message.
    #[must_use = "the last share yields the receipt"]
    pub fn settle(self) -> Option<Receipt> {
        let custody = match self.part {
            Part::Whole(receipt) => return Some(receipt),
            Part::One(custody) => custody,
        };
        let mut custody = custody.lock().unwrap_or_else(PoisonError::into_inner);
        custody.unsettled = custody.unsettled.saturating_sub(1);
        if custody.unsettled == 0 { custody.receipt.take() } else { None }
    }
}

/// Acknowledges a message. If that fails the bus hands it out again, and its events are recognised.
pub(crate) async fn acknowledge(receipt: Option<Receipt>) {
    let Some(receipt) = receipt else { return };
    if let Err(error) = receipt.ack().await {
        tracing::debug!(error = %error, "a message could not be settled and comes back");
    }
}

/// Gives a message up: it is kept as a dead letter with its reason, or it comes back.
pub(crate) async fn bury(message: Received, reason: String, metrics: &Metrics) {
    let id = message.id.clone();
    match message.dead_letter(reason.clone()).await {
        Ok(()) => {
            metrics.dead_lettered();
            tracing::error!(message.id = id, reason, "a message is no event and is kept as a dead letter");
        }
        Err(error) => {
            tracing::warn!(message.id = id, error = %error, "a dead letter could not be stored; its message comes back");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use dockbell_backends::bus::{BusError, Settle, Settlement};

    use super::*;

    #[derive(Debug)]
    struct Counting(Arc<AtomicUsize>);

    #[async_trait::async_trait]
    impl Settle for Counting {
        async fn settle(&mut self, _: Settlement) -> Result<(), BusError> {
            Ok(())
        }
    }

    impl Drop for Counting {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_last_settled_share_yields_the_receipt() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let shares = split(Receipt::new(Counting(Arc::clone(&dropped))), 3, false);
        let receipts: Vec<_> = shares.into_iter().filter_map(Share::settle).collect();
        assert_eq!((receipts.len(), dropped.load(Ordering::SeqCst)), (1, 0));
    }

    #[test]
    fn one_dropped_share_returns_the_whole_message() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut shares = split(Receipt::new(Counting(Arc::clone(&dropped))), 3, false);
        drop(shares.pop());
        assert!(shares.into_iter().find_map(Share::settle).is_none());
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }
}
