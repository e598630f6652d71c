//! Exchanges and queues that change, are missing, or are not as they must be.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::amqp::{Amqp, AmqpNames, AmqpOptions, Topology};
use dockbell_backends::bus::{Bus, Consumer, Outgoing, PublishError, Queue, Received};
use dockbell_proto::message::Message;
use dockbell_proto::names::Registry;
use dockbell_proto::webhook::Format;
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::sample;
use dockbell_testkit::wait::until;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::amqp_harness::{open, options, start, start_as, trouble, untroubled};
use crate::amqp_robust::{consume, next, play};
use crate::harness::outgoing;

/// The longest wait for the next message.
const SOON: Duration = Duration::from_secs(20);
/// How long nothing more may come.
const QUIET: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_exchanges_and_queues_is_survived() {
    let node = Node::start().await;
    play(&node, a_bus_waits_for_a_broker_that_takes_it).await;
    play(&node, what_is_missing_is_told_until_it_is_there).await;
    play(&node, what_is_different_is_told_and_worked_with).await;
    play(&node, who_may_not_declare_works_with_what_is_there).await;
    play(&node, a_binding_that_is_missed_is_made_again).await;
    play(&node, a_queue_that_may_not_be_drained_holds_up_no_other).await;
    play(&node, the_longest_names_are_published).await;
    play(&node, shards_are_raised_while_others_publish).await;
    play(&node, what_stands_on_former_shards_arrives).await;
    play(&node, what_stands_on_the_version_before_arrives_once).await;
    play(&node, what_others_publish_is_published_again_by_its_key).await;
}

/// It has a node of its own, which learns of streams only in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_without_streams_is_told_what_to_enable() {
    let node = Node::start_without_streams().await;
    let bus = start(node.port(), &node.virtual_host().await, options(1));
    trouble(&bus, "rabbitmqctl enable_feature_flag stream_queue").await;
    node.enable_feature("stream_queue").await;
    untroubled(&bus).await.unwrap();
    bus.bury(Queue::Events, outgoing("a", b"x".to_vec()), "gone".to_owned()).await.unwrap();
    bus.close().await;
}

fn of_key(id: &str) -> Outgoing {
    Outgoing { key: format!("key of {id}"), ..outgoing(id, b"x".to_vec()) }
}

/// Publishes `count` messages, each until it is taken.
async fn publish_all(bus: &Amqp, queue: Queue, prefix: &str, count: usize) {
    for number in 0..count {
        let message = of_key(&format!("{prefix}{number}"));
        until("a publish", || async { bus.publish(queue, message.clone()).await.ok() }).await;
    }
}

/// How often each message comes, by its body where it has no id: until there are `count`, and nothing more comes.
async fn collect(consumer: &mut Consumer, count: usize) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let count_one = |found: &mut BTreeMap<String, usize>, received: &Received| {
        let body = || String::from_utf8_lossy(&received.body).into_owned();
        let id = if received.id.is_empty() { body() } else { received.id.clone() };
        *found.entry(id).or_default() += 1;
        found.len()
    };
    loop {
        let received = timeout(SOON, consumer.next()).await;
        let Ok(Some(received)) = received else { panic!("of {count} there came only {found:?}") };
        let distinct = count_one(&mut found, &received);
        received.receipt.ack().await.unwrap();
        if distinct >= count {
            break;
        }
    }
    while let Ok(Some(received)) = timeout(QUIET, consumer.next()).await {
        count_one(&mut found, &received);
        received.receipt.ack().await.unwrap();
    }
    found
}

fn is_each_once(found: &BTreeMap<String, usize>) -> bool {
    found.values().all(|count| *count == 1)
}

async fn a_bus_waits_for_a_broker_that_takes_it(node: &Node, host: &str) {
    let bus = start_as("late", node.port(), host, options(1));
    let mut consumer = consume(&bus, Queue::Deliveries, 1).await;
    let told = trouble(&bus, "the broker is away").await;
    assert!(!told.contains("late:late"), "{told}");
    let refused = bus.publish(Queue::Deliveries, outgoing("early", b"x".to_vec())).await;
    assert!(matches!(refused, Err(PublishError::Unavailable(_))), "{refused:?}");
    node.add_user(host, "late", (".*", ".*", ".*")).await;
    untroubled(&bus).await.unwrap();
    bus.publish(Queue::Deliveries, outgoing("a", b"x".to_vec())).await.unwrap();
    assert_eq!(next(&mut consumer).await.id, "a");
    let stats = bus.stats();
    assert_eq!((stats.confirmed, stats.refused, stats.consuming_connections), (1, 1, 1));
    until("connections to close", || async { (node.close_connections("late").await > 0).then_some(()) }).await;
    trouble(&bus, "connection is replaced").await;
    untroubled(&bus).await.unwrap();
    assert_eq!(next(&mut consumer).await.id, "a");
    let stats = bus.stats();
    assert_eq!((stats.consuming_connections, stats.consumers_rebuilt), (2, 1));
    bus.close().await;
}

