//! Endpoints side by side: whatever the others do, the healthy one gets what it is owed.

use std::time::Duration;

use dockbell_backends::store::{AttemptEntry, Store as _};
use dockbell_proto::outcome::Outcome;
use dockbell_proto::webhook::{Format, Webhook};
use dockbell_testkit::sample;

use super::harness::{House, Told};

/// The number of the healthy webhook.
const HEALTHY: u8 = 255;
/// How long a healthy endpoint may take while others hang. It takes milliseconds where nothing else runs.
const UNDELAYED: Duration = Duration::from_secs(2);

/// How the first attempt of one endpoint ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
    /// The failures that its webhook is charged with.
    pub(crate) failures: u32,
}

impl Ended {
    /// The word for the outcome, and whether the receiver was charged with it.
    pub(crate) fn words(&self) -> (&'static str, bool) {
        (self.outcome.as_str(), self.failures > 0)
    }
}

/// Makes one attempt to each URL, all at once, with a healthy endpoint beside them that must not notice.
///
/// When this returns, the batch is settled: none of the attempts holds anything any more.
pub(crate) async fn attempt_each(house: &House, told: Told, urls: &[String]) -> Vec<Ended> {
    let mut webhooks = Vec::new();
    for (url, number) in urls.iter().zip(1..HEALTHY) {
        webhooks.push(set(house, number, url).await);
    }
    let healthy = set(house, HEALTHY, &house.receiver.url("/healthy")).await;
    let running = house.run_as(Told { pauses: vec![Duration::from_hours(1)], ..told });
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.wait_until_nothing_is_due().await;
    let mut ended = Vec::new();
    for webhook in webhooks.iter().chain([&healthy]) {
        let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
        let AttemptEntry { outcome, took, .. } = record.attempts.into_iter().next().unwrap();
        let failures = house.health(webhook).await.consecutive_failures;
        ended.push(Ended { outcome, took, failures });
    }
    let healthy = ended.pop().unwrap();
    assert_eq!(healthy.outcome, Outcome::Accepted { status: 200 });
    assert!(healthy.took < UNDELAYED, "the healthy endpoint took {:?}", healthy.took);
    running.stop().await;
    ended
}

async fn set(house: &House, number: u8, url: &str) -> Webhook {
    let webhook = sample::webhook(number, "team/app", Format::Dockerhub, url);
    house.embedded.put_webhook(&webhook).await.unwrap();
    webhook
}
