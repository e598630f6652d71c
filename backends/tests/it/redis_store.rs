//! The rules of the store, on Redis.

use dockbell_testkit::conformance::store::{
    access, callbacks, claims, counters, history, marks, newest, parking, standing, told, trials, webhooks,
};

use crate::redis_harness::RedisStores;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_read_as_it_was_put() {
    webhooks::a_webhook_is_read_as_it_was_put(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_is_put_again_is_replaced_and_keeps_its_health() {
    webhooks::a_webhook_that_is_put_again_is_replaced_and_keeps_its_health(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_patches_of_different_members_all_take_effect() {
    webhooks::concurrent_patches_of_different_members_all_take_effect(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patch_makes_no_webhook() {
    webhooks::a_patch_makes_no_webhook(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_webhook_leaves_nothing_behind() {
    webhooks::a_removed_webhook_leaves_nothing_behind(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_listed_oldest_first_in_pages() {
    webhooks::webhooks_are_listed_oldest_first_in_pages(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_is_found_by_its_own_pattern_alone() {
    webhooks::a_namespace_is_found_by_its_own_pattern_alone(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_noticed_within_a_second() {
    webhooks::a_change_is_noticed_within_a_second(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_is_first_seen_once() {
    webhooks::a_repository_is_first_seen_once(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_the_same_attempt_counts_once() {
    counters::a_record_of_the_same_attempt_counts_once(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_count_until_an_attempt_is_accepted() {
    counters::failures_count_until_an_attempt_is_accepted(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_attempt_leaves_the_counters_alone() {
    counters::a_blocked_attempt_leaves_the_counters_alone(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_delivery_leaves_the_counters_alone() {
    counters::a_superseded_delivery_leaves_the_counters_alone(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_records_are_all_counted() {
    counters::concurrent_records_are_all_counted(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settled_answers_in_the_order_asked() {
    counters::settled_answers_in_the_order_asked(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settled_expires() {
    counters::settled_expires(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newest_is_the_latest_order_whatever_came_last() {
    newest::newest_is_the_latest_order_whatever_came_last(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newest_counts_what_waits_and_not_what_was_given_up() {
    newest::newest_counts_what_waits_and_not_what_was_given_up(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newest_keeps_what_was_accepted_when_a_later_one_is_given_up() {
    newest::newest_keeps_what_was_accepted_when_a_later_one_is_given_up(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newest_is_not_lowered_by_what_it_superseded() {
    newest::newest_is_not_lowered_by_what_it_superseded(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_bounded_newest_first() {
    history::history_is_bounded_newest_first(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_pages_neither_skip_nor_repeat() {
    history::history_pages_neither_skip_nor_repeat(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_filtered_by_webhook_and_state() {
    history::history_is_filtered_by_webhook_and_state(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_expires() {
    history::history_expires(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_shows_its_latest_attempts_oldest_first() {
    history::a_delivery_shows_its_latest_attempts_oldest_first(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_recorded_late_does_not_undo_a_later_one() {
    history::an_attempt_recorded_late_does_not_undo_a_later_one(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redelivery_stays_with_its_delivery() {
    history::a_redelivery_stays_with_its_delivery(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn take_request_numbers_the_redeliveries_of_what_is_recorded() {
    history::take_request_numbers_the_redeliveries_of_what_is_recorded(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_excerpt_is_cut_to_its_limit() {
    history::an_excerpt_is_cut_to_its_limit(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_takes_the_place_of_a_removed_one_starts_anew() {
    webhooks::a_webhook_that_takes_the_place_of_a_removed_one_starts_anew(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_keeps_failing_is_suspended_with_a_reason() {
    standing::a_webhook_that_keeps_failing_is_suspended_with_a_reason(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_at_once_do_not_suspend() {
    standing::failures_at_once_do_not_suspend(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_webhook_recovers_by_its_successes() {
    standing::a_suspended_webhook_recovers_by_its_successes(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_canary_suspends_for_longer() {
    standing::a_failed_canary_suspends_for_longer(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_makes_a_webhook_healthy() {
    standing::a_person_makes_a_webhook_healthy(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_kept_newest_first_up_to_a_bound() {
    standing::changes_are_kept_newest_first_up_to_a_bound(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skipped_deliveries_are_counted_until_they_are_forgotten() {
    standing::skipped_deliveries_are_counted_until_they_are_forgotten(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_is_granted_once() {
    trials::a_canary_is_granted_once(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovering_webhook_has_a_few_attempts_at_once() {
    trials::a_recovering_webhook_has_a_few_attempts_at_once(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_that_ran_out_is_granted_again() {
    trials::a_trial_that_ran_out_is_granted_again(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_question_about_a_trial_is_answered_in_the_same_way() {
    trials::a_repeated_question_about_a_trial_is_answered_in_the_same_way(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_delivery_waits_and_shows_why() {
    parking::a_parked_delivery_waits_and_shows_why(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_ends_the_parking_of_its_delivery_whatever_the_clocks_say() {
    parking::a_record_ends_the_parking_of_its_delivery_whatever_the_clocks_say(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_later_changes_is_not_parked() {
    parking::what_has_later_changes_is_not_parked(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_delivery_that_is_given_up_withholds_nothing() {
    parking::a_parked_delivery_that_is_given_up_withholds_nothing(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_deliveries_wait_than_may() {
    parking::no_more_deliveries_wait_than_may(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_park_that_comes_late_brings_nothing_back() {
    parking::a_park_that_comes_late_brings_nothing_back(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_is_recorded_late_does_not_wait() {
    parking::a_retry_that_is_recorded_late_does_not_wait(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_is_counted_through_records_and_parking() {
    parking::waiting_is_counted_through_records_and_parking(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_again_at_what_was_trimmed_leaves_the_history_alone() {
    parking::looking_again_at_what_was_trimmed_leaves_the_history_alone(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_keeps_since_when_it_is_in_custody() {
    parking::a_delivery_keeps_since_when_it_is_in_custody(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_of_a_dead_letter_is_seen_by_all() {
    marks::a_mark_of_a_dead_letter_is_seen_by_all(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_is_of_one_letter_and_not_of_its_position() {
    marks::a_mark_is_of_one_letter_and_not_of_its_position(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_expires() {
    marks::a_mark_expires(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_callback_stands_and_every_process_sees_it() {
    callbacks::the_first_callback_stands_and_every_process_sees_it(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_go_with_their_webhook() {
    callbacks::callbacks_go_with_their_webhook(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_expires() {
    callbacks::a_callback_expires(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_callbacks_of_a_webhook_are_kept_than_may() {
    callbacks::no_more_callbacks_of_a_webhook_are_kept_than_may(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_is_known_once_it_was_told_until_another_is_under_way() {
    told::a_digest_is_known_once_it_was_told_until_another_is_under_way(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_what_was_told_or_withheld_is_old() {
    told::what_is_older_than_what_was_told_or_withheld_is_old(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_reported_twice_is_new_until_it_was_told() {
    told::what_was_reported_twice_is_new_until_it_was_told(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_after_a_later_one_leaves_nothing_known() {
    told::what_is_told_after_a_later_one_leaves_nothing_known(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_new_if_one_of_its_tags_is() {
    told::a_batch_is_new_if_one_of_its_tags_is(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_asked_for_is_always_new() {
    told::what_a_person_asked_for_is_always_new(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_is_forgotten_in_time_and_with_its_webhook() {
    told::what_was_told_is_forgotten_in_time_and_with_its_webhook(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_two_may_be_under_way_at_once_nothing_is_known() {
    told::while_two_may_be_under_way_at_once_nothing_is_known(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_before_a_webhook_was_changed_is_not_known() {
    told::what_was_told_before_a_webhook_was_changed_is_not_known(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_reported_twice_does_not_take_its_own_place() {
    parking::an_event_that_was_reported_twice_does_not_take_its_own_place(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_takes_nobodys_place() {
    parking::what_is_held_takes_nobodys_place(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_is_claimed_by_one() {
    claims::an_attempt_is_claimed_by_one(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_ends_with_its_time_unless_it_is_renewed() {
    claims::a_claim_ends_with_its_time_unless_it_is_renewed(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_is_claimed_by_nobody() {
    claims::what_is_recorded_is_claimed_by_nobody(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sealed_is_not_sealed_again() {
    webhooks::what_is_sealed_is_not_sealed_again(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_read_as_it_was_put_until_it_is_removed() {
    access::a_token_is_read_as_it_was_put_until_it_is_removed(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_listed_oldest_first_in_pages() {
    access::tokens_are_listed_oldest_first_in_pages(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_is_shown_for_a_time() {
    access::an_expired_token_is_shown_for_a_time(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_listed_newest_first_once_each() {
    access::changes_are_listed_newest_first_once_each(&mut RedisStores::open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_changes_are_forgotten() {
    access::the_oldest_changes_are_forgotten(&mut RedisStores::open().await).await;
}
