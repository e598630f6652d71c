//! Order: what "newer" compares.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::EventId;
use crate::text::read_text;

/// The place of an event among the events of its tag.
///
/// The intake's stamp decides, else the source's time; events of the same microsecond are told apart by
/// their id. Written as text it sorts the same way byte by byte, so a receiver can compare it as a string.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    at_us: u64,
    event: EventId,
}

impl Order {
    /// The order of an event that happened at `at`. Times before 1970 count as 1970.
    pub fn new(at: Timestamp, event: EventId) -> Self {
        Self { at_us: u64::try_from(at.as_microsecond()).unwrap_or(0), event }
    }

    /// When it happened, by the clock that decides its order.
    pub fn at(&self) -> Timestamp {
        i64::try_from(self.at_us).ok().and_then(|at| Timestamp::from_microsecond(at).ok()).unwrap_or(Timestamp::MAX)
    }

    /// Whether what has this order takes the place of what has the other one. An event that was reported twice has two
    /// orders, and takes nobody's place by the second: what is owed of it has one id, and one end.
    pub fn supersedes(&self, other: &Self) -> bool {
        self > other && self.event != other.event
    }

    /// The event whose place this is.
    pub fn event(&self) -> &EventId {
        &self.event
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{}", self.at_us, self.event)
    }
}

/// The text is not an [`Order`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an order must be 20 digits, a hyphen and an event id")]
pub struct OrderError;

impl Order {
    fn parse(text: &str) -> Result<Self, OrderError> {
        let (at, event) = text.split_once('-').ok_or(OrderError)?;
        if at.len() != 20 {
            return Err(OrderError);
        }
        let event = EventId::parse(event).map_err(|_| OrderError)?;
        Ok(Self { at_us: at.parse().map_err(|_| OrderError)?, event })
    }
}

impl TryFrom<String> for Order {
    type Error = OrderError;
    fn try_from(text: String) -> Result<Self, OrderError> {
        Self::parse(&text)
    }
}

impl From<Order> for String {
    fn from(order: Order) -> String {
        order.to_string()
    }
}

impl Serialize for Order {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Order {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn orders_compare_as_their_texts_do(a in 0i64..4_000_000_000_000_000, b in 0i64..4_000_000_000_000_000, x in "[a-z0-9-]{1,8}", y in "[a-z0-9-]{1,8}") {
            let order = |at, id: &str| Order::new(Timestamp::from_microsecond(at).unwrap(), EventId::parse(id).unwrap());
            let (first, second) = (order(a, &x), order(b, &y));
            prop_assert_eq!(first.cmp(&second), first.to_string().cmp(&second.to_string()));
            prop_assert_eq!(&Order::try_from(first.to_string()).unwrap(), &first);
            prop_assert_eq!(first.at().as_microsecond(), a);
        }
    }

    #[test]
    fn an_event_that_was_reported_twice_does_not_supersede_itself() {
        let order = |at, id: &str| Order::new(Timestamp::from_second(at).unwrap(), EventId::parse(id).unwrap());
        assert!(order(2, "b").supersedes(&order(1, "a")) && !order(1, "a").supersedes(&order(2, "b")));
        assert!(!order(2, "a").supersedes(&order(1, "a")) && !order(1, "a").supersedes(&order(1, "a")));
    }

    #[test]
    fn a_time_before_1970_is_the_oldest() {
        let order = Order::new("0001-01-01T00:00:00Z".parse().unwrap(), EventId::parse("a").unwrap());
        assert_eq!(order.to_string(), "00000000000000000000-a");
    }
}
