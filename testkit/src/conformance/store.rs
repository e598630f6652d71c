//! The rules of the store.

pub mod access;
pub mod callbacks;
pub mod claims;
pub mod counters;
pub mod history;
pub mod marks;
pub mod model;
pub mod newest;
pub mod parking;
pub mod standing;
pub mod told;
pub mod trials;
pub mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dockbell_backends::store::{AttemptRecord, Recorded, Store};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::order::Order;
use dockbell_proto::outcome::{Outcome, Phase, Verdict};
use dockbell_proto::policy::Suspension;
use dockbell_proto::webhook::{Format, Webhook};
use jiff::Timestamp;

use crate::sample;

/// The rules, by the names of their functions.
pub const RULES: &[&str] = &[
    "a_webhook_is_read_as_it_was_put",
    "a_webhook_that_is_put_again_is_replaced_and_keeps_its_health",
    "concurrent_patches_of_different_members_all_take_effect",
    "a_patch_makes_no_webhook",
    "what_is_sealed_is_not_sealed_again",
    "a_removed_webhook_leaves_nothing_behind",
    "a_webhook_that_takes_the_place_of_a_removed_one_starts_anew",
    "webhooks_are_listed_oldest_first_in_pages",
    "a_namespace_is_found_by_its_own_pattern_alone",
    "a_change_is_noticed_within_a_second",
    "a_repository_is_first_seen_once",
    "a_record_of_the_same_attempt_counts_once",
    "failures_count_until_an_attempt_is_accepted",
    "a_blocked_attempt_leaves_the_counters_alone",
    "a_superseded_delivery_leaves_the_counters_alone",
    "concurrent_records_are_all_counted",
    "settled_answers_in_the_order_asked",
    "settled_expires",
    "a_webhook_that_keeps_failing_is_suspended_with_a_reason",
    "failures_at_once_do_not_suspend",
    "a_suspended_webhook_recovers_by_its_successes",
    "a_failed_canary_suspends_for_longer",
    "a_person_makes_a_webhook_healthy",
    "changes_are_kept_newest_first_up_to_a_bound",
    "skipped_deliveries_are_counted_until_they_are_forgotten",
    "a_canary_is_granted_once",
    "a_recovering_webhook_has_a_few_attempts_at_once",
    "a_trial_that_ran_out_is_granted_again",
    "a_repeated_question_about_a_trial_is_answered_in_the_same_way",
    "newest_is_the_latest_order_whatever_came_last",
    "newest_counts_what_waits_and_not_what_was_given_up",
    "newest_keeps_what_was_accepted_when_a_later_one_is_given_up",
    "newest_is_not_lowered_by_what_it_superseded",
    "a_parked_delivery_waits_and_shows_why",
    "a_record_ends_the_parking_of_its_delivery_whatever_the_clocks_say",
    "what_has_later_changes_is_not_parked",
    "an_event_that_was_reported_twice_does_not_take_its_own_place",
    "what_is_held_takes_nobodys_place",
    "a_parked_delivery_that_is_given_up_withholds_nothing",
    "no_more_deliveries_wait_than_may",
    "a_park_that_comes_late_brings_nothing_back",
    "a_retry_that_is_recorded_late_does_not_wait",
    "waiting_is_counted_through_records_and_parking",
    "looking_again_at_what_was_trimmed_leaves_the_history_alone",
    "a_delivery_keeps_since_when_it_is_in_custody",
    "history_is_bounded_newest_first",
    "history_pages_neither_skip_nor_repeat",
    "history_is_filtered_by_webhook_and_state",
    "history_expires",
    "a_delivery_shows_its_latest_attempts_oldest_first",
    "an_attempt_recorded_late_does_not_undo_a_later_one",
    "a_redelivery_stays_with_its_delivery",
    "take_request_numbers_the_redeliveries_of_what_is_recorded",
    "an_excerpt_is_cut_to_its_limit",
    "a_mark_of_a_dead_letter_is_seen_by_all",
    "a_mark_is_of_one_letter_and_not_of_its_position",
    "a_mark_expires",
    "the_first_callback_stands_and_every_process_sees_it",
    "callbacks_go_with_their_webhook",
    "a_callback_expires",
    "no_more_callbacks_of_a_webhook_are_kept_than_may",
    "a_digest_is_known_once_it_was_told_until_another_is_under_way",
    "what_is_older_than_what_was_told_or_withheld_is_old",
    "what_was_reported_twice_is_new_until_it_was_told",
    "what_is_told_after_a_later_one_leaves_nothing_known",
    "while_two_may_be_under_way_at_once_nothing_is_known",
    "what_was_told_before_a_webhook_was_changed_is_not_known",
    "a_batch_is_new_if_one_of_its_tags_is",
    "what_a_person_asked_for_is_always_new",
    "what_was_told_is_forgotten_in_time_and_with_its_webhook",
    "a_token_is_read_as_it_was_put_until_it_is_removed",
    "tokens_are_listed_oldest_first_in_pages",
    "an_expired_token_is_shown_for_a_time",
    "changes_are_listed_newest_first_once_each",
    "the_oldest_changes_are_forgotten",
];

