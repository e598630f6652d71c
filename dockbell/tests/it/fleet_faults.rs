//! Faults of the store and of receivers, on a fleet: what is known goes on, and what heals gets what it is owed.
//!
//! One test plays all scenarios, because a node of `RabbitMQ` takes long to start.

use std::collections::BTreeSet;

use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::wait;
use reqwest::Method;
use serde_json::Value;
use tokio::time::timeout;

use crate::calls::push;
use crate::fleet::{Fleet, Member};
use crate::fleet_away::{
    a_disabled_webhook_stays_disabled_when_the_counters_are_flushed,
    a_store_that_is_half_open_stops_no_known_repository,
};
use crate::payload::{delivery_id, event_ids, json};

/// Repositories, all of which are known to the deliverers before a fault begins.
const REPOSITORIES: usize = 5;
/// Pushes during a fault.
const PUSHES: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_the_store_and_of_receivers_cost_neither_pushes_nor_neighbours() {
    let node = Node::start().await;
    play(&node, a_store_that_is_gone_stops_no_known_repository).await;
    play(&node, a_store_that_hangs_stops_no_known_repository).await;
    play(&node, a_store_that_is_half_open_stops_no_known_repository).await;
    play(&node, a_store_without_memory_stops_no_known_repository).await;
    play(&node, a_disabled_webhook_stays_disabled_when_the_counters_are_flushed).await;
    play(&node, a_receiver_that_was_suspended_gets_what_it_is_owed_when_it_heals).await;
    play(&node, receivers_that_hang_do_not_hold_up_the_others).await;
}

