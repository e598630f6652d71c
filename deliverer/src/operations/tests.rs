use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_proto::clock::SystemClock;
use dockbell_proto::operations::OperationKind;
use dockbell_proto::signature::Signed;
use dockbell_testkit::listening::Listening;
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::sample::moment;
use dockbell_testkit::wait::until;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::transport::names::Names;
use dockbell_chassis::crypto::Roots;

/// A bus that refuses some announcements, and the folder it is in.
fn listening(refused: u32) -> (Arc<Listening>, TempDir) {
    let folder = TempDir::new().unwrap();
    let embedded = Embedded::open(folder.path(), Arc::new(SystemClock), EmbeddedLimits::default()).unwrap();
    let bus = Listening::new(Arc::new(embedded));
    bus.refuse(refused);
    (Arc::new(bus), folder)
}

fn heard(bus: &Listening) -> Vec<String> {
    bus.heard().into_iter().map(|event| event.reason).collect()
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
    let outside = Outside { names: Arc::new(Names::new(Vec::new())), roots: Roots::default(), proxy: None };
    let (operations, telling) =
        Operations::new(bus, &clock, (target, &outside), &opentelemetry::global::meter("test")).unwrap();
    let (shutdown, mut tasks) = (Shutdown::default(), JoinSet::new());
    tasks.spawn(telling.run(shutdown.clone()));
    Running { operations, shutdown, tasks }
}

#[tokio::test]
async fn an_event_is_announced_and_posted_with_a_signature_to_a_url_at_any_address() {
    let (receiver, (bus, _folder)) = (Receiver::start().await, listening(0));
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
    until("an announcement", async || (heard(&bus) == ["why"]).then_some(())).await;
}

#[tokio::test]
async fn an_event_that_the_url_refuses_is_posted_again_under_its_id() {
    let (receiver, (bus, _folder)) = (Receiver::start().await, listening(0));
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
    let (receiver, (bus, _folder)) = (Receiver::start().await, listening(u32::MAX));
    receiver.answer_with(vec![Answer::Status(200), Answer::Hang]);
    let running = run(&bus, Some(target(&receiver)));
    for reason in ["a", "b", "c"] {
        running.operations.tell(event(reason));
    }
    receiver.wait_for(2).await;
    assert!(heard(&bus).is_empty());
    bus.refuse(0);
    until("all announcements", async || (heard(&bus) == ["a", "b", "c"]).then_some(())).await;
}

#[tokio::test]
async fn what_was_told_last_is_still_announced_when_the_process_ends() {
    let (bus, _folder) = listening(1);
    let Running { operations, shutdown, mut tasks } = run(&bus, None);
    shutdown.request();
    tokio::task::yield_now().await;
    operations.tell(event("after the request to end"));
    drop(operations);
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(heard(&bus), ["after the request to end"]);
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_stays_away_holds_up_the_end_for_two_seconds() {
    let (bus, _folder) = listening(u32::MAX);
    let Running { operations, shutdown, mut tasks } = run(&bus, None);
    operations.tell(event("nobody hears"));
    let began = tokio::time::Instant::now();
    shutdown.request();
    drop(operations);
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 2);
}
