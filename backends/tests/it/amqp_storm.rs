//! What happens to a bus again and again, or for long.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::amqp::{AmqpOptions, Topology};
use dockbell_backends::bus::{Bus, PublishError, Queue};
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::wait::until;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::amqp_alarm::an_alarm_stops_publishers_and_nothing_else;
use crate::amqp_harness::{open, options};
use crate::amqp_robust::a_virtual_host_that_is_gone_is_used_again_when_it_is_back;
use crate::amqp_tls::{Certificates, a_broker_is_believed_by_the_certificates_that_are_given};
use crate::amqp_traffic::{Drain, Publishers, consume};
use crate::amqp_wire::{
    a_channel_that_the_broker_closes_is_replaced, a_half_open_connection_is_noticed_and_replaced,
    a_silent_consumer_is_replaced_and_one_with_a_reason_is_not, another_address_is_taken_when_one_never_answers,
    another_address_is_taken_when_one_refuses,
};
use crate::harness::outgoing;

const ROUNDS: usize = 20;
const CLOSES: usize = 30;
const BETWEEN_CLOSES: Duration = Duration::from_secs(2);
/// What was received before a close may be handed out for a moment after it.
const MOMENT: Duration = Duration::from_millis(100);
/// With room for a slow machine, which makes one close meet another before all is back.
const BACK_WITHIN: Duration = Duration::from_secs(15);
const DELIVERIES: &str = "dockbell.deliveries.v1.00";

/// What only waits is done together, on virtual hosts of its own. The alarm stops every publisher of the node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storms_between_a_broker_and_its_clients_are_survived() {
    let certificates = Certificates::make().await;
    let node =
        Node::start_with_tls(&certificates.certificate(), &certificates.key(), &certificates.authority_file()).await;
    play(&node, every_unroutable_message_among_many_is_refused_in_every_round).await;
    let host = node.virtual_host().await;
    a_broker_is_believed_by_the_certificates_that_are_given(&node, &host, &certificates).await;
    tokio::join!(
        play(&node, nothing_confirmed_is_lost_while_connections_are_closed_for_a_minute),
        play(&node, a_silent_consumer_is_replaced_and_one_with_a_reason_is_not),
        play(&node, a_half_open_connection_is_noticed_and_replaced),
        play(&node, a_channel_that_the_broker_closes_is_replaced),
        play(&node, another_address_is_taken_when_one_refuses),
        play(&node, another_address_is_taken_when_one_never_answers),
        play(&node, a_virtual_host_that_is_gone_is_used_again_when_it_is_back),
    );
    play(&node, an_alarm_stops_publishers_and_nothing_else).await;
}

/// Prints when a scenario begins and how long it took, so that those without an end name the failure.
async fn play(node: &Node, scenario: impl AsyncFnOnce(&Node, &str)) {
    let (name, began) = (std::any::type_name_of_val(&scenario), Instant::now());
    eprintln!("{name}");
    scenario(node, &node.virtual_host().await).await;
    eprintln!("{name}: {:?}", began.elapsed());
}

async fn every_unroutable_message_among_many_is_refused_in_every_round(node: &Node, host: &str) {
    // One who may declare would bind the queue again.
    open(node.port(), host, options(1)).await.unwrap().close().await;
    let looking = AmqpOptions { topology: Topology::Verify, ..options(1) };
    let bus = Arc::new(open(node.port(), host, looking).await.unwrap());
    node.unbind(host, "dockbell.deliveries", DELIVERIES, "00").await;
    for round in 1..=ROUNDS {
        let mut publishers = JoinSet::new();
        for number in 0..1_000 {
            let bus = Arc::clone(&bus);
            publishers.spawn(async move {
                let queue = if number % 5 == 2 { Queue::Deliveries } else { Queue::Redeliveries };
                (queue, bus.publish(queue, outgoing(&format!("r{round}-m{number}"), b"x".to_vec())).await)
            });
        }
        let results = publishers.join_all().await;
        let of = |queue| results.iter().filter(move |(of, _)| *of == queue).map(|(_, result)| result);
        let refused = of(Queue::Deliveries).filter(|result| matches!(result, Err(PublishError::Unroutable(_))));
        let kept = of(Queue::Redeliveries).filter(|result| result.is_ok());
        assert_eq!((refused.count(), kept.count()), (200, 800), "round {round}");
    }
    let messages = bus.depth(Queue::Redeliveries).await.unwrap().messages;
    assert_eq!(messages, 800 * u64::try_from(ROUNDS).unwrap());
    bus.close().await;
}

async fn nothing_confirmed_is_lost_while_connections_are_closed_for_a_minute(node: &Node, host: &str) {
    let bus = Arc::new(open(node.port(), host, options(1)).await.unwrap());
    let drain = Drain::start(consume(&bus, Queue::Deliveries, 20).await);
    let publishers = Publishers::start(&bus, 4);
    let (mut closes, mut broken) = (Vec::new(), 0);
    let mut tick = interval(BETWEEN_CLOSES);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..CLOSES {
        tick.tick().await;
        broken += node.close_connections(host).await;
        closes.push(Instant::now() + MOMENT);
    }
    let last = *closes.last().unwrap();
    until("consumption after the last close", || async { drain.silence_after(last) }).await;
    let confirmed = publishers.end().await;
    drain.until_all(&confirmed).await;
    let longest = closes.iter().filter_map(|close| drain.silence_after(*close)).max().unwrap();
    eprintln!(
        "{broken} connections broken, {} confirmed, {} received, back after {longest:?} at most",
        confirmed.len(),
        drain.count()
    );
    assert!(broken >= CLOSES, "{broken}");
    assert!(longest < BACK_WITHIN, "{longest:?}");
    let consumers = until("a consumer", || async {
        let consumers = node.consumers(host, DELIVERIES).await;
        (!consumers.is_empty()).then_some(consumers)
    });
    assert_eq!(consumers.await.into_iter().map(|(_, prefetch)| prefetch).collect::<Vec<_>>(), [20]);
    bus.close().await;
}
