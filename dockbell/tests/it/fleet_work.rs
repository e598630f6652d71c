//! The main job at scale: two producers, two deliverers and the API do what one process does.
//!
//! One test plays all scenarios, because a node of `RabbitMQ` takes long to start.

use std::collections::BTreeMap;
use std::time::Duration;

use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::receiver::{Answer, Receiver, Recorded};
use dockbell_testkit::registry::{Registry, Reporting};
use dockbell_testkit::wait;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::calls::{Made, push};
use crate::canaries::no_process_tells_a_secret_and_no_message_carries_one;
use crate::fleet::{Fleet, Member};
use crate::flooded::five_hundred_answers_without_end_cost_little_and_delay_nobody;
use crate::operations::a_console_posts_what_an_owner_switches_to_the_operators_url;
use crate::payload::{assert_signed, json, tag};
use crate::tokens::a_token_reports_to_a_producer_that_knows_the_store;

const FORMATS: [&str; 3] = ["dockerhub", "alin", "batch"];
const REPOSITORY: &str = "team/app";
/// Within which a change of a webhook must be known everywhere.
const KNOWN_AFTER: Duration = Duration::from_secs(1);
/// Enough to deliver from while the broker takes nothing.
const REPOSITORIES: u8 = 60;
/// Within which a process must end, with room for a slow machine.
const END: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producers_deliverers_and_the_api_do_the_job_together() {
    let node = Node::start().await;
    play(&node, a_push_to_a_real_registry_rings_once_over_http).await;
    play(&node, a_push_to_a_real_registry_rings_once_over_the_exchange).await;
    play(&node, a_changed_webhook_is_used_by_every_deliverer).await;
    play(&node, a_flushed_store_makes_deliveries_wait).await;
    play(&node, one_process_does_it_all_on_the_servers).await;
    play(&node, a_process_that_may_not_declare_tells_what_is_missing).await;
    play(&node, a_console_posts_what_an_owner_switches_to_the_operators_url).await;
    play(&node, a_token_reports_to_a_producer_that_knows_the_store).await;
    play(&node, no_process_tells_a_secret_and_no_message_carries_one).await;
    play(&node, five_hundred_answers_without_end_cost_little_and_delay_nobody).await;
    play(&node, an_alarm_of_the_broker_holds_up_neither_deliveries_nor_the_end).await;
}

