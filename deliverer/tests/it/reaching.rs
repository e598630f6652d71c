//! When almost nobody can be reached, it is our own network.

use std::net::TcpListener;

use dockbell_backends::store::Store as _;
use dockbell_proto::webhook::Format;
use dockbell_testkit::sample;
use tokio::time::{Duration, Instant};

use super::harness::{House, Told};
use super::street::SCHEDULE;

/// Half as many again as it takes.
const HOSTS: u8 = 30;
/// How many of them may fail before it is found.
const CHARGED: usize = 19;
/// How long nothing is attempted then.
const PAUSE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn when_nobody_can_be_reached_hardly_anybody_is_charged_and_nothing_is_attempted_for_a_while() {
    let house = House::open().await;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut webhooks = Vec::new();
    for number in 1..=HOSTS {
        let url = format!("http://127.0.0.{}:{closed}/", number + 1);
        let webhook = sample::webhook(number, "team/app", Format::Dockerhub, &url);
        house.embedded.put_webhook(&webhook).await.unwrap();
        webhooks.push(webhook);
    }
    let reached = sample::webhook(255, "team/other", Format::Dockerhub, &house.receiver.url("/"));
    house.embedded.put_webhook(&reached).await.unwrap();
    let running = house.run_as(Told { pauses: SCHEDULE.to_vec(), ..Told::default() });
    let batch = sample::batch("e", "team/app", &["1"]);
    let began = Instant::now();
    house.publish(&batch).await;
    house.wait_until_nothing_is_due().await;
    let (mut charged, mut hindered) = (0, 0);
    for webhook in &webhooks {
        let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
        charged += usize::from(house.health(webhook).await.consecutive_failures > 0);
        hindered += usize::from(record.attempts[0].outcome.as_str() == "hindered");
    }
    assert_eq!((charged, hindered), (CHARGED, usize::from(HOSTS) - CHARGED));

    // One that can be reached shows that the fault is over, once anything is attempted again.
    let attempted = async |tag: &str, number: usize| {
        house.publish(&sample::batch("e", "team/other", &[tag])).await;
        house.receiver.wait_for(number).await[number - 1].at
    };
    let first = attempted("1", 1).await;
    assert!(first - began >= PAUSE, "{:?}", first - began);
    let asked = Instant::now();
    let second = attempted("2", 2).await;
    assert!(second - asked < PAUSE / 2, "{:?}", second - asked);
    running.stop().await;
}
