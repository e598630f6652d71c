//! Receivers that keep failing, and heal.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dockbell_backends::bus::{Bus as _, Queue};
use dockbell_backends::store::{HistoryQuery, PageRequest, Store as _};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::{Standing, StandingWord};
use dockbell_proto::outcome::{DeliveryState, Outcome, Verdict};
use dockbell_proto::policy::{Custody, Policy, Suspension};
use dockbell_proto::webhook::{Format, Webhook, WebhookPatch};
use dockbell_testkit::clock::ManualClock;
use dockbell_testkit::receiver::Answer;
use dockbell_testkit::sample::{self, moment};
use dockbell_testkit::wait;
use tokio::time::Duration;

use super::harness::{House, Told};
use super::watched::Watched;

/// Suspended after three failures, for a moment.
fn short() -> Told {
    let suspension = Suspension {
        failures: 3,
        deliveries: 2,
        span: Duration::ZERO,
        cooldown: Duration::from_millis(300),
        longest_cooldown: Duration::from_secs(2),
        trickle: 2,
    };
    let told = Told::default();
    let policy = Policy { suspension, ..told.policy };
    Told { pauses: vec![Duration::from_millis(50); 20], policy, ..told }
}

/// Suspended after three failures, for longer than any test takes.
fn long() -> Told {
    let told = short();
    let cooldown = Duration::from_hours(1);
    let suspension = Suspension { cooldown, longest_cooldown: cooldown, ..told.policy.suspension };
    Told { policy: Policy { suspension, ..told.policy }, ..told }
}

async fn words(house: &House, webhook: &Webhook) -> Vec<StandingWord> {
    let changes = house.embedded.changes_of(&webhook.id).await.unwrap();
    changes.into_iter().rev().map(|change| change.standing).collect()
}

async fn suspended(house: &House, webhook: &Webhook) {
    let is_suspended = async || (house.health(webhook).await.standing.as_str() == "suspended").then_some(());
    wait::until("the webhook to be suspended", is_suspended).await;
}

/// Pushes as many tags as it takes to have the webhook suspended, whose receiver fails.
async fn fail_until_suspended(house: &House, webhook: &Webhook) {
    for tag in ["a", "b", "c"] {
        house.publish(&sample::batch("e", "team/app", &[tag])).await;
    }
    suspended(house, webhook).await;
}

async fn in_state(house: &House, webhook: &Webhook, state: DeliveryState) -> usize {
    let page = PageRequest { after: None, limit: 50 };
    let query = HistoryQuery { webhook: Some(webhook.id.clone()), state: Some(state), page };
    house.embedded.history(&query).await.unwrap().items.len()
}

#[tokio::test]
async fn a_failing_webhook_is_suspended_and_gets_all_it_is_owed_when_it_heals() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Status(500));
    let running = house.run_as(short());
    for number in 0..20 {
        house.publish(&sample::batch("e", "team/app", &[&format!("t{number}")])).await;
    }
    suspended(&house, &webhook).await;
    house.receiver.answer_always(Answer::Status(200));
    house.wait_until_idle().await;
    assert_eq!(in_state(&house, &webhook, DeliveryState::Delivered).await, 20);
    let words = words(&house, &webhook).await;
    assert_eq!(words.first(), Some(&StandingWord::Suspended), "{words:?}");
    assert_eq!(words[words.len() - 2..], [StandingWord::Recovering, StandingWord::Healthy], "{words:?}");
    let health = house.health(&webhook).await;
    assert_eq!((health.waiting, health.consecutive_failures), (0, 0));
    running.stop().await;
}

#[tokio::test]
async fn nothing_is_attempted_while_a_webhook_is_suspended_and_what_waits_says_why() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Status(500));
    let running = house.run_as(long());
    fail_until_suspended(&house, &webhook).await;
    let news = sample::batch("f", "team/app", &["d"]);
    house.publish(&news).await;
    let id = sample::delivery(&webhook.id, &news).id;
    let parked = async || house.embedded.delivery(&id).await.unwrap();
    let parked = wait::until("the news to be parked", parked).await;
    assert_eq!((parked.state, parked.attempts.len()), (DeliveryState::Parked, 0));
    assert!(parked.parked_because.unwrap().starts_with("the webhook is suspended until "));
    assert!(house.receiver.requests().iter().all(|request| !String::from_utf8_lossy(&request.body).contains("\"d\"")));
    running.stop().await;
}

