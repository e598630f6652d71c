//! Random schedules of what can happen to a webhook, on each adapter of the store and on the model.

use std::cell::RefCell;
use std::time::Duration;

use dockbell_proto::policy::Suspension;
use dockbell_testkit::conformance::store::StoreHarness;
use dockbell_testkit::conformance::store::model::{Answer, PLACES, Schedule, Step, the_store_counts_as_the_model_does};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use crate::harness::EmbeddedStore;

/// Mostly failures, so that there is something to suspend.
fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        6 => Just(Answer::Failed),
        4 => Just(Answer::Accepted),
        2 => Just(Answer::GivenUp),
        1 => Just(Answer::Hindered),
        1 => Just(Answer::Skipped),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let late = prop_oneof![3 => Just(0u8), 1 => 0u8..30];
    prop_oneof![
        6 => (0..PLACES, answer(), late).prop_map(|(place, answer, late)| Step::Attempt(place, answer, late)),
        3 => prop_oneof![4 => 0u8..4, 1 => 0u8..60].prop_map(Step::Wait),
        2 => (0u8..5).prop_map(Step::Repeat),
        1 => (0..PLACES).prop_map(Step::Park),
        2 => (0..PLACES).prop_map(Step::Begin),
    ]
}

fn suspension() -> impl Strategy<Value = Suspension> {
    let eager = Suspension {
        failures: 3,
        span: Duration::from_secs(5),
        cooldown: Duration::from_secs(20),
        longest_cooldown: Duration::from_mins(1),
        trickle: 2,
        ..Suspension::default()
    };
    prop_oneof![Just(Suspension::default()), Just(eager)]
}

/// What happens to a webhook in up to `steps` steps.
fn schedule(steps: usize) -> impl Strategy<Value = Schedule> {
    (suspension(), prop::collection::vec(step(), 1..=steps)).prop_map(|(suspension, steps)| Schedule {
        number: 0,
        suspension,
        steps,
    })
}

/// Runs so many schedules one after the other on one store, and returns the words for all changes of standing.
pub(crate) fn run(harness: &mut dyn StoreHarness, runtime: &Runtime, cases: u32, steps: usize) -> Vec<&'static str> {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let state = RefCell::new((harness, 0, Vec::new()));
    let result = runner.run(&schedule(steps), |schedule| {
        let (harness, number, words) = &mut *state.borrow_mut();
        *number += 1;
        let schedule = Schedule { number: *number, ..schedule };
        let changes = runtime.block_on(the_store_counts_as_the_model_does(*harness, &schedule));
        words.extend(changes.iter().map(|change| change.standing.as_str()));
        Ok(())
    });
    result.unwrap();
    state.into_inner().2
}

/// Random schedules that suspend nobody show nothing.
pub(crate) fn assert_enough_seen(words: &[&str], at_least: usize) {
    for word in ["suspended", "recovering", "healthy"] {
        let count = words.iter().filter(|seen| **seen == word).count();
        assert!(count >= at_least, "the schedules show too little: {word} {count} times");
    }
}

#[test]
fn the_embedded_store_counts_as_the_model_does() {
    let runtime = Runtime::new().unwrap();
    let mut harness = runtime.block_on(async { EmbeddedStore::open() });
    let words = run(&mut harness, &runtime, 150, 60);
    assert_enough_seen(&words, 5);
}
