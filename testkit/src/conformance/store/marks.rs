//! What people decided about dead letters.

use std::time::Duration;

use dockbell_backends::store::marks::{Decision, LetterId, MARKS_AT_ONCE, MARKS_KEPT, Mark};

use super::StoreHarness;

fn letter(harness: &dyn StoreHarness, position: u64) -> LetterId {
    LetterId { position, at: harness.now() }
}

/// Every process sees it, whoever decided; the latest decision holds.
pub async fn a_mark_of_a_dead_letter_is_seen_by_all(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let [a, b, c] = [1, 2, 3].map(|position| letter(harness, position));
    store.mark_dead(&[a, b], Decision::Revived).await.expect("marks");
    let revived = Some(Mark { decision: Decision::Revived, at: harness.now() });
    assert_eq!(other.dead_marks(&[c, b, a]).await, Ok(vec![None, revived, revived]));
    harness.advance(Duration::from_secs(1)).await;
    other.mark_dead(&[b], Decision::Discarded).await.expect("a mark");
    other.mark_dead(&[b], Decision::Discarded).await.expect("a repeated mark");
    let discarded = Some(Mark { decision: Decision::Discarded, at: harness.now() });
    assert_eq!(store.dead_marks(&[a, b]).await, Ok(vec![revived, discarded]));
    assert_eq!(store.mark_dead(&[], Decision::Revived).await, Ok(()));
    assert_eq!(store.dead_marks(&[]).await, Ok(Vec::new()));
    let many: Vec<LetterId> = (1..).map(|position| letter(harness, position)).take(MARKS_AT_ONCE).collect();
    store.mark_dead(&many, Decision::Discarded).await.expect("many marks");
    let found = other.dead_marks(&many).await.expect("marks");
    assert!(found.len() == many.len() && found.iter().all(|found| *found == discarded));
}

/// A stream that is made anew counts its positions from the first, and what was said of others must not hide them.
pub async fn a_mark_is_of_one_letter_and_not_of_its_position(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let before = letter(harness, 1);
    store.mark_dead(&[before], Decision::Discarded).await.expect("a mark");
    harness.advance(Duration::from_micros(1)).await;
    assert_eq!(store.dead_marks(&[letter(harness, 1)]).await, Ok(vec![None]));
}

/// Marks go some time after the letters themselves.
pub async fn a_mark_expires(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let letter = letter(harness, 1);
    store.mark_dead(&[letter], Decision::Revived).await.expect("a mark");
    harness.advance(MARKS_KEPT.saturating_sub(Duration::from_secs(1))).await;
    assert_ne!(store.dead_marks(&[letter]).await, Ok(vec![None]));
    harness.advance(Duration::from_secs(1)).await;
    assert_eq!(store.dead_marks(&[letter]).await, Ok(vec![None]));
}