#[tokio::test]
async fn of_what_waits_for_a_suspended_webhook_only_the_newest_of_a_tag_stays_owed() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Status(500));
    let running = house.run_as(short());
    fail_until_suspended(&house, &webhook).await;
    for number in 0..5 {
        let mut news = sample::batch(&format!("n{number}"), "team/app", &["latest"]);
        let at = moment() + Duration::from_secs(number);
        let order = format!("{:020}-n{number}", at.as_microsecond());
        news.changes[0].order = order.try_into().unwrap();
        house.publish(&news).await;
    }
    let parked = async || (house.health(&webhook).await.waiting >= 4).then_some(());
    wait::until("the news to wait", parked).await;
    house.receiver.answer_always(Answer::Status(200));
    house.wait_until_idle().await;
    let accepted = in_state(&house, &webhook, DeliveryState::Delivered).await;
    let superseded = in_state(&house, &webhook, DeliveryState::Superseded).await;
    assert_eq!(accepted + superseded, 8);
    assert!(superseded >= 1, "{accepted} delivered");
    let last = house.receiver.requests().pop().unwrap();
    assert!(!last.body.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_disables_its_webhook_and_what_follows_is_skipped() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Status(410));
    let running = house.run_as(short());
    house.publish(&sample::batch("e", "team/app", &["a"])).await;
    let disabled = async || house.embedded.webhook(&webhook.id).await.unwrap().filter(|webhook| !webhook.enabled);
    let disabled = wait::until("the webhook to be disabled", disabled).await;
    assert!(disabled.disabled_reason.unwrap().contains("410"));
    let told = async || words(&house, &webhook).await.pop();
    assert_eq!(wait::until("the change to be kept", told).await, StandingWord::Disabled);
    let news = sample::batch("f", "team/app", &["b"]);
    house.publish(&news).await;
    house.wait_until_idle().await;
    let record = house.history(&sample::delivery(&webhook.id, &news).id).await;
    assert_eq!((record.state, house.health(&webhook).await.skipped), (DeliveryState::Skipped, 1));
    assert!(matches!(&record.attempts[0].verdict, Verdict::Skipped { reason } if reason.contains("410")));
    assert_eq!(house.receiver.requests().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_is_disabled_meanwhile_is_skipped() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Status(500));
    let running = house.run_as(Told { pauses: vec![Duration::from_millis(500); 3], ..short() });
    house.publish(&sample::batch("e", "team/app", &["a"])).await;
    house.receiver.wait_for(1).await;
    let patch = WebhookPatch { enabled: Some(false), ..WebhookPatch::default() };
    house.embedded.patch_webhook(&webhook.id, &patch, house.clock.now()).await.unwrap();
    house.wait_until_idle().await;
    assert_eq!(in_state(&house, &webhook, DeliveryState::Skipped).await, 1);
    assert_eq!(house.receiver.requests().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn more_than_may_wait_for_a_webhook_expires_and_says_so() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Status(500));
    let told = long();
    let custody = Custody { waiting: 5, ..told.policy.custody };
    let running = house.run_as(Told { policy: Policy { custody, ..told.policy.clone() }, ..told });
    fail_until_suspended(&house, &webhook).await;
    for number in 0..7 {
        house.publish(&sample::batch("f", "team/app", &[&format!("t{number}")])).await;
    }
    let over = async || (in_state(&house, &webhook, DeliveryState::Expired).await == 5).then_some(());
    wait::until("what is too much to expire", over).await;
    assert_eq!(house.health(&webhook).await.waiting, 5);
    running.stop().await;
}

#[tokio::test]
async fn a_webhook_that_hangs_holds_up_neither_the_others_nor_the_fresh_budget() {
    let house = House::open().await;
    house.webhook(1, Format::Dockerhub, "/hangs").await;
    let healthy = house.webhook(2, Format::Dockerhub, "/works").await;
    house.receiver.answer_always_at("/hangs", Answer::Hang);
    // Fewer messages are taken at once than the hanging one is owed.
    let running = house.run_as(Told { at_once: (64, 64), ..long() });
    for number in 0..300 {
        house.publish(&sample::batch("e", "team/app", &[&format!("t{number}")])).await;
    }
    let works = || house.receiver.requests().iter().filter(|request| request.path_and_query == "/works").count();
    let served = async || (works() == 300).then_some(());
    wait::until("the healthy webhook to be served", served).await;
    // What was answered is recorded a moment later.
    let recorded = async || (in_state(&house, &healthy, DeliveryState::Delivered).await == 50).then_some(());
    wait::until("all that is shown to be delivered", recorded).await;
    running.kill().await;
}

