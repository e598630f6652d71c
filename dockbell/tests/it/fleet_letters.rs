//! Dead letters and strays on `RabbitMQ`, as an operator deals with them from the command line.

use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::wait;
use serde_json::Value;

use crate::calls::push;
use crate::fleet::{Fleet, Member};
use crate::payload::tag;

/// A producer, a deliverer and the API.
struct Crew<'node> {
    fleet: Fleet<'node>,
    producer: Member,
    deliverer: Member,
    console: Member,
    receiver: Receiver,
}

impl<'node> Crew<'node> {
    async fn new(fleet: Fleet<'node>) -> Self {
        let fleet = fleet.with("DOCKBELL_DELIVERY_SCHEDULE", "50ms");
        let (producer, deliverer, console) = (fleet.producer().await, fleet.deliverer().await, fleet.console().await);
        for member in [&producer, &deliverer] {
            member.until_ready().await;
        }
        Self { fleet, producer, deliverer, console, receiver: Receiver::start().await }
    }

    /// A command that must succeed; what it says.
    async fn operate(&self, arguments: &[&str]) -> String {
        let ended = self.fleet.operate(&self.console, arguments).await;
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.stdout
    }

    /// What a list has, once it has `count` entries.
    async fn listed(&self, arguments: &[&str], count: usize) -> Vec<Value> {
        let arguments = [arguments, &["--json"]].concat();
        wait::until("entries of a list", async || {
            let page: Value = serde_json::from_str(&self.operate(&arguments).await).unwrap();
            Some(page["items"].as_array().unwrap().clone()).filter(|items| items.len() == count)
        })
        .await
    }

    /// Returns once the receiver was told of `tag_pushed` for the `count`th time.
    async fn until_told(&self, tag_pushed: &str, count: usize) {
        let told = || self.receiver.requests().iter().filter(|request| tag(request) == tag_pushed).count();
        wait::until("a webhook", async || (told() >= count).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_and_strays_are_brought_back_from_the_command_line() {
    let node = Node::start().await;
    dead_letters_are_revived_and_discarded(Crew::new(Fleet::new(&node).await).await).await;
    strays_are_listed_and_replayed(Crew::new(Fleet::new(&node).await).await).await;
}

async fn dead_letters_are_revived_and_discarded(crew: Crew<'_>) {
    let webhook = crew.console.caller.add_webhook(("team/*", "alin", &crew.receiver.url("/"))).await.id;
    crew.receiver.answer_always(Answer::StatusWithBody(500, "out of order".to_owned()));
    for number in 1..=3 {
        let event = push(&format!("e-{number}"), &format!("team/app-{number}"), &number.to_string());
        crew.producer.caller.report(&event).await;
    }
    let letters = crew.listed(&["dead", "list"], 3).await;
    let last = letters[2]["position"].to_string();
    let shown = crew.operate(&["dead", "show", &last]).await;
    assert!(shown.contains("refused (HTTP 500)") && shown.contains("out of order"), "{shown}");
    assert_eq!(crew.operate(&["dead", "discard", &last]).await, format!("the dead letter at {last} is discarded\n"));
    crew.listed(&["dead", "list"], 2).await;

    crew.receiver.answer_always(Answer::Status(200));
    let sent = crew.receiver.requests().len();
    assert_eq!(crew.operate(&["dead", "revive", "--webhook", &webhook]).await, "dead letters revived: 2\n");
    let all = crew.receiver.wait_for(sent + 2).await;
    let again: Vec<String> = all.iter().skip(sent).map(tag).collect();
    let discarded = letters[2]["tags"][0].as_str().unwrap();
    assert!(again.len() == 2 && again.iter().all(|tag| tag != discarded), "{again:?}, discarded: {discarded}");
    crew.listed(&["dead", "list"], 0).await;
    crew.listed(&["dead", "list", "--mark", "revived"], 2).await;
    for member in [crew.producer, crew.deliverer, crew.console] {
        member.stop_well().await;
    }
}

async fn strays_are_listed_and_replayed(crew: Crew<'_>) {
    let (node, host) = (crew.fleet.node, crew.fleet.host.as_str());
    crew.console.caller.add_webhook(("team/*", "alin", &crew.receiver.url("/"))).await;
    node.unbind(host, "registry.events", "dockbell.events.v1.00", "%23").await;
    node.publish(host, "registry.events", "team.app", &push("e-1", "team/app", "stray").to_string()).await;
    let strays = crew.listed(&["unrouted", "list"], 1).await;
    assert_eq!(strays[0]["key"], "team.app");
    assert!(strays[0]["body"].as_str().unwrap().contains("\"stray\""), "{strays:?}");
    assert_eq!(crew.operate(&["unrouted", "replay"]).await, "strays on their way: 1\n");
    crew.until_told("stray", 1).await;
    crew.listed(&["unrouted", "list"], 0).await;
    for member in [crew.producer, crew.deliverer, crew.console] {
        member.stop_well().await;
    }
}
