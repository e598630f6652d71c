//! What goes over a bus while something is done to it, and what must have arrived in the end.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dockbell_backends::amqp::Amqp;
use dockbell_backends::bus::{Bus, Consumer, Queue, Received};
use dockbell_testkit::wait::until;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::harness::outgoing;

/// How long a single message is waited for.
const SOON: Duration = Duration::from_secs(40);
/// Between the publishes of one publisher.
const PACE: Duration = Duration::from_millis(10);

pub(crate) async fn consume(bus: &Amqp, queue: Queue, prefetch: u16) -> Consumer {
    bus.consume(queue, NonZeroU16::new(prefetch).unwrap()).await.unwrap()
}

pub(crate) async fn next(consumer: &mut Consumer) -> Received {
    timeout(SOON, consumer.next()).await.expect("a message in time").unwrap()
}

pub(crate) async fn publish(bus: &Amqp, queue: Queue, ids: &[&str]) {
    for id in ids {
        bus.publish(queue, outgoing(id, b"x".to_vec())).await.unwrap();
    }
}

pub(crate) async fn publish_until_taken(bus: &Amqp, queue: Queue, id: &str) {
    until("a publish", || async { bus.publish(queue, outgoing(id, b"x".to_vec())).await.ok() }).await;
}

/// Publishers of deliveries that never stop by themselves.
pub(crate) struct Publishers {
    over: CancellationToken,
    tasks: JoinSet<Vec<String>>,
}

impl Publishers {
    pub(crate) fn start(bus: &Arc<Amqp>, count: usize) -> Self {
        let (over, mut tasks) = (CancellationToken::new(), JoinSet::new());
        for publisher in 0..count {
            tasks.spawn(publish_on(Arc::clone(bus), publisher, over.clone()));
        }
        Self { over, tasks }
    }

    /// Ends them, and returns what was confirmed to them.
    pub(crate) async fn end(self) -> Vec<String> {
        self.over.cancel();
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}

async fn publish_on(bus: Arc<Amqp>, publisher: usize, over: CancellationToken) -> Vec<String> {
    let mut confirmed = Vec::new();
    for number in 0.. {
        if over.is_cancelled() {
            break;
        }
        let id = format!("p{publisher}-{number}");
        if bus.publish(Queue::Deliveries, outgoing(&id, b"x".to_vec())).await.is_ok() {
            confirmed.push(id);
        }
        sleep(PACE).await;
    }
    confirmed
}

/// Takes all that comes, settles it, and remembers when it came.
pub(crate) struct Drain {
    arrived: Arc<Mutex<Vec<(Instant, String)>>>,
    _task: JoinSet<()>,
}

impl Drain {
    pub(crate) fn start(mut consumer: Consumer) -> Self {
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let (noted, mut task) = (Arc::clone(&arrived), JoinSet::new());
        task.spawn(async move {
            while let Some(received) = consumer.next().await {
                noted.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), received.id));
                // What came over a connection that is gone comes again.
                received.receipt.ack().await.ok();
            }
        });
        Self { arrived, _task: task }
    }

    /// Returns once all of them came.
    pub(crate) async fn until_all<T: AsRef<str>>(&self, ids: &[T]) {
        self.until_since(ids, None).await;
    }

    /// Returns once all of them came after `moment`.
    pub(crate) async fn until_again<T: AsRef<str>>(&self, ids: &[T], moment: Instant) {
        self.until_since(ids, Some(moment)).await;
    }

    async fn until_since<T: AsRef<str>>(&self, ids: &[T], moment: Option<Instant>) {
        until("what was confirmed", || async {
            let arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
            let late = arrived.iter().filter(|(at, _)| moment.is_none_or(|moment| *at > moment));
            let found: BTreeSet<&str> = late.map(|(_, id)| id.as_str()).collect();
            ids.iter().all(|id| found.contains(id.as_ref())).then_some(())
        })
        .await;
    }

    /// How long after `moment` something came.
    pub(crate) fn silence_after(&self, moment: Instant) -> Option<Duration> {
        let arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.iter().map(|(at, _)| *at).find(|at| *at > moment).map(|at| at - moment)
    }

    /// How many came, each as often as it did.
    pub(crate) fn count(&self) -> usize {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
