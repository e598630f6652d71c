//! The main job, with a real registry: a push rings each webhook once, however many notifications it makes.

use std::collections::BTreeMap;

use dockbell_testkit::receiver::{Answer, Receiver, Recorded};
use dockbell_testkit::registry::{Registry, Reporting};
use dockbell_testkit::wait;

use crate::calls::Made;
use crate::payload::{assert_signed, delivery_id, header, json, tag};
use crate::process::{Dockbell, Home};

const FORMATS: [&str; 3] = ["dockerhub", "alin", "batch"];
const REPOSITORY: &str = "team/app";

/// A registry that reports to Dockbell, and a receiver with a webhook in each format.
struct Lab {
    registry: Registry,
    dockbell: Dockbell,
    receiver: Receiver,
    made: BTreeMap<&'static str, Made>,
    _home: Home,
}

impl Lab {
    /// `quiet` is long where a slow machine must not take longer between two notifications.
    async fn set_up(quiet: &str) -> Self {
        assert!(
            Registry::is_installed(),
            "this test needs a real registry: install it with `scripts/install-test-packages docker-registry skopeo`"
        );
        let home = Home::new().with("DOCKBELL_WINDOW_QUIET", quiet).with("DOCKBELL_WINDOW_MAX_WAIT", "20s");
        let (dockbell, receiver) = (home.up().await, Receiver::start().await);
        let mut made = BTreeMap::new();
        for format in FORMATS {
            let url = receiver.url(&format!("/{format}"));
            made.insert(format, dockbell.caller.add_webhook(("team/*", format, &url)).await);
        }
        let url = format!("{}/ingest/registry", dockbell.caller.intake);
        let token = dockbell.caller.ingest_token.clone();
        let registry = Registry::start(&Reporting { url, token, include_references: true }).await;
        Self { registry, dockbell, receiver, made, _home: home }
    }

    /// What the receiver got about `tag`, by format, once all formats are here.
    async fn received(&self, tag_pushed: &str) -> BTreeMap<String, Vec<Recorded>> {
        let arrived = async || {
            let mut found: BTreeMap<String, Vec<Recorded>> = BTreeMap::new();
            for request in self.receiver.requests().into_iter().filter(|request| tag(request) == tag_pushed) {
                let format = request.path_and_query.trim_start_matches('/').to_owned();
                found.entry(format).or_default().push(request);
            }
            (found.len() == FORMATS.len()).then_some(found)
        };
        wait::until(&format!("a webhook about {tag_pushed} in each format"), arrived).await
    }

    /// How many notifications were answered, and how many of them were pushes of manifests.
    async fn notifications(&self) -> (f64, f64) {
        let caller = &self.dockbell.caller;
        let answered = caller.metric("dockbell_intake_duration_seconds_count", &["status=\"202\""]).await;
        (answered, caller.metric("dockbell_events_total", &["result=\"accepted\""]).await)
    }

    /// The one webhook of each format about `tag`, which must be well-formed and signed.
    fn check(&self, tag_pushed: &str, mut received: BTreeMap<String, Vec<Recorded>>) -> BTreeMap<String, Recorded> {
        let mut one = |format: &str| {
            let mut requests = received.remove(format).unwrap();
            assert_eq!(requests.len(), 1, "{format} about {tag_pushed} came once");
            assert_signed(&requests[0], &self.made[format]);
            (format.to_owned(), requests.remove(0))
        };
        let one: BTreeMap<String, Recorded> = FORMATS.iter().map(|format| one(format)).collect();
        let (dockerhub, alin) = (json(&one["dockerhub"]), json(&one["alin"]));
        assert_eq!(dockerhub["push_data"]["tag"], tag_pushed);
        assert_eq!(dockerhub["repository"]["repo_name"], REPOSITORY);
        assert_eq!(header(&one["alin"], "x-alin-webhook"), format!("{REPOSITORY}:{tag_pushed}"));
        assert_eq!(alin["image"], format!("{}/{REPOSITORY}:{tag_pushed}", self.registry.addr()));
        one
    }
}

