//! Newest wins: which delivery is old news. Pure.

use dockbell_proto::batch::Change;
use dockbell_proto::order::Order;

/// The latest of the changes that took the place of `changes`; none unless each of them has a later one.
/// `newest` holds, in the same order, the latest that the receiver has or is owed of each tag.
pub fn superseded_by(changes: &[Change], newest: &[Option<Order>]) -> Option<Order> {
    let later = |(place, change): (usize, &Change)| -> Option<&Order> {
        newest.get(place)?.as_ref().filter(|order| order.supersedes(&change.order))
    };
    let all: Option<Vec<&Order>> = changes.iter().enumerate().map(later).collect();
    all?.into_iter().max().cloned()
}

#[cfg(test)]
mod tests {
    use dockbell_proto::ids::EventId;
    use dockbell_testkit::sample::{batch, moment};
    use proptest::prelude::*;
    use tokio::time::Duration;

    use super::*;

    fn order(after_us: u64) -> Order {
        Order::new(moment() + Duration::from_micros(after_us), EventId::parse(&format!("e-{after_us}")).unwrap())
    }

    fn changes(orders: &[u64]) -> Vec<Change> {
        let template = batch("e", "team/app", &["1"]).changes.remove(0);
        orders.iter().map(|after| Change { order: order(*after), ..template.clone() }).collect()
    }

    #[test]
    fn a_change_is_superseded_by_a_later_one_alone() {
        for (newest, expected) in
            [(None, None), (Some(6), None), (Some(7), None), (Some(8), Some(8)), (Some(900), Some(900))]
        {
            assert_eq!(superseded_by(&changes(&[7]), &[newest.map(order)]), expected.map(order), "{newest:?}");
        }
    }

    /// Its copies have one delivery id: if one of them ended as superseded, the other would never be sent.
    #[test]
    fn an_event_that_was_reported_twice_is_not_superseded_by_its_copy() {
        let copy = Order::new(moment() + Duration::from_micros(8), order(7).event().clone());
        assert_eq!(superseded_by(&changes(&[7]), &[Some(copy.clone())]), None);
        assert_eq!(superseded_by(&changes(&[7, 5]), &[Some(copy), Some(order(9))]), None);
    }

    #[test]
    fn what_was_not_answered_supersedes_nothing() {
        assert_eq!(superseded_by(&changes(&[7, 7]), &[Some(order(8))]), None);
        assert_eq!(superseded_by(&changes(&[7]), &[]), None);
        assert_eq!(superseded_by(&[], &[Some(order(8))]), None);
    }

    proptest! {
        #[test]
        fn a_batch_is_superseded_if_and_only_if_all_its_tags_are(
            pairs in prop::collection::vec((0u64..4, prop::option::of(0u64..4)), 1..5)
        ) {
            let own: Vec<u64> = pairs.iter().map(|(own, _)| *own).collect();
            let newest: Vec<_> = pairs.iter().map(|(_, newest)| newest.map(order)).collect();
            let found = superseded_by(&changes(&own), &newest);
            let all = pairs.iter().all(|(own, newest)| newest.is_some_and(|newest| newest > *own));
            prop_assert_eq!(found.is_some(), all);
            if let Some(by) = found {
                prop_assert!(own.iter().all(|own| by > order(*own)));
                prop_assert!(newest.contains(&Some(by)));
            }
        }
    }
}