#[tokio::test]
async fn while_the_store_is_away_known_webhooks_are_served_and_recorded_later() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Batch, "/").await;
    let store = Watched::new(&house.embedded);
    let running = house.run_on(Arc::<Watched>::clone(&store), short());
    house.publish(&sample::batch("e", "team/app", &["a"])).await;
    house.receiver.wait_for(1).await;
    house.wait_until_idle().await;
    store.go_away();
    for number in 0..10 {
        house.publish(&sample::batch(&format!("f{number}"), "team/app", &["a"])).await;
    }
    house.receiver.wait_for(11).await;
    house.wait_until_idle().await;
    assert_eq!(in_state(&house, &webhook, DeliveryState::Delivered).await, 1);
    store.come_back();
    let recorded = async || (in_state(&house, &webhook, DeliveryState::Delivered).await == 11).then_some(());
    wait::until("all attempts to be recorded", recorded).await;
    running.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_disabled_once_although_the_answer_to_its_record_was_lost() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Batch, "/").await;
    house.receiver.answer_always(Answer::Status(410));
    let store = Watched::new(&house.embedded);
    store.loses_an_answer.store(true, Ordering::SeqCst);
    let running = house.run_on(Arc::<Watched>::clone(&store), short());
    house.publish(&sample::batch("e", "team/app", &["a"])).await;
    let disabled = async || {
        let found = house.embedded.webhook(&webhook.id).await.unwrap().unwrap();
        (!found.enabled && !house.embedded.changes_of(&webhook.id).await.unwrap().is_empty()).then_some(())
    };
    wait::until("the webhook to be disabled", disabled).await;
    running.stop().await;
    assert!(!store.loses_an_answer.load(Ordering::SeqCst));
    assert_eq!(house.embedded.changes_of(&webhook.id).await.unwrap().len(), 1);
    assert_eq!(house.health(&webhook).await.consecutive_failures, 1);
}

#[tokio::test]
async fn while_the_store_is_away_a_repository_that_was_never_looked_up_waits() {
    let house = House::open().await;
    house.webhook(1, Format::Batch, "/").await;
    let store = Watched::new(&house.embedded);
    store.go_away();
    let running = house.run_on(Arc::<Watched>::clone(&store), short());
    house.publish(&sample::batch("e", "team/app", &["a"])).await;
    store.asked_while_away(3).await;
    assert_eq!(house.embedded.depth(Queue::Deliveries).await.unwrap().messages, 1);
    assert!(house.receiver.requests().is_empty());
    store.come_back();
    house.receiver.wait_for(1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_deliverer_that_stops_ends_what_it_began_and_begins_nothing_more() {
    let mut house = House::open().await;
    house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Late(Duration::from_millis(400), 200));
    let running = house.run();
    for number in 0..60 {
        house.publish(&sample::batch("e", "team/app", &[&format!("t{number}")])).await;
    }
    house.receiver.wait_for(1).await;
    running.stop().await;
    let begun = house.receiver.requests().len();
    assert!(begun < 60, "{begun}");
    house.reopen().await;
    let running = house.run();
    house.wait_until_idle().await;
    let mut ids: Vec<_> =
        house.receiver.requests().iter().map(|request| request.headers["webhook-id"].clone()).collect();
    ids.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    ids.dedup();
    assert_eq!((ids.len(), house.receiver.requests().len()), (60, 60), "each came, and each once");
    running.stop().await;
}

/// Steps of half an hour, each with a restart: the embedded bus counts its delays by the clock at its start.
#[tokio::test]
async fn an_endpoint_that_is_down_for_three_days_gets_what_it_is_owed_and_its_history_explains_itself() {
    let clock = Arc::new(ManualClock::new(moment()));
    let mut house = House::open_at(Arc::<ManualClock>::clone(&clock)).await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Status(503));
    let told = Told { pauses: Policy::default().schedule.pauses().to_vec(), ..Told::default() };
    let step = Duration::from_mins(30);
    let (days, mut pushes) = (3 * 48, 0_u64);
    // What failed late waits for another day after the endpoint is back.
    for half_hour in 0..days + 80 {
        if half_hour == days {
            house.receiver.answer_always(Answer::Status(200));
        }
        let running = house.run_as(told.clone());
        if half_hour < 12 {
            for tag in ["latest", "stable"] {
                pushes += 1;
                let mut news = sample::batch(&format!("p{pushes}"), "team/app", &[tag]);
                let order =
                    format!("{:020}-p{pushes}", house.clock.now().as_microsecond() + i64::try_from(pushes).unwrap());
                news.changes[0].order = order.try_into().unwrap();
                (news.opened_at, news.closed_at) = (house.clock.now(), house.clock.now());
                house.publish(&news).await;
            }
        }
        house.wait_until_nothing_is_due().await;
        running.stop().await;
        if half_hour > days && house.health(&webhook).await.waiting == 0 {
            break;
        }
        clock.advance(step);
        house.reopen().await;
    }
    let health = house.health(&webhook).await;
    // Two successes are too few to tell that it is healthy.
    assert_eq!((health.standing.as_str(), health.waiting), ("recovering", 0), "{health:?}");
    let accepted: Vec<_> = delivered_tags(&house, &webhook).await;
    assert_eq!(accepted, ["p23 latest", "p24 stable"], "the newest change of each tag");
    let answered = house.receiver.requests().into_iter().filter(|request| request.answer == Answer::Status(200));
    assert_eq!(answered.count(), 2, "once");
    let changes = house.embedded.changes_of(&webhook.id).await.unwrap();
    let told: Vec<_> = changes.iter().map(|change| (change.standing, change.reason.as_str())).collect();
    assert_eq!(told[0], (StandingWord::Recovering, "an attempt succeeded; a few are made at once for now"), "{told:?}");
    let why = |reason: &str| reason.contains(" attempts failed one after the other since ");
    assert!(told[1..].iter().all(|(word, reason)| *word == StandingWord::Suspended && why(reason)), "{told:?}");
    let (last, first) = (told[1].1, told[told.len() - 1].1);
    assert!(
        first.starts_with("5 attempts") && first.ends_with("made in 1m") && last.ends_with("made in 6h"),
        "{told:?}"
    );
}