fn verify() -> AmqpOptions {
    AmqpOptions { topology: Topology::Verify, ..options(1) }
}

async fn what_is_missing_is_told_until_it_is_there(node: &Node, host: &str) {
    let looking = start(node.port(), host, verify());
    let mut consumer = consume(&looking, Queue::Deliveries, 1).await;
    let told = trouble(&looking, "missing").await;
    for name in ["exchange registry.events", "queue dockbell.events.v1.00", "queue dockbell.delay.24h.v1.00"] {
        assert!(told.contains(&format!("{name}: missing")), "{told}");
    }
    let bus = open(node.port(), host, options(1)).await.unwrap();
    untroubled(&looking).await.unwrap();
    bus.publish(Queue::Deliveries, outgoing("a", b"x".to_vec())).await.unwrap();
    assert_eq!(next(&mut consumer).await.id, "a");
    bus.close().await;
    looking.close().await;
}

async fn what_is_different_is_told_and_worked_with(node: &Node, host: &str) {
    open(node.port(), host, options(1)).await.unwrap().close().await;
    let wider = |options: AmqpOptions| AmqpOptions { queue_bytes: 2 * options.queue_bytes, ..options };
    for options in [wider(options(1)), wider(verify())] {
        let bus = start(node.port(), host, options);
        let told = trouble(&bus, "queue dockbell.events.v1.00: ").await;
        assert!(told.contains("x-max-length-bytes") && told.contains("queue dockbell.delay.1s.v1.00: "), "{told}");
        let mut consumer = consume(&bus, Queue::Deliveries, 1).await;
        publish_all(&bus, Queue::Deliveries, "m", 1).await;
        assert!(is_each_once(&collect(&mut consumer, 1).await));
        bus.close().await;
    }
    let beside = AmqpNames { version: "v2".to_owned(), ..AmqpNames::default() };
    let beside = AmqpOptions { names: beside, ..wider(options(1)) };
    open(node.port(), host, beside).await.unwrap().close().await;
}

async fn who_may_not_declare_works_with_what_is_there(node: &Node, host: &str) {
    open(node.port(), host, options(1)).await.unwrap().close().await;
    node.add_user(host, "guarded", ("^$", ".*", ".*")).await;
    let bus = start_as("guarded", node.port(), host, AmqpOptions { queue_bytes: 1 << 30, ..verify() });
    untroubled(&bus).await.unwrap();
    bus.publish(Queue::Deliveries, outgoing("a", b"x".to_vec())).await.unwrap();
    let mut consumer = consume(&bus, Queue::Deliveries, 1).await;
    assert_eq!(next(&mut consumer).await.id, "a");
    bus.close().await;
    let declaring = start_as("guarded", node.port(), host, options(1));
    trouble(&declaring, "ACCESS_REFUSED").await;
    declaring.close().await;
}

async fn a_binding_that_is_missed_is_made_again(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    node.unbind(host, "dockbell.deliveries", "dockbell.deliveries.v1.00", "00").await;
    let returned = bus.publish(Queue::Deliveries, outgoing("a", b"x".to_vec())).await;
    assert!(matches!(returned, Err(PublishError::Unroutable(_))), "{returned:?}");
    publish_all(&bus, Queue::Deliveries, "m", 1).await;
    bus.close().await;
}

async fn a_queue_that_may_not_be_drained_holds_up_no_other(node: &Node, host: &str) {
    open(node.port(), host, options(2)).await.unwrap().close().await;
    node.add_user(host, "narrow", (".*", ".*", r"^(?!.*\.01$).*")).await;
    let bus = start_as("narrow", node.port(), host, options(1));
    untroubled(&bus).await.unwrap();
    let mut consumer = consume(&bus, Queue::Deliveries, 1).await;
    for id in ["a", "b"] {
        bus.publish(Queue::Deliveries, outgoing(id, b"x".to_vec())).await.unwrap();
        let received = next(&mut consumer).await;
        assert_eq!(received.id, id);
        // One whose connection was replaced is stale.
        received.receipt.ack().await.unwrap();
        // The other queue is refused again meanwhile.
        tokio::time::sleep(QUIET).await;
    }
    assert_eq!(bus.stats().consuming_connections, 1);
    bus.close().await;
}

async fn the_longest_names_are_published(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    let mut batch = sample::batch(&"e".repeat(128), &"r".repeat(255), &["1"]);
    batch.registry = Registry::parse(&"h".repeat(260)).unwrap();
    let webhook = sample::webhook(1, "*", Format::Batch, "http://receiver.test/").id;
    let delivery = sample::delivery(&webhook, &batch);
    for message in [Message::Batch(batch), Message::Delivery(delivery)] {
        bus.publish(Queue::Deliveries, Outgoing::carrying(&message)).await.unwrap();
    }
    bus.close().await;
}

