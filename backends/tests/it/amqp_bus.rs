//! The rules of the bus, on the AMQP adapter.
//!
//! One test runs many rules, because each test is a process and a node of `RabbitMQ` takes seconds to start.

use dockbell_testkit::conformance::bus::{RULES, dead, delayed, limits, queue, settlement};
use dockbell_testkit::rabbitmq::Node;

use crate::amqp_harness::AmqpBus;

/// Those that shards could break.
const RULES_OF_SHARDS: [&str; 9] = [
    "messages_of_one_key_stay_in_order",
    "concurrent_publishes_all_arrive_once",
    "consumers_of_one_queue_share_it",
    "prefetch_bounds_what_is_handed_out",
    "depth_counts_what_is_not_settled",
    "an_unsettled_message_comes_back_after_a_crash",
    "delayed_messages_do_not_hold_up_each_other",
    "dead_letters_are_read_on_from_a_position",
    "a_revived_dead_letter_is_on_its_queue_again",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rule_of_the_bus_holds_on_rabbitmq() {
    check_all(RULES, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_sharding_could_break_hold_with_four_shards() {
    check_all(&RULES_OF_SHARDS, 4).await;
}

/// Prints the name of each rule before it is checked, so that the last one names the failure.
async fn check_all(rules: &[&str], shards: u16) {
    let node = Node::start().await;
    for rule in rules {
        eprintln!("{rule}");
        check(rule, &mut AmqpBus::open(&node, shards).await).await;
    }
}

async fn check(rule: &str, bus: &mut AmqpBus<'_>) {
    match rule {
        "publish_returns_only_when_the_message_survives_a_crash" => {
            queue::publish_returns_only_when_the_message_survives_a_crash(bus).await;
        }
        "a_message_arrives_as_it_was_published" => queue::a_message_arrives_as_it_was_published(bus).await,
        "a_message_stays_on_its_queue" => queue::a_message_stays_on_its_queue(bus).await,
        "messages_of_one_key_stay_in_order" => queue::messages_of_one_key_stay_in_order(bus).await,
        "concurrent_publishes_all_arrive_once" => queue::concurrent_publishes_all_arrive_once(bus).await,
        "consumers_of_one_queue_share_it" => queue::consumers_of_one_queue_share_it(bus).await,
        "a_waiting_consumer_learns_of_a_message" => queue::a_waiting_consumer_learns_of_a_message(bus).await,
        "prefetch_bounds_what_is_handed_out" => limits::prefetch_bounds_what_is_handed_out(bus).await,
        "depth_counts_what_is_not_settled" => limits::depth_counts_what_is_not_settled(bus).await,
        "what_cannot_be_stored_is_refused" => limits::what_cannot_be_stored_is_refused(bus).await,
        "an_acked_message_never_comes_back_after_a_crash" => {
            settlement::an_acked_message_never_comes_back_after_a_crash(bus).await;
        }
        "an_unsettled_message_comes_back_after_a_crash" => {
            settlement::an_unsettled_message_comes_back_after_a_crash(bus).await;
        }
        "a_dropped_receipt_comes_back" => settlement::a_dropped_receipt_comes_back(bus).await,
        "a_requeued_message_comes_back" => settlement::a_requeued_message_comes_back(bus).await,
        "dropping_next_loses_nothing" => settlement::dropping_next_loses_nothing(bus).await,
        "a_dropped_consumer_leaves_what_it_handed_out" => {
            settlement::a_dropped_consumer_leaves_what_it_handed_out(bus).await;
        }
        "a_repeated_publish_is_flagged" => queue::a_repeated_publish_is_flagged(bus).await,
        "a_delayed_message_appears_not_before_its_delay" => {
            delayed::a_delayed_message_appears_not_before_its_delay(bus).await;
        }
        "delayed_messages_do_not_hold_up_each_other" => delayed::delayed_messages_do_not_hold_up_each_other(bus).await,
        "a_delayed_message_survives_a_crash" => delayed::a_delayed_message_survives_a_crash(bus).await,
        "a_dead_letter_keeps_its_reason_and_can_be_read_without_consuming" => {
            dead::a_dead_letter_keeps_its_reason_and_can_be_read_without_consuming(bus).await;
        }
        "a_dead_letter_survives_a_crash" => dead::a_dead_letter_survives_a_crash(bus).await,
        "a_message_is_buried_without_a_receipt" => dead::a_message_is_buried_without_a_receipt(bus).await,
        "dead_letters_are_read_on_from_a_position" => dead::dead_letters_are_read_on_from_a_position(bus).await,
        "an_announcement_needs_no_listener" => queue::an_announcement_needs_no_listener(bus).await,
        "a_revived_dead_letter_is_on_its_queue_again" => {
            dead::a_revived_dead_letter_is_on_its_queue_again(bus).await;
        }
        "what_this_bus_published_is_no_stray" => dead::what_this_bus_published_is_no_stray(bus).await,
        _ => panic!("nothing checks {rule}"),
    }
}
