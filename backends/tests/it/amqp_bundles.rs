//! What waits together is one message of the broker, and nobody who publishes or consumes can tell.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use dockbell_backends::amqp::Amqp;
use dockbell_backends::bus::{Bus, Consumer, Queue, Received};
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::wait::until;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::amqp_harness::{open, options};
use crate::amqp_robust::{consume, next};
use crate::harness::outgoing;

const DELAY: Duration = Duration::from_millis(1_500);
const MESSAGES: u16 = 40;

async fn publish_together(bus: &Amqp) -> BTreeSet<String> {
    let ids: BTreeSet<String> = (0..MESSAGES).map(|number| format!("m{number:02}")).collect();
    let publishing = ids
        .iter()
        .map(|id| bus.publish_after(Queue::Redeliveries, outgoing(id, format!("body of {id}").into()), DELAY));
    assert!(join_all(publishing).await.into_iter().all(|published| published.is_ok()));
    ids
}

async fn receive(consumer: &mut Consumer, number: usize) -> Vec<Received> {
    let mut received = Vec::new();
    while received.len() < number {
        received.push(next(consumer).await);
    }
    received
}

fn ids(received: &[Received]) -> BTreeSet<String> {
    received.iter().map(|received| received.id.clone()).collect()
}

pub(crate) async fn what_waits_together_is_one_message_of_the_broker(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    let began = Instant::now();
    let published = publish_together(&bus).await;
    let depth = bus.depth(Queue::Redeliveries).await.unwrap();
    assert!(depth.delayed > 0 && depth.delayed < u64::from(MESSAGES) / 4, "{depth:?}");
    let mut consumer = consume(&bus, Queue::Redeliveries, MESSAGES).await;
    let mut received = receive(&mut consumer, MESSAGES.into()).await;
    assert!(began.elapsed() >= DELAY);
    assert_eq!(ids(&received), published, "each of them once");
    for received in &received {
        assert_eq!(
            (&received.body[..], received.maybe_repeated),
            (format!("body of {}", received.id).as_bytes(), false)
        );
    }
    given_up_alone(&bus, received.pop().unwrap()).await;
    let dropped = received.pop().unwrap().id;
    for received in received {
        received.receipt.ack().await.unwrap();
    }
    comes_again_with_its_bundle(&bus, &mut consumer, &dropped).await;
    bus.close().await;
}

/// A dead letter is the message alone, not the bundle it came in.
async fn given_up_alone(bus: &Amqp, received: Received) {
    let id = received.id.clone();
    received.dead_letter("it cannot be read".to_owned()).await.unwrap();
    let letters = bus.dead_letters(0, 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), [id]);
}

/// What is not settled comes again, flagged, as does what came in the same message of the broker; nothing else.
async fn comes_again_with_its_bundle(bus: &Amqp, consumer: &mut Consumer, dropped: &str) {
    let again = Mutex::new(BTreeSet::new());
    let receive_all = async {
        loop {
            let received = next(consumer).await;
            assert!(received.maybe_repeated, "{}", received.id);
            again.lock().unwrap().insert(received.id.clone());
            received.receipt.ack().await.unwrap();
        }
    };
    let is_over = || async {
        let depth = bus.depth(Queue::Redeliveries).await.ok()?;
        (again.lock().unwrap().contains(dropped) && depth.messages + depth.delayed == 0).then_some(())
    };
    tokio::select! {
        () = receive_all => {}
        () = until("an empty queue", is_over) => {}
    }
    let again = again.into_inner().unwrap();
    assert!(again.len() < MESSAGES.into(), "{again:?}");
}
