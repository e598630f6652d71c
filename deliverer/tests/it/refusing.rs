//! Receivers that refuse: with redirections, for a while, for good, now and then, or many at once.

use std::time::Duration;

use dockbell_backends::store::Store as _;
use dockbell_proto::health::Standing;
use dockbell_proto::outcome::{DeliveryState, Outcome};
use dockbell_proto::policy::{Policy, Suspension};
use dockbell_proto::webhook::{Format, Webhook};
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::{sample, wait};

use super::harness::{House, Told};
use super::street::{Ended, SCHEDULE, attempt_each};

/// The first attempts at a receiver that gives these answers, each at a path of its own.
async fn attempt_answers(house: &House, answers: Vec<Answer>) -> Vec<Ended> {
    let mut urls = Vec::new();
    for (number, answer) in answers.into_iter().enumerate() {
        let path = format!("/{number}");
        house.receiver.answer_always_at(&path, answer);
        urls.push(house.receiver.url(&path));
    }
    attempt_each(house, Told::default(), &urls).await
}

#[tokio::test]
async fn no_kind_of_redirection_is_followed_wherever_it_leads() {
    let (house, inside) = (House::open().await, Receiver::start().await);
    let places = [
        inside.url("/inside"),
        house.receiver.url("/elsewhere"),
        format!("//{}/inside", inside.addr()),
        "/elsewhere".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
        "x".repeat(8192),
    ];
    let mut answers = Vec::new();
    for status in [301, 302, 303, 307, 308] {
        answers.extend(places.iter().map(|place| Answer::StatusWithHeaders(status, vec![("location", place.clone())])));
    }
    answers.push(Answer::StatusWithHeaders(401, vec![("www-authenticate", "Basic".to_owned())]));
    answers.push(Answer::StatusWithHeaders(407, vec![("proxy-authenticate", "Basic".to_owned())]));
    let refresh = Answer::StatusWithHeaders(404, vec![("refresh", format!("0; url={}", inside.url("/inside")))]);
    answers.push(refresh);
    let count = answers.len();
    for (number, ended) in attempt_answers(&house, answers).await.iter().enumerate() {
        let is_refused = matches!(ended.outcome, Outcome::Refused { status: 300..500, retry_after: None });
        assert!(is_refused && ended.failures == 1, "{number}: {ended:?}");
    }
    assert_eq!(inside.requests().len(), 0);
    let mut paths: Vec<String> = house.receiver.requests().into_iter().map(|request| request.path_and_query).collect();
    paths.sort();
    paths.dedup();
    assert_eq!((paths.len(), house.receiver.requests().len()), (count + 1, count + 1), "{paths:?}");
}

#[tokio::test]
async fn what_a_receiver_asks_for_is_granted_between_the_step_and_the_longest_step() {
    let [step, longest] = SCHEDULE;
    let house = House::open().await;
    let asked = Duration::from_mins(20);
    // The date is read when the answer comes, so it stands for a little less than this.
    let soon = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&(house.clock.now() + asked + Duration::from_mins(1)))
        .unwrap();
    let rows = [
        (429, "1200", asked),
        (503, "1200", asked),
        (503, soon.as_str(), asked),
        (500, "1200", step),
        (429, "0", step),
        (429, "-1", step),
        (503, "1000000000000", longest),
        (503, "99999999999999999999999999", longest),
        (429, "Thu, 31 Dec 9998 00:00:00 GMT", longest),
        (429, "Thu, 01 Jan 1970 00:00:00 GMT", step),
        (503, "soon", step),
        (503, "1.5", step),
        (503, "", step),
    ];
    let answer = |(status, text, _): &(u16, &str, _)| {
        Answer::StatusWithHeaders(*status, vec![("retry-after", (*text).to_owned())])
    };
    let ended = attempt_answers(&house, rows.iter().map(answer).collect()).await;
    for (ended, (status, text, expected)) in ended.iter().zip(rows) {
        assert_eq!((ended.outcome.status(), ended.failures), (Some(status), 1), "{text}: {ended:?}");
        // Jitter adds a fifth at most; a little more is for the date and the attempt itself.
        let next_in = ended.next_in.unwrap();
        assert!(next_in >= expected && next_in <= expected.mul_f64(1.2) + Duration::from_secs(90), "{text}: {ended:?}");
    }
}

