//! An alarm of the broker, which stops every publisher of the node.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::amqp::Amqp;
use dockbell_backends::bus::{Bus, PublishError, Queue};
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::wait::until;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::amqp_harness::{open, options};
use crate::amqp_traffic::{consume, next, publish, publish_until_taken};
use crate::harness::outgoing;

const LONGEST_CLOSE: Duration = Duration::from_secs(10);

pub(crate) async fn an_alarm_stops_publishers_and_nothing_else(node: &Node, host: &str) {
    let bus = open(node.port(), host, options(1)).await.unwrap();
    let closing = Arc::new(open(node.port(), host, options(1)).await.unwrap());
    let ids: Vec<String> = (0..10).map(|number| format!("m{number}")).collect();
    publish(&bus, Queue::Deliveries, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    publish(&closing, Queue::Events, &["a"]).await;
    let mut consumer = consume(&bus, Queue::Deliveries, 2).await;
    let mut closed_consumer = consume(&closing, Queue::Events, 2).await;
    let settled_last = next(&mut closed_consumer).await;
    node.set_memory_alarm(true).await;

    until("a refusal", || async {
        let result = bus.publish(Queue::Redeliveries, outgoing("refused", b"x".to_vec())).await;
        matches!(result, Err(PublishError::Unavailable(_))).then_some(())
    })
    .await;
    // More than the prefetch: both deliveries and acknowledgements go on.
    for id in &ids {
        let received = next(&mut consumer).await;
        assert_eq!(&received.id, id);
        received.receipt.ack().await.unwrap();
    }
    until("acknowledgements", || async { (bus.depth(Queue::Deliveries).await.ok()?.messages == 0).then_some(()) })
        .await;
    settled_last.receipt.ack().await.unwrap();
    close_while_publishes_hang(&closing).await;
    until("the last acknowledgement", || async { (bus.depth(Queue::Events).await.ok()?.messages == 0).then_some(()) })
        .await;

    node.set_memory_alarm(false).await;
    publish_until_taken(&bus, Queue::Deliveries, "after").await;
    assert_eq!(next(&mut consumer).await.id, "after");
    bus.close().await;
}

/// A connection learns of an alarm by its first publish during it, so that these hang.
async fn close_while_publishes_hang(bus: &Arc<Amqp>) {
    let mut publishers = JoinSet::new();
    for number in 0..20 {
        let bus = Arc::clone(bus);
        publishers.spawn(async move {
            bus.publish(Queue::Redeliveries, outgoing(&format!("hanging{number}"), b"x".to_vec())).await
        });
    }
    // Less than what a publish may hang for.
    sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    bus.close().await;
    eprintln!("closed during an alarm within {:?}", began.elapsed());
    assert!(began.elapsed() < LONGEST_CLOSE, "{:?}", began.elapsed());
    let results = publishers.join_all().await;
    assert!(results.iter().all(Result::is_err), "{results:?}");
    assert!(results.iter().any(|result| matches!(result, Err(PublishError::Unknown(_)))), "{results:?}");
    assert!(began.elapsed() < LONGEST_CLOSE, "{:?}", began.elapsed());
}
