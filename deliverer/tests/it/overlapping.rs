//! One receiver's trouble is no other's.

use dockbell_backends::store::Store as _;
use dockbell_proto::outcome::DeliveryState;
use dockbell_proto::webhook::Format;
use dockbell_testkit::receiver::Answer;
use dockbell_testkit::sample;
use tokio::time::Duration;

use dockbell_deliverer::transport::Deadlines;

use super::harness::{House, Told};

#[tokio::test]
async fn a_receiver_that_hangs_delays_neither_its_batch_nor_other_batches() {
    let house = House::open().await;
    house.webhook(1, Format::Batch, "/hangs").await;
    let works = house.webhook(2, Format::Batch, "/works").await;
    let other = sample::webhook(3, "team/other", Format::Batch, &house.receiver.url("/other"));
    house.embedded.put_webhook(&other).await.unwrap();
    house.receiver.answer_always_at("/hangs", Answer::Hang);
    let running = house.run();
    for number in 0..10 {
        house.publish(&sample::batch(&format!("e{number}"), "team/app", &["1"])).await;
    }
    house.publish(&sample::batch("e", "team/other", &["1"])).await;
    // Of the one that hangs nothing is known, so its first few attempts are all that is made.
    let requests = house.receiver.wait_for(15).await;
    let count = |path: &str| requests.iter().filter(|request| request.path_and_query == path).count();
    assert_eq!((count("/hangs"), count("/works"), count("/other")), (4, 10, 1));
    assert_eq!(house.health(&works).await.consecutive_failures, 0);
    running.kill().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_at_the_deadline_and_then_retried() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_with(vec![Answer::Hang, Answer::SlowBody]);
    let deadlines = Deadlines { connect: Duration::from_secs(30), total: Duration::from_millis(300) };
    // The last answer comes at once, but on a slow machine not always within the deadline.
    let running = house.run_as(Told { deadlines, pauses: vec![Duration::from_millis(50); 20], ..Told::default() });
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.wait_until_idle().await;
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    let outcomes: Vec<_> = record.attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
    assert_eq!((record.state, &outcomes[..2]), (DeliveryState::Delivered, &["timed_out", "timed_out"][..]));
    running.stop().await;
}

#[tokio::test]
async fn attempts_are_made_no_more_at_once_than_told() {
    let house = House::open().await;
    house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Late(Duration::from_millis(100), 200));
    let running = house.run_as(Told { at_once: (2, 128), ..Told::default() });
    house.publish(&sample::batch("e", "team/app", &["1", "2", "3", "4", "5", "6"])).await;
    house.wait_until_idle().await;
    let requests = house.receiver.requests();
    assert_eq!(requests.len(), 6);
    for (earlier, later) in requests.iter().zip(&requests[2..]) {
        assert!(later.at - earlier.at >= Duration::from_millis(100), "three at once");
    }
    running.stop().await;
}
