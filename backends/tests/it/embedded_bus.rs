//! The rules of the bus, on the embedded adapter.

use dockbell_testkit::conformance::bus::{dead, delayed, limits, queue, settlement};

use crate::harness::EmbeddedBus;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publish_returns_only_when_the_message_survives_a_crash() {
    queue::publish_returns_only_when_the_message_survives_a_crash(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_arrives_as_it_was_published() {
    queue::a_message_arrives_as_it_was_published(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_stays_on_its_queue() {
    queue::a_message_stays_on_its_queue(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_key_stay_in_order() {
    queue::messages_of_one_key_stay_in_order(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_publishes_all_arrive_once() {
    queue::concurrent_publishes_all_arrive_once(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_of_one_queue_share_it() {
    queue::consumers_of_one_queue_share_it(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_consumer_learns_of_a_message() {
    queue::a_waiting_consumer_learns_of_a_message(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefetch_bounds_what_is_handed_out() {
    limits::prefetch_bounds_what_is_handed_out(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn depth_counts_what_is_not_settled() {
    limits::depth_counts_what_is_not_settled(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_stored_is_refused() {
    limits::what_cannot_be_stored_is_refused(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acked_message_never_comes_back_after_a_crash() {
    settlement::an_acked_message_never_comes_back_after_a_crash(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsettled_message_comes_back_after_a_crash() {
    settlement::an_unsettled_message_comes_back_after_a_crash(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_receipt_comes_back() {
    settlement::a_dropped_receipt_comes_back(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requeued_message_comes_back() {
    settlement::a_requeued_message_comes_back(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_next_loses_nothing() {
    settlement::dropping_next_loses_nothing(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_consumer_leaves_what_it_handed_out() {
    settlement::a_dropped_consumer_leaves_what_it_handed_out(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_publish_is_flagged() {
    queue::a_repeated_publish_is_flagged(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_message_appears_not_before_its_delay() {
    delayed::a_delayed_message_appears_not_before_its_delay(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delayed_messages_do_not_hold_up_each_other() {
    delayed::delayed_messages_do_not_hold_up_each_other(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_message_survives_a_crash() {
    delayed::a_delayed_message_survives_a_crash(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_keeps_its_reason_and_can_be_read_without_consuming() {
    dead::a_dead_letter_keeps_its_reason_and_can_be_read_without_consuming(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_survives_a_crash() {
    dead::a_dead_letter_survives_a_crash(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_buried_without_a_receipt() {
    dead::a_message_is_buried_without_a_receipt(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_read_on_from_a_position() {
    dead::dead_letters_are_read_on_from_a_position(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announcement_needs_no_listener() {
    queue::an_announcement_needs_no_listener(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revived_dead_letter_is_on_its_queue_again() {
    dead::a_revived_dead_letter_is_on_its_queue_again(&mut EmbeddedBus::open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_this_bus_published_is_no_stray() {
    dead::what_this_bus_published_is_no_stray(&mut EmbeddedBus::open()).await;
}
