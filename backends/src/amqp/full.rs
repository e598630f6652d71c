//! Which queues refused a message lately.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::bus::PublishError;

use super::flight::Identity;

/// How long a queue counts as full after it refused a message.
const FULL_FOR: Duration = Duration::from_secs(5);

/// Which queues refused a message lately, by exchange and key.
#[derive(Debug, Default)]
pub(super) struct Full(Mutex<HashMap<(String, String), Instant>>);

impl Full {
    pub(super) fn note(&self, identity: &Identity, result: &Result<(), PublishError>) {
        let mut full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = || (identity.exchange.clone(), identity.key.clone());
        match result {
            Err(PublishError::Unavailable(_)) => {
                full.insert(place(), Instant::now());
            }
            Ok(()) if !full.is_empty() => {
                full.remove(&place());
            }
            _ => {}
        }
    }

    pub(super) fn holds_any(&self, matches: impl Fn(&str, &str) -> bool) -> bool {
        let full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        full.iter().any(|((exchange, key), since)| since.elapsed() < FULL_FOR && matches(exchange, key))
    }

    pub(super) fn forget(&self, matches: impl Fn(&str, &str) -> bool) {
        let mut full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        full.retain(|(exchange, key), _| !matches(exchange, key));
    }

    pub(super) fn holds(&self, exchange: &str, key: &str) -> bool {
        let full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !full.is_empty()
            && full.get(&(exchange.to_owned(), key.to_owned())).is_some_and(|since| since.elapsed() < FULL_FOR)
    }
}
