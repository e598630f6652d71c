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
pub(crate) const UNDELAYED: Duration = Duration::from_secs(2);

/// Longer than any test takes, so that one attempt is made.
pub(crate) const SCHEDULE: [Duration; 2] = [Duration::from_mins(10), Duration::from_hours(1)];

/// How the first attempt of one endpoint ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
    /// How long after its beginning the next attempt is due.
    pub(crate) next_in: Option<Duration>,
    pub(crate) excerpt: Option<String>,
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
    let running = house.run_as(Told { pauses: SCHEDULE.to_vec(), ..told });
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    house.wait_until_nothing_is_due().await;
    let mut ended = Vec::new();
    for webhook in webhooks.iter().chain([&healthy]) {
        let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
        let next_in = record.next_at.map(|next| Duration::try_from(next.duration_since(record.last_at)).unwrap());
        let AttemptEntry { outcome, took, excerpt, .. } = record.attempts.into_iter().next().unwrap();
        let failures = house.health(webhook).await.consecutive_failures;
        ended.push(Ended { outcome, took, next_in, excerpt, failures });
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
