//! Operator events on `RabbitMQ`.

use dockbell_backends::bus::{Bus, PublishError, Queue};
use dockbell_proto::operations::{OperationKind, OperatorEvent};
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::sample::moment;
use dockbell_testkit::wait::until;

use crate::amqp_harness::{open, options};
use crate::amqp_robust::{consume, next, play};
use crate::harness::outgoing;

const EXCHANGE: &str = "dockbell.operations";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operator_events_reach_who_listens_and_disturb_nobody() {
    let node = Node::start().await;
    play(&node, who_listens_gets_the_kinds_that_were_asked_for).await;
    play(&node, an_exchange_that_is_deleted_is_made_again).await;
}

fn event(kind: OperationKind) -> OperatorEvent {
    OperatorEvent::of_fleet(kind, moment(), "nobody answers")
}

/// The queue that listens is one of ours, because the bus can read those.
async fn who_listens_gets_the_kinds_that_were_asked_for(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    node.bind(host, EXCHANGE, "dockbell.events.v1.00", "fleet.*").await;
    for kind in [OperationKind::WebhookDisabled, OperationKind::FleetFault] {
        bus.announce(&event(kind)).await.unwrap();
    }
    let mut listener = consume(&bus, Queue::Events, 2).await;
    let heard = next(&mut listener).await;
    let told = event(OperationKind::FleetFault);
    assert_eq!((heard.id.as_str(), heard.header("content-type")), (told.id.as_str(), Some("application/json")));
    assert_eq!(serde_json::from_slice::<OperatorEvent>(&heard.body).unwrap(), told);
    heard.receipt.ack().await.unwrap();
    until("an empty queue", || async { (bus.depth(Queue::Events).await.ok()?.messages == 0).then_some(()) }).await;
    bus.close().await;
}

async fn an_exchange_that_is_deleted_is_made_again(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    node.delete_exchange(host, EXCHANGE).await;
    let first = bus.announce(&event(OperationKind::FleetFault)).await;
    assert!(matches!(first, Err(PublishError::Unknown(_))), "{first:?}");
    until("an announcement", || async { bus.announce(&event(OperationKind::FleetFault)).await.ok() }).await;
    assert!(bus.stats().publishing_connections <= 2, "an exchange that is missing costs one connection at most");
    bus.publish(Queue::Deliveries, outgoing("a", b"x".to_vec())).await.unwrap();
    bus.close().await;
}
