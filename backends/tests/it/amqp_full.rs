//! Delay steps that are full: what they refuse waits on shorter ones.

use std::time::Duration;

use dockbell_backends::bus::{Bus, PublishError, Queue};
use dockbell_testkit::conformance::bus::QUEUE_BYTES;
use dockbell_testkit::rabbitmq::Node;
use tokio::time::Instant;

use crate::amqp_harness::{open, options};
use crate::amqp_robust::{consume, play};
use crate::amqp_traffic::Drain;
use crate::harness::outgoing;

const BODY: usize = 64 * 1024;
/// Beyond the step of 5 s, and soon over.
const DELAY: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_step_refuses_waits_elsewhere() {
    let node = Node::start().await;
    play(&node, a_full_step_makes_messages_wait_on_a_shorter_one).await;
}

/// Only when both steps refuse there is no room; and what was taken comes, at its time.
async fn a_full_step_makes_messages_wait_on_a_shorter_one(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    // What comes too early from a shorter step is sent to wait again.
    let drain = Drain::start(consume(&bus, Queue::Redeliveries, 64).await);
    let (began, mut taken) = (Instant::now(), Vec::new());
    let refusal = loop {
        let id = format!("m{}", taken.len());
        match bus.publish_after(Queue::Redeliveries, outgoing(&id, vec![b'x'; BODY]), DELAY).await {
            Ok(()) => taken.push(id),
            Err(error) => break error,
        }
        assert!(taken.len() < 500, "the bounds are not kept");
    };
    assert!(matches!(refusal, PublishError::Unavailable(_)), "{refusal}");
    assert!(bus.is_full(Queue::Redeliveries) && !bus.is_full(Queue::Deliveries));
    let of_one_step = usize::try_from(QUEUE_BYTES).unwrap() / BODY;
    assert!(taken.len() > of_one_step + of_one_step / 2, "{} were taken", taken.len());
    drain.until_all(&taken).await;
    assert!(drain.silence_after(began).is_some_and(|silence| silence >= DELAY), "one came early");
    bus.close().await;
}
