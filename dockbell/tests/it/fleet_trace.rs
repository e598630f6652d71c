//! One push is one trace, across three processes, as a real collector prints it.

use dockbell_testkit::collector::{Collector, PrintedSpan};
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::receiver::Receiver;
use dockbell_testkit::wait;

use crate::calls::push;
use crate::fleet::Fleet;

/// The way of a push, with the process that takes each step.
const STEPS: [(&str, &str); 5] = [
    ("intake", "dockbell-producer"),
    ("window", "dockbell-producer"),
    ("batch", "dockbell-producer"),
    ("delivery", "dockbell-deliverer"),
    ("attempt", "dockbell-deliverer"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_is_one_trace_from_its_intake_to_its_attempt() {
    let (node, collector, receiver) = (Node::start().await, Collector::start().await, Receiver::start().await);
    let fleet = Fleet::new(&node).await.with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    let (producer, deliverer, console) = (fleet.producer().await, fleet.deliverer().await, fleet.console().await);
    console.caller.add_webhook(("team/app", "batch", &receiver.url("/"))).await;
    producer.until_ready().await;
    // Both are events of one window.
    for (id, tag) in [("e-1", "1.0"), ("e-2", "latest")] {
        producer.caller.report(&push(id, "team/app", tag)).await;
    }
    receiver.wait_for(1).await;
    // What is not sent yet is sent at the end.
    for member in [producer, deliverer, console] {
        member.stop_well().await;
    }

    let all_here = async || {
        let spans = collector.spans();
        STEPS.iter().all(|(name, _)| spans.iter().any(|span| span.name == *name)).then_some(spans)
    };
    let spans = wait::until("all spans", all_here).await;
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let intakes = named("intake");
    assert_eq!(intakes.len(), 2);
    let mut parent: Option<&PrintedSpan> = None;
    for (name, service) in STEPS {
        let follows = |span: &&PrintedSpan| parent.is_none_or(|parent| span.parent == parent.id);
        // The first of the two opened the window, and its trace goes on.
        let opened =
            |span: &&PrintedSpan| name != "intake" || named("window").iter().any(|window| window.parent == span.id);
        let found: Vec<_> = named(name).into_iter().filter(follows).filter(opened).collect();
        let [span] = found[..] else { panic!("one {name} after {parent:?} in {spans:?}") };
        assert_eq!(span.service, service);
        assert!(parent.is_none_or(|parent| span.trace == parent.trace), "{name} is of another trace: {spans:?}");
        parent = Some(span);
    }
    let batches = named("batch");
    let linked: Vec<_> = intakes.iter().map(|span| (span.trace.clone(), span.id.clone())).collect();
    assert!(batches.iter().any(|batch| linked.iter().all(|link| batch.links.contains(link))), "{batches:?}");
}
