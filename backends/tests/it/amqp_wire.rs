//! What the wire to a broker does wrong, and what must become of it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::amqp::AmqpOptions;
use dockbell_backends::bus::{Bus, BusError, PublishError, Queue};
use dockbell_testkit::rabbitmq::{Link, Node};
use dockbell_testkit::wait::until;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::amqp_harness::{open, open_any, options};
use crate::amqp_traffic::{Drain, consume, next, publish, publish_until_taken};
use crate::harness::outgoing;

const HEARTBEAT: Duration = Duration::from_secs(5);
/// Far less than the time after which a connection is given up.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// What a slow machine may add.
const ROOM: Duration = Duration::from_secs(10);

pub(crate) async fn a_channel_that_the_broker_closes_is_replaced(node: &Node, host: &str) {
    let link = Link::open(node.port()).await;
    let bus = open(link.port(), host, options(1)).await.unwrap();
    let mut consumer = consume(&bus, Queue::Deliveries, 2).await;
    publish(&bus, Queue::Deliveries, &["held"]).await;
    let stale = next(&mut consumer).await;
    let began = Instant::now();
    link.acknowledge_falsely();
    let again = next(&mut consumer).await;
    eprintln!("consumption is back {:?} after a closed channel", began.elapsed());
    assert!(began.elapsed() < ROOM, "{:?}", began.elapsed());
    assert_eq!(again.id, "held");
    assert!(link.closes().contains(&406), "{:?}", link.closes());
    assert_eq!(stale.receipt.ack().await, Err(BusError::Stale));
    again.receipt.ack().await.unwrap();
    publish(&bus, Queue::Deliveries, &["after"]).await;
    let after = next(&mut consumer).await;
    assert_eq!(after.id, "after");
    after.receipt.ack().await.unwrap();
    until("an empty queue", || async { (bus.depth(Queue::Deliveries).await.ok()?.messages == 0).then_some(()) }).await;
    bus.close().await;
}

pub(crate) async fn a_half_open_connection_is_noticed_and_replaced(node: &Node, host: &str) {
    let link = Link::open(node.port()).await;
    let within = AmqpOptions { heartbeat: HEARTBEAT, confirm_timeout: CONFIRM_TIMEOUT, ..options(1) };
    let bus = Arc::new(open(link.port(), host, within).await.unwrap());
    let mut consumer = consume(&bus, Queue::Deliveries, 10).await;
    let confirmed = ["held", "b", "c", "d"];
    publish(&bus, Queue::Deliveries, &confirmed).await;
    let held = next(&mut consumer).await;
    link.freeze_present();
    let began = Instant::now();
    let mut publishers = JoinSet::new();
    for number in 0..5 {
        let bus = Arc::clone(&bus);
        publishers.spawn(async move {
            (bus.publish(Queue::Deliveries, outgoing(&format!("lost{number}"), b"x".to_vec())).await, began.elapsed())
        });
    }
    let drain = Drain::start(consumer);
    for (result, took) in publishers.join_all().await {
        assert!(matches!(result, Err(PublishError::Unknown(_) | PublishError::Unavailable(_))), "{result:?}");
        assert!(took < 2 * HEARTBEAT, "{took:?}");
    }
    publish_until_taken(&bus, Queue::Deliveries, "after").await;
    drain.until_all(&["after"]).await;
    eprintln!("consumption is back {:?} after a connection froze", began.elapsed());
    assert!(began.elapsed() < 2 * HEARTBEAT + 2 * ROOM, "{:?}", began.elapsed());
    assert_eq!(held.receipt.ack().await, Err(BusError::Stale));
    // The broker gives back what the frozen connection had been handed, once it has noticed too.
    drain.until_again(&confirmed, began).await;
    bus.close().await;
}

pub(crate) async fn another_address_is_taken_when_one_refuses(node: &Node, host: &str) {
    let (first, second) = (Link::open(node.port()).await, Link::open(node.port()).await);
    let urls = [&first, &second].map(|link| Node::url(link.port(), host));
    // Nobody listens at the first.
    let urls = [Node::url(1, host)].into_iter().chain(urls).collect::<Vec<_>>();
    let bus = open_any(&urls, options(1)).await.unwrap();
    let drain = Drain::start(consume(&bus, Queue::Deliveries, 3).await);
    publish(&bus, Queue::Deliveries, &["before"]).await;
    let began = Instant::now();
    drop(first);
    publish_until_taken(&bus, Queue::Deliveries, "after").await;
    drain.until_all(&["before", "after"]).await;
    eprintln!("work goes on at another address after {:?}", began.elapsed());
    assert!(began.elapsed() < ROOM, "{:?}", began.elapsed());
    bus.close().await;
}

/// Whoever connects to it is taken by the system and never answered.
pub(crate) async fn another_address_is_taken_when_one_never_answers(node: &Node, host: &str) {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let urls = [silent.local_addr().unwrap().port(), node.port()].map(|port| Node::url(port, host));
    let began = Instant::now();
    let bus = open_any(&urls, AmqpOptions { connect_timeout: CONNECT_TIMEOUT, ..options(1) }).await.unwrap();
    publish(&bus, Queue::Deliveries, &["a"]).await;
    assert_eq!(next(&mut consume(&bus, Queue::Deliveries, 1).await).await.id, "a");
    eprintln!("work goes on past an address that never answers after {:?}", began.elapsed());
    assert!(began.elapsed() < 2 * CONNECT_TIMEOUT + ROOM, "{:?}", began.elapsed());
    timeout(ROOM, silent.accept()).await.expect("a connection to the silent address").unwrap();
    bus.close().await;
}

pub(crate) async fn a_silent_consumer_is_replaced_and_one_with_a_reason_is_not(node: &Node, host: &str) {
    let events = "dockbell.events.v1.00";
    let (full, standby) =
        (open(node.port(), host, options(1)).await.unwrap(), open(node.port(), host, options(1)).await.unwrap());
    let opened = Instant::now();
    let mut holder = consume(&full, Queue::Events, 1).await;
    publish(&full, Queue::Events, &["a", "b"]).await;
    let held = next(&mut holder).await;
    let waiting = consume(&standby, Queue::Events, 1).await;
    let both = until("two consumers", || async {
        let consumers = node.consumers(host, events).await;
        (consumers.len() == 2).then_some(consumers)
    });
    let both = both.await;

    let link = Link::open(node.port()).await;
    let bus = open(link.port(), host, options(1)).await.unwrap();
    link.swallow_deliveries(true);
    let began = Instant::now();
    let mut consumer = consume(&bus, Queue::Deliveries, 2).await;
    publish(&bus, Queue::Deliveries, &["a", "b", "c", "d", "e"]).await;
    until("all that the prefetch lets pass", || async { (link.swallowed() == 2).then_some(()) }).await;
    link.swallow_deliveries(false);
    let mut found = Vec::new();
    for _ in 0..5 {
        let received = next(&mut consumer).await;
        found.push(received.id);
        received.receipt.ack().await.unwrap();
    }
    eprintln!("a silent consumer was replaced after {:?}", began.elapsed());
    found.sort_unstable();
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
    assert!(began.elapsed() > Duration::from_secs(20), "one look sufficed: {:?}", began.elapsed());

    // By the third look after its only message the full one would be given up.
    sleep_until(opened + Duration::from_secs(50)).await;
    assert_eq!(node.consumers(host, events).await, both);
    held.receipt.ack().await.unwrap();
    assert_eq!(next(&mut holder).await.id, "b");
    drop(waiting);
    for bus in [bus, full, standby] {
        bus.close().await;
    }
}
