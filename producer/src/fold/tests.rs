use dockbell_testkit::sample::{digest, event, moment};
use serde_json::json;

use super::*;

fn fold_now(events: &[Event]) -> Folded {
    fold(events, moment(), moment())
}

fn index(id: &str, children: &[u32]) -> Event {
    let references: Vec<_> =
        children.iter().map(|child| json!({"digest": digest(*child), "size": 5, "platform": "linux/amd64"})).collect();
    Event {
        media_type: Some("application/vnd.oci.image.index.v1+json".to_owned()),
        references: serde_json::from_value(json!(references)).unwrap(),
        ..event(id, "a", Some("x"), 50)
    }
}

fn manifest(child: u32, after_ms: i64) -> Event {
    Event {
        digest: Some(serde_json::from_value(json!(digest(child))).unwrap()),
        references: serde_json::from_value(json!([{"digest": digest(child + 100), "size": 9}])).unwrap(),
        ..event(&format!("child {child}"), "a", None, after_ms)
    }
}

#[test]
fn the_latest_order_of_a_tag_wins_whatever_came_last() {
    let batch =
        fold_now(&[event("2", "a", Some("x"), 20), event("3", "a", Some("x"), 30), event("1", "a", Some("x"), 10)])
            .batch
            .unwrap();
    assert_eq!((batch.changes.len(), batch.events), (1, 3));
    let change = &batch.changes[0];
    assert_eq!(change.event_ids.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(change.order.event().as_str(), "3");
    assert_eq!(change.superseded.len(), 2);
    assert!(change.superseded.iter().all(|earlier| earlier.order < change.order && earlier.digest != change.digest));
}

#[test]
fn pushing_the_same_again_supersedes_nothing() {
    let again = Event { digest: event("1", "a", None, 0).digest, ..event("2", "a", Some("x"), 20) };
    let batch = fold_now(&[event("1", "a", Some("x"), 10), again]).batch.unwrap();
    assert!(batch.changes[0].superseded.is_empty());
}

#[test]
fn untagged_manifests_become_the_platforms_of_the_index_that_names_them() {
    let folded = fold_now(&[manifest(1, 0), manifest(2, 1), manifest(3, 2), index("i", &[1, 2])]);
    let change = &folded.batch.unwrap().changes[0];
    assert_eq!((change.children.len(), folded.orphans), (2, 1));
    assert_eq!(
        (change.children[0].platform.as_deref(), change.children[0].blobs.len(), change.blobs.len()),
        (Some("linux/amd64"), 1, 0)
    );
}

#[test]
fn every_event_of_a_window_is_counted_once() {
    let again = |child, id: &str| Event { id: event(id, "a", None, 0).id, ..manifest(child, 3) };
    let twice = [again(1, "again"), again(3, "orphaned again")];
    let tagged = [event("x", "a", Some("x"), 10), event("y", "a", Some("y"), 20), index("i", &[1, 2])];
    let events: Vec<Event> =
        tagged.into_iter().chain([manifest(1, 0), manifest(2, 1), manifest(3, 2)]).chain(twice).collect();
    let folded = fold_now(&events);
    assert_eq!(folded.fates, Fates { changed: 2, superseded: 1, children: 3, orphaned: 2 });
    assert_eq!(folded.orphans, 1, "which are manifests");
}

#[test]
fn a_window_without_a_tag_makes_no_batch() {
    let folded = fold_now(&[manifest(1, 0), manifest(2, 1)]);
    assert!(folded.batch.is_none());
    assert_eq!(folded.orphans, 2);
}

#[test]
fn tags_are_in_the_order_of_their_newest_events() {
    let batch = fold_now(&[event("2", "a", Some("y"), 20), event("1", "a", Some("x"), 10)]).batch.unwrap();
    assert_eq!(batch.changes.iter().map(|change| change.tag.as_str()).collect::<Vec<_>>(), ["x", "y"]);
}

#[test]
fn the_newest_metadata_stands_for_the_batch() {
    let told = |id: &str, stars: u64, after| Event {
        metadata: Some(serde_json::from_value(json!({"star_count": stars})).unwrap()),
        ..event(id, "a", Some("x"), after)
    };
    let batch = fold_now(&[told("2", 2, 20), told("1", 1, 10), event("3", "a", Some("x"), 30)]).batch.unwrap();
    assert_eq!(batch.metadata.unwrap().star_count, Some(2));
}
