//! A cluster of three nodes, of which one is killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::bus::Queue;
use dockbell_testkit::rabbitmq::Node;
use tokio::time::{Instant, sleep};

use crate::amqp_harness::{open_any, options};
use crate::amqp_traffic::{Drain, Publishers, consume, publish_until_taken};

const BACK_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_goes_on_when_the_node_that_is_connected_is_killed() {
    let first = Node::start().await;
    // A cluster that was just formed takes long to make one.
    let host = first.virtual_host().await;
    let second = first.start_beside().await;
    let third = first.start_beside().await;
    let urls = [&first, &second, &third].map(|node| Node::url(node.port(), &host));
    let bus = Arc::new(open_any(&urls, options(1)).await.unwrap());
    let drain = Drain::start(consume(&bus, Queue::Deliveries, 20).await);
    let publishers = Publishers::start(&bus, 2);
    // A node that is killed earlier breaks its youngest quorum queues.
    sleep(Duration::from_secs(12)).await;
    let connected: BTreeSet<String> = first.connections(&host).await.into_iter().collect();
    let killed = [&first, &second, &third].into_iter().find(|node| connected.contains(&node.name())).unwrap();
    killed.kill().await;
    let began = Instant::now();
    publish_until_taken(&bus, Queue::Deliveries, "after").await;
    drain.until_all(&["after"]).await;
    eprintln!("{} was killed, work went on after {:?}", killed.name(), began.elapsed());
    assert!(began.elapsed() < BACK_WITHIN, "{:?}", began.elapsed());
    let confirmed = publishers.end().await;
    drain.until_all(&confirmed).await;
    eprintln!("{} confirmed, {} received", confirmed.len(), drain.count());
    bus.close().await;
}
