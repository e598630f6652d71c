//! The duty to settle a message, shared by the events that came in it.

use std::sync::{Arc, Mutex, PoisonError};

use dockbell_backends::bus::Receipt;

/// One event's share of a receipt. When the last share is settled, so is the message. A share that is
/// dropped instead makes the message come back.
#[derive(Debug)]
pub struct Share(Arc<Mutex<Custody>>);

#[derive(Debug)]
struct Custody {
    receipt: Option<Receipt>,
    unsettled: usize,
}

/// Splits a receipt into `count` shares.
pub fn split(receipt: Receipt, count: usize) -> Vec<Share> {
    let custody = Arc::new(Mutex::new(Custody { receipt: Some(receipt), unsettled: count }));
    (0..count).map(|_| Share(Arc::clone(&custody))).collect()
}

impl Share {
    /// Settles this share. Whoever settles the last one gets the receipt, to acknowledge the message.
    #[must_use = "the last share yields the receipt"]
    pub fn settle(self) -> Option<Receipt> {
        let mut custody = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        custody.unsettled = custody.unsettled.saturating_sub(1);
        if custody.unsettled == 0 { custody.receipt.take() } else { None }
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
        let shares = split(Receipt::new(Counting(Arc::clone(&dropped))), 3);
        let receipts: Vec<_> = shares.into_iter().filter_map(Share::settle).collect();
        assert_eq!((receipts.len(), dropped.load(Ordering::SeqCst)), (1, 0));
    }

    #[test]
    fn one_dropped_share_returns_the_whole_message() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut shares = split(Receipt::new(Counting(Arc::clone(&dropped))), 3);
        drop(shares.pop());
        assert!(shares.into_iter().filter_map(Share::settle).next().is_none());
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }
}