async fn delivered_tags(house: &House, webhook: &Webhook) -> Vec<String> {
    let page = PageRequest { after: None, limit: 50 };
    let query = HistoryQuery { webhook: Some(webhook.id.clone()), state: Some(DeliveryState::Delivered), page };
    let items = house.embedded.history(&query).await.unwrap().items;
    let mut tags: Vec<_> = items
        .iter()
        .flat_map(|item| &item.delivery.content.changes)
        .map(|change| format!("{} {}", change.order.event(), change.tag))
        .collect();
    tags.sort();
    tags
}

#[tokio::test]
async fn the_retry_of_a_suspended_webhook_waits_until_the_suspension_ends() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Status(500));
    let running = house.run_as(long());
    fail_until_suspended(&house, &webhook).await;
    // Which a person asks for, so that it is attempted all the same.
    let delivery = sample::delivery(&webhook.id, &sample::batch("f", "team/app", &["d"]));
    let asked_for = Delivery { request: 1, ..delivery };
    house.publish_waiting(&asked_for).await;
    let attempted = async || house.embedded.delivery(&asked_for.id).await.unwrap();
    let attempted = wait::until("the attempt", attempted).await;
    assert_eq!((attempted.state, attempted.attempts.len()), (DeliveryState::Retrying, 1));
    let Standing::Suspended { until, .. } = house.health(&webhook).await.standing else { panic!() };
    assert!(attempted.next_at.unwrap() >= until, "{attempted:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_copy_of_what_was_delivered_does_not_wait_for_a_suspended_webhook() {
    let house = House::open().await;
    let webhook = house.webhook(1, Format::Dockerhub, "/").await;
    house.receiver.answer_always(Answer::Status(500));
    let running = house.run_as(long());
    let delivery = sample::delivery(&webhook.id, &sample::batch("f", "team/app", &["d"]));
    house.record(&delivery, Outcome::Accepted { status: 200 }, Verdict::Delivered).await;
    fail_until_suspended(&house, &webhook).await;
    wait::until("the failed ones to wait", async || (house.health(&webhook).await.waiting == 3).then_some(())).await;
    house.publish_waiting(&delivery).await;
    house.wait_until_nothing_is_due().await;
    assert_eq!(house.embedded.depth(Queue::Redeliveries).await.unwrap().delayed, 3);
    assert_eq!(house.history(&delivery.id).await.state, DeliveryState::Delivered);
    running.stop().await;
}