#[tokio::test]
async fn what_is_gone_at_a_url_with_a_placeholder_ends_its_delivery_alone() {
    let house = House::open().await;
    house.receiver.answer_always_at("/gone/team%2Fapp", Answer::Status(410));
    let long = format!("/{}{{repository}}", "a".repeat(2040 - house.receiver.url("/").len()));
    let urls = [house.receiver.url("/gone/{repository}"), house.receiver.url(&long)];
    let ended = attempt_each(&house, Told::default(), &urls).await;
    assert_eq!(ended[0].outcome, Outcome::Refused { status: 410, retry_after: None });
    let Outcome::Blocked { reason } = &ended[1].outcome else { panic!("{:?}", ended[1]) };
    assert!(reason.contains("placeholders filled in") && reason.contains("longer than"), "{reason}");
    assert!(house.receiver.requests().iter().any(|request| request.path_and_query == "/gone/team%2Fapp"));
    for number in [1, 2] {
        let id = sample::webhook(number, "team/app", Format::Dockerhub, "http://127.0.0.1/").id;
        let webhook = house.embedded.webhook(&id).await.unwrap().unwrap();
        assert!(webhook.enabled, "{webhook:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_disables_its_webhook_and_none_beside_it() {
    let house = House::open().await;
    let (gone, refusing) = (Answer::Status(410), Answer::Status(404));
    let ended = attempt_answers(&house, vec![gone, refusing]).await;
    assert_eq!(ended[0].outcome, Outcome::Refused { status: 410, retry_after: None });
    let mut reasons = Vec::new();
    for number in [1, 2, 255] {
        let id = sample::webhook(number, "team/app", Format::Dockerhub, "http://127.0.0.1/").id;
        let webhook: Webhook = house.embedded.webhook(&id).await.unwrap().unwrap();
        assert_eq!(webhook.enabled, number != 1, "{webhook:?}");
        reasons.extend(webhook.disabled_reason);
    }
    assert!(matches!(&reasons[..], [reason] if reason.contains("410")), "{reasons:?}");
}

#[tokio::test]
async fn a_receiver_that_fails_every_other_time_is_never_suspended_or_disabled() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let told = Told::default();
    let suspension = Suspension { failures: 2, deliveries: 1, span: Duration::ZERO, ..told.policy.suspension };
    let pauses = vec![Duration::from_millis(20); 5];
    let running = house.run_as(Told { pauses, policy: Policy { suspension, ..told.policy }, ..told });
    for number in 0..40 {
        house.receiver.answer_with(vec![Answer::Status(500), Answer::Status(200)]);
        house.publish(&sample::batch("e", "team/app", &[&format!("t{number}")])).await;
        house.wait_until_idle().await;
    }
    assert_eq!(house.embedded.changes_of(&webhook.id).await.unwrap(), []);
    assert_eq!(house.health(&webhook).await.consecutive_failures, 0);
    assert_eq!(house.receiver.requests().len(), 80);
    // The same webhook, if it fails twice in a row, shows that it would have been.
    house.receiver.answer_always(Answer::Status(500));
    house.publish(&sample::batch("f", "team/app", &["1"])).await;
    let suspended = async || (house.health(&webhook).await.standing != Standing::Healthy).then_some(());
    wait::until("the webhook to be suspended", suspended).await;
    running.kill().await;
}

#[tokio::test]
async fn fifty_failures_within_a_moment_are_one_event_and_suspend_nothing() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    let late = Answer::Late(Duration::from_millis(50), 500);
    house.receiver.answer_with(vec![late; 50]);
    let pauses = vec![Duration::from_millis(50); 20];
    let span = Policy::default().suspension.span;
    let running = house.run_as(Told { pauses, ..Told::default() });
    let tags: Vec<String> = (0..50).map(|number| format!("t{number}")).collect();
    let batches: Vec<_> = tags.iter().map(|tag| sample::batch("e", "team/app", &[tag])).collect();
    for batch in &batches {
        house.publish(batch).await;
    }
    house.wait_until_idle().await;
    let requests = house.receiver.requests();
    let failing = requests[49].at - requests[0].at;
    assert!(failing < span, "the failures took {failing:?}, which is no moment: this run shows nothing");
    assert_eq!(house.embedded.changes_of(&webhook.id).await.unwrap(), []);
    for batch in &batches {
        let record = house.history(&sample::delivery(&webhook.id, batch).id).await;
        assert_eq!(record.state, DeliveryState::Delivered, "{record:?}");
    }
    running.stop().await;
}
