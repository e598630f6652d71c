//! What registries send comes out as expected of a real broker: published by a stranger, headers and all, and published
//! again by an inbox.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use dockbell_backends::Bus;
use dockbell_backends::amqp::{Amqp, AmqpConfig, AmqpOptions};
use dockbell_backends::bus::Queue;
use dockbell_proto::clock::SystemClock;
use dockbell_proto::event::Event;
use dockbell_proto::secret::Secret;
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::wait;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::dialects::{problems, pushes, recordings};
use super::harness::House;
use super::recording::Recording;

/// With two shards there is an inbox.
async fn open(node: &Node) -> (Arc<Amqp>, String) {
    let host = node.virtual_host().await;
    let options = AmqpOptions { shards: NonZeroU16::new(2).unwrap(), ..AmqpOptions::default() };
    let config = AmqpConfig::new(&[Secret::new(Node::url(node.port(), &host))], options).unwrap();
    let bus = Arc::new(Amqp::start(config, Arc::new(SystemClock), StdRng::seed_from_u64(1)));
    let mut trouble = bus.trouble();
    timeout(wait::DEADLINE, trouble.wait_for(Option::is_none)).await.expect("a broker").unwrap();
    (bus, host)
}

/// The properties of a message, whose trace tells which one it was.
fn properties(recording: &Recording, source: &str, number: usize) -> Value {
    let mut headers = json!({"dockbell-source": source, "traceparent": trace(number)});
    let mut properties = json!({"delivery_mode": 2});
    for (name, value) in recording.headers() {
        if name == "content-type" {
            properties["content_type"] = json!(value);
        } else {
            headers[name] = json!(value);
        }
    }
    properties["headers"] = headers;
    properties
}

fn trace(number: usize) -> String {
    format!("00-{number:032x}-b7ad6b7169203331-01", number = number + 1)
}

/// The next `count` events, by the trace of their message.
async fn events(bus: &Amqp, count: usize) -> BTreeMap<String, Vec<Event>> {
    let mut consumer = bus.consume(Queue::Events, NonZeroU16::new(1000).unwrap()).await.unwrap();
    let mut events: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for _ in 0..count {
        let Ok(received) = timeout(wait::DEADLINE, consumer.next()).await else { return events };
        let received = received.unwrap();
        let event: Event = serde_json::from_slice(&received.body).unwrap();
        received.receipt.ack().await.unwrap();
        events.entry(event.trace.traceparent.clone()).or_default().push(event);
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amqp_every_recording_comes_out_of_a_broker_as_expected() {
    let node = Node::start().await;
    let ((bus, host), house) = (open(&node).await, House::open());
    let running = house.empty_inbox(bus.clone(), 100);
    let recordings: Vec<_> = recordings().collect();
    let (mut expected_events, mut expected_letters) = (0, 0);
    for (number, (entry, expected, [_, format])) in recordings.iter().enumerate() {
        let properties = properties(&entry.recording, format.as_str(), number);
        let body = std::str::from_utf8(&entry.recording.body).unwrap();
        assert!(node.publish_with(&host, "registry.events", ("any", properties), body).await, "it is routed");
        expected_events += pushes(&entry.name, expected).len();
        expected_letters += usize::from(expected["error"] == true);
    }
    let mut events = events(&bus, expected_events).await;
    let mut found = Vec::new();
    for (number, (entry, expected, _)) in recordings.iter().enumerate() {
        let mut of_entry = events.remove(&trace(number)).unwrap_or_default();
        // Two shards keep no order between repositories.
        of_entry.sort_by_key(|event| pushes(&entry.name, expected).iter().position(|push| is_of(event, push)));
        found.extend(problems(&entry.name, &entry.name, &of_entry, expected));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(events.is_empty(), "{events:?}");
    let letters = async || {
        let letters = bus.dead_letters(0, 100).await.unwrap().len();
        (letters == expected_letters).then_some(())
    };
    wait::until("dead letters", letters).await;
    running.stop().await;
    bus.close().await;
}

fn is_of(event: &Event, push: &Value) -> bool {
    push["repository"] == event.repository.as_str() && push["tag"] == json!(event.tag)
}