/// Prints the name of the scenario before it is played, so that the last one names the failure.
async fn play(node: &Node, scenario: impl AsyncFnOnce(Fleet<'_>)) {
    eprintln!("{}", std::any::type_name_of_val(&scenario));
    let fleet = Fleet::new(node).await;
    let fleet = fleet.with("DOCKBELL_WINDOW_QUIET", "50ms").with("DOCKBELL_WINDOW_MAX_WAIT", "200ms");
    scenario(fleet).await;
}

/// A producer, two deliverers, the API, and a receiver with a webhook for everything.
pub(crate) struct Crew {
    pub(crate) producer: Member,
    pub(crate) deliverers: [Member; 2],
    pub(crate) console: Member,
    pub(crate) receiver: Receiver,
}

impl Crew {
    pub(crate) async fn of(fleet: &Fleet<'_>) -> Self {
        let deliverers = [fleet.deliverer().await, fleet.deliverer().await];
        let (producer, console, receiver) = (fleet.producer().await, fleet.console().await, Receiver::start().await);
        console.caller.add_webhook(("*", "batch", &receiver.url("/batch"))).await;
        producer.until_ready().await;
        for deliverer in &deliverers {
            deliverer.until_ready().await;
        }
        Self { producer, deliverers, console, receiver }
    }

    async fn push(&self, id: &str, repository: usize, tag: &str) {
        let event = push(id, &format!("team/app-{repository}"), tag);
        self.producer.caller.report(&event).await;
    }

    /// Makes both deliverers know each repository: they take batches in turn, and on a busy machine by chance.
    pub(crate) async fn warm_up(&self) {
        for round in 0..12 {
            for repository in 0..REPOSITORIES {
                self.push(&format!("w-{round}-{repository}"), repository, &format!("w-{round}")).await;
            }
            self.arrived("/batch", (round + 1) * REPOSITORIES).await;
        }
    }

    /// Pushes new tags, each of which must arrive.
    pub(crate) async fn push_on(&self, prefix: &str) {
        let before = self.events("/batch").len();
        for number in 0..PUSHES {
            let id = format!("{prefix}-{number}");
            self.push(&id, number % REPOSITORIES, &id).await;
        }
        self.arrived("/batch", before + PUSHES).await;
    }

    /// The events that came to a path.
    pub(crate) fn events(&self, path: &str) -> BTreeSet<String> {
        let requests = self.receiver.requests().into_iter().filter(|request| request.path_and_query == path);
        requests.flat_map(|request| event_ids(&json(&request))).collect()
    }

    async fn arrived(&self, path: &str, events: usize) {
        let arrived = async || (self.events(path).len() >= events).then_some(());
        wait::until(&format!("{events} events at {path}"), arrived).await;
    }

    /// The webhook of a number, in the order in which they were made.
    pub(crate) async fn webhook(&self, number: usize) -> Value {
        self.console.caller.read("webhooks").await["items"][number].clone()
    }

    /// Waits until a member of a webhook's view is as asked for.
    pub(crate) async fn until_shown(&self, number: usize, is_right: impl Fn(&Value) -> bool) -> Value {
        wait::until("the webhook to be so", async || Some(self.webhook(number).await).filter(&is_right)).await
    }

    /// What was delivered during a fault is in the history after it, which keeps 50 deliveries at least.
    pub(crate) async fn assert_recorded(&self) {
        let requests = self.receiver.requests();
        let delivered: BTreeSet<&str> = requests.iter().map(delivery_id).collect();
        let recorded = async || {
            let answer = self.console.caller.api(Method::GET, "deliveries?state=delivered&limit=100", None).await;
            // The console finds the store again in its own time.
            let page = (answer.status == 200).then(|| answer.json())?;
            (page["items"].as_array()?.len() >= delivered.len().min(50)).then_some(())
        };
        let in_time = timeout(wait::DEADLINE / 2, wait::until("what was delivered to be recorded", recorded)).await;
        let logs = || self.deliverers.each_ref().map(Member::log).join("\n----\n");
        assert!(in_time.is_ok(), "what was delivered is not recorded\n{}", logs());
        let webhook = self.webhook(0).await;
        assert_eq!(webhook["standing"], "healthy", "{webhook}");
    }

    pub(crate) async fn stop_well(self) {
        for member in self.deliverers.into_iter().chain([self.producer, self.console]) {
            let ended = member.stop_well().await;
            assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        }
    }
}

async fn a_store_that_is_gone_stops_no_known_repository(mut fleet: Fleet<'_>) {
    let crew = Crew::of(&fleet).await;
    crew.warm_up().await;
    fleet.redis.kill().await;
    crew.push_on("gone").await;
    fleet.redis.start_again().await;
    crew.push_on("back").await;
    crew.assert_recorded().await;
    crew.stop_well().await;
}

async fn a_store_that_hangs_stops_no_known_repository(fleet: Fleet<'_>) {
    let crew = Crew::of(&fleet).await;
    crew.warm_up().await;
    fleet.redis.pause().await;
    crew.push_on("hangs").await;
    fleet.redis.resume().await;
    crew.push_on("back").await;
    crew.assert_recorded().await;
    crew.stop_well().await;
}

async fn a_store_without_memory_stops_no_known_repository(fleet: Fleet<'_>) {
    let crew = Crew::of(&fleet).await;
    crew.warm_up().await;
    fleet.redis.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    crew.push_on("full").await;
    fleet.redis.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    crew.push_on("room").await;
    crew.assert_recorded().await;
    crew.stop_well().await;
}

async fn a_receiver_that_was_suspended_gets_what_it_is_owed_when_it_heals(fleet: Fleet<'_>) {
    let fleet = fleet
        .with("DOCKBELL_DELIVERY_SCHEDULE", "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s")
        .with("DOCKBELL_POLICY_SUSPEND_SPAN", "1s")
        .with("DOCKBELL_POLICY_COOLDOWN", "2s")
        .with("DOCKBELL_POLICY_LONGEST_COOLDOWN", "4s");
    let crew = Crew::of(&fleet).await;
    crew.receiver.answer_always(Answer::Status(500));
    for number in 0..PUSHES {
        crew.push(&format!("down-{number}"), number % REPOSITORIES, &format!("down-{number}")).await;
    }
    crew.until_shown(0, |webhook| webhook["standing"] == "suspended").await;
    crew.receiver.answer_always(Answer::Status(200));
    let healed = |webhook: &Value| webhook["standing"] == "healthy" && webhook["health"]["waiting"] == 0;
    crew.until_shown(0, healed).await;
    let accepted: BTreeSet<String> = crew.events("/batch");
    assert_eq!(accepted.len(), PUSHES);
    crew.stop_well().await;
}

async fn receivers_that_hang_do_not_hold_up_the_others(fleet: Fleet<'_>) {
    let crew = Crew::of(&fleet).await;
    for number in 0..10 {
        let path = format!("/hangs-{number}");
        crew.receiver.answer_always_at(&path, Answer::Hang);
        crew.console.caller.add_webhook(("*", "batch", &crew.receiver.url(&path))).await;
    }
    crew.push_on("among").await;
    crew.push_on("hanging").await;
    for deliverer in crew.deliverers {
        deliverer.kill().await;
    }
}