async fn shards_are_raised_while_others_publish(node: &Node, host: &str) {
    let one = Arc::new(open(node.port(), host, options(1)).await.unwrap());
    let mut publishing = JoinSet::new();
    let publisher = Arc::clone(&one);
    publishing.spawn(async move { publish_all(&publisher, Queue::Events, "old", 500).await });
    let foreign = async {
        for number in 0..200 {
            let body = format!("foreign{number}");
            assert!(node.publish(host, "registry.events", "push", &body).await, "{number} is not routed");
        }
    };
    let raising = async {
        let four = open(node.port(), host, options(4)).await.unwrap();
        publish_all(&four, Queue::Events, "new", 200).await;
        four
    };
    let ((), four) = tokio::join!(foreign, raising);
    assert!(node.publish(host, "registry.events", "push", "foreign at last").await);
    publishing.join_all().await;
    let mut inbox = four.consume_inbox(NonZeroU16::new(10).unwrap()).await.unwrap().unwrap();
    let mut events = consume(&four, Queue::Events, 10).await;
    let mut found = collect(&mut events, 700).await;
    found.append(&mut collect(&mut inbox, 1).await);
    assert_eq!(found.len(), 901, "{found:?}");
    one.close().await;
    four.close().await;
}

async fn what_stands_on_former_shards_arrives(node: &Node, host: &str) {
    let four = open(node.port(), host, options(4)).await.unwrap();
    publish_all(&four, Queue::Deliveries, "m", 40).await;
    for number in 0..8 {
        let late = of_key(&format!("late{number}"));
        four.publish_after(Queue::Redeliveries, late, Duration::from_secs(3)).await.unwrap();
    }
    assert!(node.publish(host, "registry.events", "push", "foreign").await);
    four.close().await;
    let one = open(node.port(), host, options(1)).await.unwrap();
    assert_eq!(one.depth(Queue::Deliveries).await.unwrap().messages, 40);
    let mut inbox = one.consume_inbox(NonZeroU16::MIN).await.unwrap().unwrap();
    assert_eq!(&next(&mut inbox).await.body[..], b"foreign");
    let mut deliveries = consume(&one, Queue::Deliveries, 10).await;
    assert!(is_each_once(&collect(&mut deliveries, 40).await));
    let mut redeliveries = consume(&one, Queue::Redeliveries, 10).await;
    assert!(is_each_once(&collect(&mut redeliveries, 8).await));
    one.close().await;
}

async fn what_stands_on_the_version_before_arrives_once(node: &Node, host: &str) {
    let of = |version: &str, previous: &str, options: AmqpOptions| {
        let names = AmqpNames { previous: Some(previous.to_owned()), version: version.to_owned(), ..options.names };
        AmqpOptions { names, ..options }
    };
    let new = || of("v2", "v1", AmqpOptions { queue_bytes: 2 << 20, ..options(1) });
    // Queues that are there already are declared before what is delayed comes out.
    open(node.port(), host, new()).await.unwrap().close().await;
    let old = open(node.port(), host, of("v1", "v2", options(2))).await.unwrap();
    publish_all(&old, Queue::Deliveries, "m", 40).await;
    for number in 0..8 {
        let late = of_key(&format!("late{number}"));
        old.publish_after(Queue::Redeliveries, late, Duration::from_secs(5)).await.unwrap();
    }
    assert!(node.publish(host, "registry.events", "push", "foreign").await);
    old.close().await;
    let new = open(node.port(), host, new()).await.unwrap();
    assert_eq!(new.depth(Queue::Deliveries).await.unwrap().messages, 40);
    publish_all(&new, Queue::Deliveries, "new", 10).await;
    assert!(node.publish(host, "registry.events", "push", "foreign too").await);
    let mut deliveries = consume(&new, Queue::Deliveries, 10).await;
    assert!(is_each_once(&collect(&mut deliveries, 50).await));
    let mut events = consume(&new, Queue::Events, 10).await;
    assert!(is_each_once(&collect(&mut events, 1).await));
    let mut inbox = new.consume_inbox(NonZeroU16::MIN).await.unwrap().unwrap();
    assert!(is_each_once(&collect(&mut inbox, 1).await));
    let mut redeliveries = consume(&new, Queue::Redeliveries, 10).await;
    assert!(is_each_once(&collect(&mut redeliveries, 8).await));
    new.close().await;
}

async fn what_others_publish_is_published_again_by_its_key(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(4)).await.unwrap();
    let mut inbox = bus.consume_inbox(NonZeroU16::new(2).unwrap()).await.unwrap().unwrap();
    for number in 0..5 {
        assert!(node.publish(host, "registry.events", "push", &format!("m{number}")).await);
    }
    for _ in 0..5 {
        let received = next(&mut inbox).await;
        let id = String::from_utf8_lossy(&received.body).into_owned();
        bus.publish(Queue::Events, of_key(&id)).await.unwrap();
        received.receipt.ack().await.unwrap();
    }
    let mut events = consume(&bus, Queue::Events, 2).await;
    assert!(is_each_once(&collect(&mut events, 5).await));
    until("an empty queue", || async { (bus.depth(Queue::Events).await.ok()?.messages == 0).then_some(()) }).await;
    bus.close().await;
}