/// A store under test, empty at first.
#[async_trait]
pub trait StoreHarness: Send {
    /// Two handles onto the same store, as two processes have them.
    fn stores(&self) -> (Arc<dyn Store>, Arc<dyn Store>);

    /// The time of the store's clock.
    fn now(&self) -> Timestamp;

    /// Moves the store's clock forward.
    async fn advance(&self, by: Duration);
}

/// A webhook that is in the store.
async fn webhook(store: &Arc<dyn Store>, number: u8) -> Webhook {
    let webhook = sample::webhook(number, "team/app", Format::Dockerhub, "https://receiver.test/hook");
    store.put_webhook(&webhook).await.expect("a webhook");
    webhook
}

/// The first attempt of a delivery of its own about `tag`; `id` tells it apart from others.
fn delivery(webhook: &Webhook, id: &str, tag: &str) -> Delivery {
    sample::delivery(&webhook.id, &sample::batch(id, "team/app", &[tag]))
}

/// An attempt that was answered by 500 and is made again a minute later.
fn failed(delivery: &Delivery, at: Timestamp) -> AttemptRecord {
    AttemptRecord {
        delivery: delivery.clone(),
        at,
        took: Duration::from_millis(120),
        outcome: Outcome::Refused { status: 500, retry_after: None },
        verdict: Verdict::Retry { at: at + Duration::from_mins(1) },
        excerpt: Some("down".to_owned()),
        suspension: Suspension::default(),
        told_as_of: None,
    }
}

fn delivered(delivery: &Delivery, at: Timestamp) -> AttemptRecord {
    let outcome = Outcome::Accepted { status: 204 };
    AttemptRecord { outcome, verdict: Verdict::Delivered, excerpt: None, ..failed(delivery, at) }
}

fn given_up(delivery: &Delivery, at: Timestamp) -> AttemptRecord {
    let outcome = Outcome::TimedOut { phase: Phase::Headers };
    AttemptRecord { outcome, verdict: Verdict::Dead { reason: "gone".to_owned() }, ..failed(delivery, at) }
}

/// An attempt that was not made, because a later change took the place of the delivery.
fn superseded(delivery: &Delivery, at: Timestamp, by: &Order) -> AttemptRecord {
    let (outcome, verdict) = (Outcome::Superseded { by: by.clone() }, Verdict::Superseded { by: by.clone() });
    AttemptRecord { took: Duration::ZERO, outcome, verdict, excerpt: None, ..failed(delivery, at) }
}

async fn record(store: &Arc<dyn Store>, attempt: &AttemptRecord) -> Recorded {
    store.record(attempt).await.expect("a record")
}
