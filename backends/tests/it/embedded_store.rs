//! The rules of the store, on the embedded adapter.

use dockbell_testkit::conformance::store::{counters, history, marks, newest, webhooks};

use crate::harness::EmbeddedStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_read_as_it_was_put() {
    webhooks::a_webhook_is_read_as_it_was_put(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_is_put_again_is_replaced_and_keeps_its_health() {
    webhooks::a_webhook_that_is_put_again_is_replaced_and_keeps_its_health(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_patches_of_different_members_all_take_effect() {
    webhooks::concurrent_patches_of_different_members_all_take_effect(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patch_makes_no_webhook() {
    webhooks::a_patch_makes_no_webhook(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_webhook_leaves_nothing_behind() {
    webhooks::a_removed_webhook_leaves_nothing_behind(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_listed_oldest_first_in_pages() {
    webhooks::webhooks_are_listed_oldest_first_in_pages(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_is_found_by_its_own_pattern_alone() {
    webhooks::a_namespace_is_found_by_its_own_pattern_alone(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_noticed_within_a_second() {
    webhooks::a_change_is_noticed_within_a_second(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_is_first_seen_once() {
    webhooks::a_repository_is_first_seen_once(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_the_same_attempt_counts_once() {
    counters::a_record_of_the_same_attempt_counts_once(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_count_until_an_attempt_is_accepted() {
    counters::failures_count_until_an_attempt_is_accepted(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_attempt_leaves_the_counters_alone() {
    counters::a_blocked_attempt_leaves_the_counters_alone(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_delivery_leaves_the_counters_alone() {
    counters::a_superseded_delivery_leaves_the_counters_alone(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_records_are_all_counted() {
    counters::concurrent_records_are_all_counted(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settled_answers_in_the_order_asked() {
    counters::settled_answers_in_the_order_asked(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settled_expires() {
    counters::settled_expires(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newest_is_the_latest_order_whatever_came_last() {
    newest::newest_is_the_latest_order_whatever_came_last(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newest_counts_what_waits_and_not_what_was_given_up() {
    newest::newest_counts_what_waits_and_not_what_was_given_up(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newest_keeps_what_was_accepted_when_a_later_one_is_given_up() {
    newest::newest_keeps_what_was_accepted_when_a_later_one_is_given_up(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newest_is_not_lowered_by_what_it_superseded() {
    newest::newest_is_not_lowered_by_what_it_superseded(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_bounded_newest_first() {
    history::history_is_bounded_newest_first(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_pages_neither_skip_nor_repeat() {
    history::history_pages_neither_skip_nor_repeat(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_filtered_by_webhook_and_state() {
    history::history_is_filtered_by_webhook_and_state(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_expires() {
    history::history_expires(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_shows_its_latest_attempts_oldest_first() {
    history::a_delivery_shows_its_latest_attempts_oldest_first(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_recorded_late_does_not_undo_a_later_one() {
    history::an_attempt_recorded_late_does_not_undo_a_later_one(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redelivery_stays_with_its_delivery() {
    history::a_redelivery_stays_with_its_delivery(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn take_request_numbers_the_redeliveries_of_what_is_recorded() {
    history::take_request_numbers_the_redeliveries_of_what_is_recorded(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_excerpt_is_cut_to_its_limit() {
    history::an_excerpt_is_cut_to_its_limit(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_of_a_dead_letter_is_seen_by_all() {
    marks::a_mark_of_a_dead_letter_is_seen_by_all(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_is_of_one_letter_and_not_of_its_position() {
    marks::a_mark_is_of_one_letter_and_not_of_its_position(&mut EmbeddedStore::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_expires() {
    marks::a_mark_expires(&mut EmbeddedStore::open()).await;
}