#[tokio::test]
async fn a_push_to_a_real_registry_rings_each_webhook_once() {
    let lab = Lab::set_up("1s").await;

    let digest = lab.registry.push_single(REPOSITORY, "1.0").await;
    let single = lab.received("1.0").await;
    let (answered, accepted) = lab.notifications().await;
    assert!(answered > 1.0 && accepted <= 1.0, "one push is {answered} notifications, {accepted} of pushed manifests");

    let index = lab.registry.push_multi_arch(REPOSITORY, "2.0").await;
    let multi = lab.received("2.0").await;
    let (answered_later, accepted_later) = lab.notifications().await;
    let (answered, accepted) = (answered_later - answered, accepted_later - accepted);
    assert!(answered > 3.0 && accepted <= 3.0, "one push is {answered} notifications, {accepted} of pushed manifests");
    assert!(multi.values().all(|requests| requests.len() == 1), "one webhook per format");

    // What is told about a later push comes after everything that earlier ones could still cause.
    lab.registry.push_single(REPOSITORY, "sentinel").await;
    lab.received("sentinel").await;
    assert!(single.values().all(|requests| requests.len() == 1), "one webhook per format");
    let single = lab.check("1.0", lab.received("1.0").await);
    let multi = lab.check("2.0", lab.received("2.0").await);

    assert_eq!(json(&single["batch"])["changes"][0]["digest"], digest);
    let change = &json(&multi["batch"])["changes"][0];
    assert_eq!(change["digest"], index, "the digest is that of the index");
    let platforms: Vec<_> = change["children"].as_array().unwrap().iter().map(|child| &child["platform"]).collect();
    assert_eq!(platforms.len(), 2, "{platforms:?}");
}

#[tokio::test]
async fn pushes_in_quick_succession_ring_once_with_the_newest() {
    let lab = Lab::set_up("3s").await;
    let first = lab.registry.push_multi_arch(REPOSITORY, "latest").await;
    let second = lab.registry.push_single(REPOSITORY, "latest").await;
    lab.registry.push_single(REPOSITORY, "1.0").await;
    lab.registry.push_single("team/other", "sentinel").await;
    lab.received("sentinel").await;
    let latest = lab.received("latest").await;
    let counts = latest.iter().map(|(format, requests)| (format.as_str(), requests.len()));
    assert_eq!(counts.collect::<Vec<_>>(), [("alin", 1), ("batch", 1), ("dockerhub", 1)]);
    let batch = json(&latest["batch"][0]);
    let [latest, other] = batch["changes"].as_array().unwrap().as_slice() else { panic!("two changes: {batch}") };
    assert_eq!((&latest["tag"], &other["tag"]), (&"latest".into(), &"1.0".into()));
    assert_eq!(
        (latest["digest"].as_str(), latest["superseded"][0]["digest"].as_str()),
        (Some(&*second), Some(&*first))
    );
}

#[tokio::test]
async fn a_webhook_that_is_refused_comes_again_under_the_same_id() {
    let lab = Lab::set_up("1s").await;
    lab.receiver.answer_at("/batch", vec![Answer::Status(500), Answer::Close]);
    lab.registry.push_multi_arch(REPOSITORY, "1.0").await;
    let third = async || lab.received("1.0").await.remove("batch").filter(|requests| requests.len() == 3);
    let attempts = wait::until("a third attempt", third).await;
    for attempt in &attempts {
        assert_eq!((delivery_id(attempt), &attempt.body), (delivery_id(&attempts[0]), &attempts[0].body));
        assert_signed(attempt, &lab.made["batch"]);
    }
    let path = format!("deliveries/{}", delivery_id(&attempts[0]));
    let delivered = async || Some(lab.dockbell.caller.read(&path).await).filter(|shown| shown["state"] == "delivered");
    let shown = wait::until("the delivery to be recorded", delivered).await;
    let outcomes: Vec<_> = shown["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(outcomes, ["refused", "unreachable", "accepted"]);
    assert!(!lab.dockbell.log().contains("panicked"), "{}", lab.dockbell.log());
}