/// Prints the name of the scenario before it is played, so that the last one names the failure.
async fn play(node: &Node, scenario: impl AsyncFnOnce(Fleet<'_>)) {
    eprintln!("{}", std::any::type_name_of_val(&scenario));
    scenario(Fleet::new(node).await).await;
}

/// Two of each, and a receiver with a webhook in each format.
struct Crew {
    producers: [Member; 2],
    deliverers: [Member; 2],
    console: Member,
    receiver: Receiver,
    made: BTreeMap<&'static str, Made>,
}

impl Crew {
    async fn of(fleet: &Fleet<'_>) -> Self {
        let producers = [fleet.producer().await, fleet.producer().await];
        let deliverers = [fleet.deliverer().await, fleet.deliverer().await];
        let (console, receiver, mut made) = (fleet.console().await, Receiver::start().await, BTreeMap::new());
        for format in FORMATS {
            let url = receiver.url(&format!("/{format}"));
            made.insert(format, console.caller.add_webhook(("team/*", format, &url)).await);
        }
        for member in producers.iter().chain(&deliverers) {
            member.until_ready().await;
        }
        Self { producers, deliverers, console, receiver, made }
    }

    /// What the receiver got about `tag`, by format, once all formats are here.
    async fn received(&self, tag_pushed: &str) -> BTreeMap<String, Vec<Recorded>> {
        let arrived = async || {
            let mut found: BTreeMap<String, Vec<Recorded>> = BTreeMap::new();
            for request in self.receiver.requests().into_iter().filter(|request| tag(request) == tag_pushed) {
                found.entry(request.path_and_query.trim_start_matches('/').to_owned()).or_default().push(request);
            }
            (found.len() == FORMATS.len()).then_some(found)
        };
        wait::until(&format!("a webhook about {tag_pushed} in each format"), arrived).await
    }

    /// Pushes an image and an index; each must ring each webhook once, signed, with the digest that was pushed.
    async fn check_pushes(&self, registry: &Registry) {
        let image = registry.push_single(REPOSITORY, "1.0").await;
        self.received("1.0").await;
        let index = registry.push_multi_arch(REPOSITORY, "2.0").await;
        self.received("2.0").await;
        // What is told about a later push comes after everything that earlier ones could still cause.
        registry.push_single(REPOSITORY, "sentinel").await;
        self.received("sentinel").await;
        for (tag_pushed, digest) in [("1.0", image), ("2.0", index)] {
            let received = self.received(tag_pushed).await;
            for (format, requests) in &received {
                assert_eq!(requests.len(), 1, "{format} about {tag_pushed} came once");
                assert_signed(&requests[0], &self.made[format.as_str()]);
            }
            assert_eq!(json(&received["batch"][0])["changes"][0]["digest"], digest);
        }
    }

    async fn stop_well(self) {
        for member in self.producers.into_iter().chain(self.deliverers).chain([self.console]) {
            let ended = member.stop_well().await;
            assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        }
    }
}

async fn a_push_to_a_real_registry_rings_once_over_http(fleet: Fleet<'_>) {
    let fleet = fleet.with("DOCKBELL_WINDOW_QUIET", "1s").with("DOCKBELL_WINDOW_MAX_WAIT", "20s");
    let crew = Crew::of(&fleet).await;
    let caller = &crew.producers[1].caller;
    let url = format!("{}/ingest/registry", caller.intake);
    let reporting = Reporting { url, token: caller.ingest_token.clone(), include_references: true };
    crew.check_pushes(&Registry::start(&reporting).await).await;
    crew.stop_well().await;
}

/// What the registry reports is published as it is, with four shards, so that a producer shards it.
async fn a_push_to_a_real_registry_rings_once_over_the_exchange(fleet: Fleet<'_>) {
    let fleet = fleet.with("DOCKBELL_WINDOW_QUIET", "1s").with("DOCKBELL_WINDOW_MAX_WAIT", "20s");
    let fleet = fleet.with("DOCKBELL_AMQP_SHARDS", "4");
    let (crew, reported) = (Crew::of(&fleet).await, Receiver::start().await);
    let reporting = Reporting { url: reported.url("/"), token: "unused".to_owned(), include_references: true };
    let registry = Registry::start(&reporting).await;
    let publishing = async {
        let mut published = 0;
        loop {
            for envelope in reported.requests().into_iter().skip(published) {
                let body = String::from_utf8(envelope.body.to_vec()).unwrap();
                assert!(fleet.node.publish(&fleet.host, "registry.events", REPOSITORY, &body).await, "it is routed");
                published += 1;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = publishing => {}
        () = crew.check_pushes(&registry) => {}
    }
    crew.stop_well().await;
}

async fn a_changed_webhook_is_used_by_every_deliverer(fleet: Fleet<'_>) {
    let crew = Crew::of(&fleet).await;
    let received = async |repository: String, tag_pushed: &str| {
        crew.producers[0].caller.report(&push(&format!("{repository}-{tag_pushed}"), &repository, tag_pushed)).await;
        let about = |request: &Recorded| {
            let payload: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            payload["repository"] == repository.as_str() && payload["changes"][0]["tag"] == tag_pushed
        };
        let found = async || crew.receiver.requests().into_iter().find(|request| about(request));
        wait::until("a batch", found).await.path_and_query
    };
    // So that both deliverers have what they know in their caches.
    for number in 0..20 {
        assert_eq!(received(format!("team/app-{number}"), "before").await, "/batch");
    }
    let made_by_each = async |member: &Member| member.caller.metric("dockbell_attempts_total", &[]).await;
    for deliverer in &crew.deliverers {
        assert!(made_by_each(deliverer).await > 0.0, "both deliver");
    }
    let changed = json!({ "url": crew.receiver.url("/changed") });
    let path = format!("webhooks/{}", crew.made["batch"].id);
    assert_eq!(crew.console.caller.api(Method::PATCH, &path, Some(changed)).await.status, 200);
    sleep(KNOWN_AFTER).await;
    for number in 0..20 {
        assert_eq!(received(format!("team/app-{number}"), "after").await, "/changed");
    }
    crew.stop_well().await;
}

async fn a_flushed_store_makes_deliveries_wait(fleet: Fleet<'_>) {
    let mut fleet = fleet;
    let crew = Crew::of(&fleet).await;
    crew.producers[0].caller.report(&push("e-0", "team/app", "0")).await;
    crew.received("0").await;
    let copy = fleet.redis.copy_data();
    fleet.redis.run(&["FLUSHALL"]).await;
    for deliverer in &crew.deliverers {
        let told = deliverer.until_told(|told| told["ready"] == false).await;
        assert_ne!(told["components"]["redis"], "ready", "{told}");
    }
    // One that starts now does not take the store for one without webhooks.
    let late = fleet.deliverer().await;
    late.until_told(|told| told["components"]["redis"].as_str().is_some_and(|why| why.contains("empty"))).await;
    crew.producers[0].caller.report(&push("e-1", "team/other", "1")).await;
    let held = async || {
        let queue = fleet.node.queue(&fleet.host, "dockbell.deliveries.v1.00").await;
        (queue["messages_unacknowledged"] == 1).then_some(())
    };
    wait::until("the batch to be held", held).await;
    assert_eq!(crew.receiver.requests().len(), FORMATS.len(), "nothing can be delivered");

    fleet.redis.kill().await;
    fleet.redis.put_back(&copy);
    fleet.redis.start_again().await;
    crew.received("1").await;
    for deliverer in crew.deliverers.iter().chain([&late]) {
        deliverer.until_ready().await;
    }
    crew.stop_well().await;
}

async fn one_process_does_it_all_on_the_servers(fleet: Fleet<'_>) {
    fleet.redis.run(&["CONFIG", "SET", "appendonly", "no"]).await;
    let (dockbell, receiver) = (fleet.up().await, Receiver::start().await);
    dockbell.caller.add_webhook(("team/*", "batch", &receiver.url("/"))).await;
    receiver.answer_with(vec![Answer::Status(503)]);
    dockbell.caller.report(&push("e-1", "team/app", "1.0")).await;
    let requests = receiver.wait_for(2).await;
    assert_eq!(requests[0].body, requests[1].body);
    let told = dockbell.until_told(|told| told["ready"] == true).await;
    assert_eq!(told["components"]["amqp"], "ready");
    let note = told["components"]["redis"].as_str().unwrap();
    assert!(note.starts_with("ready, but settings are not persistent"), "{note}");
    for (name, label) in [
        ("dockbell_amqp_publishes_total", "result=\"confirmed\""),
        ("dockbell_amqp_connections_total", "purpose=\"consume\""),
        ("dockbell_redis_connections_total", "server=\"settings\""),
    ] {
        assert!(dockbell.caller.metric(name, &[label]).await >= 1.0, "{name}");
    }
    assert!(dockbell.stop_well().await.stderr.contains("a backend works"), "recovery is told");
}

async fn a_process_that_may_not_declare_tells_what_is_missing(fleet: Fleet<'_>) {
    let fleet = fleet.with("DOCKBELL_AMQP_DECLARE", "false");
    let producer = fleet.producer().await;
    let names_it = |told: &Value| {
        let why = told["components"]["amqp"].as_str().unwrap_or_default();
        ["exchange registry.events", "queue dockbell.events.v1.00"].iter().all(|missing| why.contains(missing))
    };
    assert_eq!(producer.until_told(names_it).await["ready"], false);
    let event = push("e-1", "team/app", "1").to_string();
    assert_eq!(producer.caller.report_request(event).send().await.unwrap().status(), 503);
    // Whoever may makes them, and it works without a restart.
    let fleet = fleet.with("DOCKBELL_AMQP_DECLARE", "true");
    let _administrator = fleet.producer().await;
    producer.until_ready().await;
    producer.caller.report(&push("e-1", "team/app", "1")).await;
}

/// It stops every publisher of the node.
async fn an_alarm_of_the_broker_holds_up_neither_deliveries_nor_the_end(fleet: Fleet<'_>) {
    let fleet = fleet.with("DOCKBELL_DELIVERY_ATTEMPTS", "2");
    let crew = Crew::of(&fleet).await;
    crew.receiver.answer_always(Answer::Late(Duration::from_millis(500), 200));
    for number in 0..REPOSITORIES {
        crew.producers[0].caller.report(&push(&format!("e-{number}"), &format!("team/app-{number}"), "1")).await;
    }
    let standing = async || fleet.node.queue(&fleet.host, "dockbell.deliveries.v1.00").await["messages"].as_u64();
    // What is not published yet when the alarm comes waits for its end.
    let published = async || {
        let [one, other] = &crew.producers;
        let changes = one.caller.metric("dockbell_changes_total", &[]).await
            + other.caller.metric("dockbell_changes_total", &[]).await;
        (changes >= f64::from(REPOSITORIES)).then_some(())
    };
    wait::until("all batches to be published", published).await;
    crew.receiver.wait_for(1).await;
    // Held in a window when publishers are stopped.
    crew.producers[0].caller.report(&push("e-held", "team/held", "1")).await;
    fleet.node.set_memory_alarm(true).await;
    let refused = async || {
        let event = push("e-late", "team/late", "1").to_string();
        let answer = crew.producers[1].caller.report_request(event).send().await.unwrap();
        (answer.status() == 503).then_some(())
    };
    wait::until("the intake to refuse", refused).await;
    let delivered = crew.receiver.requests().len();
    let goes_on = async || (crew.receiver.requests().len() > delivered + 5).then_some(());
    wait::until("deliveries to go on", goes_on).await;
    crew.receiver.wait_for(FORMATS.len() * usize::from(REPOSITORIES)).await;
    wait::until("acknowledgements", async || standing().await.filter(|count| *count == 0)).await;

    let mut ending = JoinSet::new();
    let began = Instant::now();
    for member in crew.producers.into_iter().chain(crew.deliverers).chain([crew.console]) {
        ending.spawn(async move {
            timeout(END, member.stop_well()).await.expect("an end in time");
            began.elapsed()
        });
    }
    let longest = ending.join_all().await.into_iter().max();
    eprintln!("all ended within {longest:?} of SIGTERM, during an alarm");
    fleet.node.set_memory_alarm(false).await;
    // What was held in the window was not lost: it comes when somebody works again.
    let (_producer, _deliverer) = (fleet.producer().await, fleet.deliverer().await);
    let is_held = |request: &Recorded| String::from_utf8_lossy(&request.body).contains("team/held");
    let here = async || crew.receiver.requests().iter().any(is_held).then_some(());
    wait::until("what was held", here).await;
}
