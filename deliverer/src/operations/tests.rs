use std::num::NonZeroU16;
use std::sync::Mutex;

use async_trait::async_trait;
use dockbell_backends::bus::{BusError, Consumer, DeadLetter, Depth, Outgoing, Queue, Stray};
use dockbell_proto::clock::SystemClock;
use dockbell_proto::operations::OperationKind;
use dockbell_proto::signature::Signed;
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::sample::moment;
use dockbell_testkit::wait::until;
use tokio::task::JoinSet;

use super::*;

/// A bus that is away for some announcements, and then remembers them.
#[derive(Debug, Default)]
struct Listening {
    away_for: Mutex<u32>,
    heard: Mutex<Vec<OperatorEvent>>,
}

#[async_trait]
impl Bus for Listening {
    async fn announce(&self, event: &OperatorEvent) -> Result<(), PublishError> {
        let mut away_for = self.away_for.lock().unwrap();
        if *away_for > 0 {
            *away_for -= 1;
            return Err(PublishError::Unavailable("away".to_owned()));
        }
        self.heard.lock().unwrap().push(event.clone());
        Ok(())
    }

    async fn publish(&self, _queue: Queue, _message: Outgoing) -> Result<(), PublishError> {
        unreachable!("operator events stand on no queue")
    }

    async fn publish_after(&self, _: Queue, _: Outgoing, _: Duration) -> Result<(), PublishError> {
        unreachable!("operator events stand on no queue")
    }

    async fn bury(&self, _: Queue, _: Outgoing, _: String) -> Result<(), PublishError> {
        unreachable!("operator events stand on no queue")
    }

    async fn consume(&self, _: Queue, _: NonZeroU16) -> Result<Consumer, BusError> {
        unreachable!("operator events are not consumed")
    }

    async fn consume_inbox(&self, _: NonZeroU16) -> Result<Option<Consumer>, BusError> {
        unreachable!("operator events are not consumed")
    }

    fn is_full(&self, _: Queue) -> bool {
        false
    }

    async fn depth(&self, _: Queue) -> Result<Depth, BusError> {
        unreachable!("operator events stand on no queue")
    }

    async fn dead_letters(&self, _: u64, _: u32) -> Result<Vec<DeadLetter>, BusError> {
        unreachable!("operator events do not die")
    }

    async fn revive(&self, _: &DeadLetter) -> Result<(), PublishError> {
        unreachable!("operator events do not die")
    }

    async fn unrouted(&self, _: u32) -> Result<Vec<Stray>, BusError> {
        unreachable!("operator events need no listener")
    }

    async fn replay_unrouted(&self, _: u32) -> Result<u32, BusError> {
        unreachable!("operator events need no listener")
    }
}

impl Listening {
    fn away_for(announcements: u32) -> Arc<Self> {
        Arc::new(Self { away_for: Mutex::new(announcements), ..Self::default() })
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|event| event.reason.clone()).collect()
    }
}

fn event(reason: &str) -> OperatorEvent {
    OperatorEvent::of_fleet(OperationKind::FleetFault, moment(), reason)
}

fn target(receiver: &Receiver) -> OperatorTarget {
    let url = TargetUrl::parse(&receiver.url("/operations"), &AddressPolicy::permitting_all()).unwrap();
    OperatorTarget { url, secret: SigningSecret::from_random([5; 32]) }
}

struct Running {
    operations: Operations,
    shutdown: Shutdown,
    tasks: JoinSet<Result<(), BoxError>>,
}

fn run(bus: &Arc<Listening>, target: Option<OperatorTarget>) -> Running {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let bus: Arc<dyn Bus> = Arc::<Listening>::clone(bus);
    let (operations, telling) = Operations::new(bus, &clock, target, &opentelemetry::global::meter("test")).unwrap();
    let (shutdown, mut tasks) = (Shutdown::default(), JoinSet::new());
    tasks.spawn(telling.run(shutdown.clone()));
    Running { operations, shutdown, tasks }
}

#[tokio::test]
async fn an_event_is_announced_and_posted_with_a_signature_to_a_url_at_any_address() {
    let (receiver, bus) = (Receiver::start().await, Listening::away_for(0));
    let target = target(&receiver);
    let running = run(&bus, Some(target.clone()));
    let told = event("why");
    running.operations.tell(told.clone());
    let request = receiver.wait_for(1).await.remove(0);
    let header = |name: &str| request.headers[name].to_str().unwrap();
    let signed = Signed {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body: &request.body,
    };
    assert_eq!(target.secret.verify(&signed, SystemClock.now()), Ok(()));
    assert_eq!((signed.id, header("content-type")), (told.id.as_str(), "application/json"));
    assert_eq!(serde_json::from_slice::<OperatorEvent>(&request.body).unwrap(), told);
    until("an announcement", async || (bus.heard() == ["why"]).then_some(())).await;
}

#[tokio::test]
async fn an_event_that_the_url_refuses_is_posted_again_under_its_id() {
    let (receiver, bus) = (Receiver::start().await, Listening::away_for(0));
    receiver.answer_with(vec![Answer::Status(500)]);
    let running = run(&bus, Some(target(&receiver)));
    running.operations.tell(event("first"));
    running.operations.tell(event("second"));
    let requests = receiver.wait_for(3).await;
    let reasons = requests.iter().map(|request| serde_json::from_slice::<OperatorEvent>(&request.body).unwrap().reason);
    assert_eq!(reasons.collect::<Vec<_>>(), ["first", "first", "second"]);
    assert_eq!(requests[0].headers["webhook-id"], requests[1].headers["webhook-id"]);
}

#[tokio::test]
async fn neither_way_waits_for_the_other() {
    let (receiver, bus) = (Receiver::start().await, Listening::away_for(u32::MAX));
    receiver.answer_with(vec![Answer::Status(200), Answer::Hang]);
    let running = run(&bus, Some(target(&receiver)));
    for reason in ["a", "b", "c"] {
        running.operations.tell(event(reason));
    }
    receiver.wait_for(2).await;
    assert!(bus.heard().is_empty());
    *bus.away_for.lock().unwrap() = 0;
    until("all announcements", async || (bus.heard() == ["a", "b", "c"]).then_some(())).await;
}

#[tokio::test]
async fn what_was_told_last_is_still_announced_when_the_process_ends() {
    let bus = Listening::away_for(1);
    let Running { operations, shutdown, mut tasks } = run(&bus, None);
    shutdown.request();
    tokio::task::yield_now().await;
    operations.tell(event("after the request to end"));
    drop(operations);
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(bus.heard(), ["after the request to end"]);
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_stays_away_holds_up_the_end_for_two_seconds() {
    let bus = Listening::away_for(u32::MAX);
    let Running { operations, shutdown, mut tasks } = run(&bus, None);
    operations.tell(event("nobody hears"));
    let began = tokio::time::Instant::now();
    shutdown.request();
    drop(operations);
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 2);
}
