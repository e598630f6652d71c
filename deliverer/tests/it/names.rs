//! Names of receivers, and name servers that misbehave.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use dockbell_backends::store::Store as _;
use dockbell_proto::outcome::{DeliveryState, Outcome};
use dockbell_proto::webhook::Format;
use dockbell_testkit::name_server::{NameServer, Reply};
use dockbell_testkit::receiver::Answer;
use dockbell_testkit::sample;

use super::harness::{House, Told};
use super::street::{Ended, UNDELAYED, attempt_each};

/// How long a look-up may take, and how long the machine may take beyond that.
const BUDGET: Duration = Duration::from_secs(3);
const SLACK: Duration = Duration::from_secs(3);

fn told(servers: &NameServer) -> Told {
    Told { name_servers: vec![servers.addr()], at_once: (256, 256), ..Told::default() }
}

fn url(house: &House, name: &str) -> String {
    format!("http://{name}:{}/", house.receiver.addr().port())
}

/// The first attempt at each name, of which a name server says this.
async fn attempt_names(names: &[(&str, Reply)]) -> Vec<Ended> {
    let (house, servers) = (House::open().await, NameServer::start().await);
    for (name, reply) in names {
        servers.say(name, reply.clone());
    }
    let urls: Vec<String> = names.iter().map(|(name, _)| url(&house, name)).collect();
    attempt_each(&house, told(&servers), &urls).await
}

#[tokio::test]
async fn what_name_servers_say_of_a_name_tells_whose_fault_it_is() {
    let rows = [
        ("known.test", Reply::loopback(), ("accepted", false)),
        ("alias.test", Reply::Alias("known.test"), ("accepted", false)),
        ("nobody.test", Reply::NoSuchName, ("unreachable", true)),
        ("empty.test", Reply::Addresses(Vec::new()), ("unreachable", true)),
        ("failing.test", Reply::Failure, ("hindered", false)),
        ("refused.test", Reply::Refused, ("hindered", false)),
        ("private.test", Reply::Addresses(vec!["10.0.0.1".parse().unwrap()]), ("blocked", false)),
    ];
    let names: Vec<_> = rows.iter().map(|(name, reply, _)| (*name, reply.clone())).collect();
    for (ended, (name, _, expected)) in attempt_names(&names).await.iter().zip(&rows) {
        assert_eq!(ended.words(), *expected, "{name}: {ended:?}");
        let told = format!("{:?}", ended.outcome);
        assert!(!told.contains(".test") && !told.contains("10.0."), "it tells names or addresses: {told}");
    }
}

#[tokio::test]
async fn name_servers_that_are_silent_cost_a_look_up_its_budget_and_other_endpoints_nothing() {
    let names: Vec<String> = (0..100).map(|number| format!("silent{number}.test")).collect();
    let mut names: Vec<(&str, Reply)> = names.iter().map(|name| (name.as_str(), Reply::Silence)).collect();
    names.push(("known.test", Reply::loopback()));
    let mut ended = attempt_names(&names).await;
    let known = ended.pop().unwrap();
    assert_eq!(known.words(), ("accepted", false));
    assert!(known.took < UNDELAYED, "the look-ups of others delay it: {known:?}");
    for ended in ended {
        assert_eq!(ended.words(), ("hindered", false), "{ended:?}");
        assert!(ended.took + Duration::from_millis(100) >= BUDGET && ended.took < BUDGET + SLACK, "{ended:?}");
    }
}

#[tokio::test]
async fn one_name_server_that_answers_is_enough_and_none_is_our_fault() {
    let (silent, answering) = (NameServer::start().await, NameServer::start().await);
    silent.say("known.test", Reply::Silence);
    answering.say("known.test", Reply::loopback());
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rows = [
        (vec![silent.addr(), answering.addr()], "accepted"),
        (vec![closed, answering.addr()], "accepted"),
        (vec![closed], "hindered"),
    ];
    for (name_servers, expected) in rows {
        let house = House::open().await;
        let told = Told { name_servers, ..Told::default() };
        let ended = attempt_each(&house, told, &[url(&house, "known.test")]).await;
        let limit = if expected == "accepted" { UNDELAYED } else { BUDGET + SLACK };
        assert_eq!((ended[0].words(), ended[0].took < limit), ((expected, false), true), "{ended:?}");
    }
}

#[tokio::test]
async fn of_a_name_with_hundreds_of_addresses_sixteen_are_dialled_and_all_are_judged() {
    let others = |count: u8| (0..count).map(|last| IpAddr::from([127, 0, 1, last])).collect::<Vec<_>>();
    let followed_by = |mut addresses: Vec<IpAddr>, last: [u8; 4]| {
        addresses.push(last.into());
        Reply::Addresses(addresses)
    };
    let hundreds: Vec<IpAddr> =
        (0..500).map(|number: u16| Ipv4Addr::from(0x7f00_0100 + u32::from(number)).into()).collect();
    let rows = [
        ("sixteenth.test", followed_by(others(15), [127, 0, 0, 1]), "accepted"),
        ("seventeenth.test", followed_by(others(16), [127, 0, 0, 1]), "unreachable"),
        ("hundreds.test", followed_by(hundreds.clone(), [127, 0, 0, 1]), "unreachable"),
        ("hidden.test", followed_by(hundreds, [10, 0, 0, 1]), "blocked"),
    ];
    let names: Vec<_> = rows.iter().map(|(name, reply, _)| (*name, reply.clone())).collect();
    for (ended, (name, _, expected)) in attempt_names(&names).await.iter().zip(&rows) {
        assert_eq!(ended.outcome.as_str(), *expected, "{name}: {ended:?}");
    }
}

#[tokio::test]
async fn names_that_lead_to_each_other_end_as_unreachable() {
    let names = [("one.test", Reply::Alias("two.test")), ("two.test", Reply::Alias("one.test"))];
    for ended in attempt_names(&names).await {
        assert_eq!(ended.words(), ("unreachable", true), "{ended:?}");
        assert!(ended.took < BUDGET, "{ended:?}");
    }
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_a_connection_and_judged_anew_for_the_next() {
    let (house, servers) = (House::open().await, NameServer::start().await);
    let elsewhere = Reply::Addresses(vec!["10.0.0.1".parse().unwrap()]);
    servers.say_in_turn("turning.test", vec![Reply::loopback(), elsewhere]);
    house.receiver.answer_always(Answer::StatusWithHeaders(200, vec![("connection", "close".to_owned())]));
    let webhook = sample::webhook(1, "team/app", Format::Dockerhub, &url(&house, "turning.test"));
    house.embedded.put_webhook(&webhook).await.unwrap();
    let running = house.run_as(told(&servers));
    let mut states = Vec::new();
    for id in ["e", "f"] {
        let batch = sample::batch(id, "team/app", &["1"]);
        house.publish(&batch).await;
        house.wait_until_nothing_is_due().await;
        states.push(house.history(&sample::delivery(&webhook.id, &batch).id).await.state);
        assert_eq!(servers.asked().len(), 2 * states.len(), "one question for each kind of address");
    }
    assert_eq!(states, [DeliveryState::Delivered, DeliveryState::Dead]);
    assert_eq!(house.receiver.requests().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_name_is_asked_for_as_it_is_written() {
    let (house, servers) = (House::open().await, NameServer::start().await);
    servers.say("kubernetes", Reply::loopback());
    let urls = ["kubernetes", "other", "a.b.test."].map(|name| url(&house, name));
    let ended = attempt_each(&house, told(&servers), &urls).await;
    assert_eq!(ended[0].outcome, Outcome::Accepted { status: 200 });
    let mut asked = servers.asked();
    asked.sort();
    assert_eq!(asked, ["a.b.test", "a.b.test", "kubernetes", "kubernetes", "other", "other"]);
}

#[tokio::test]
async fn a_delivery_that_name_servers_hindered_arrives_when_they_answer_again() {
    let (house, servers) = (House::open().await, NameServer::start().await);
    servers.say("failing.test", Reply::Failure);
    let webhook = sample::webhook(1, "team/app", Format::Dockerhub, &url(&house, "failing.test"));
    house.embedded.put_webhook(&webhook).await.unwrap();
    let running = house.run_as(Told { pauses: vec![Duration::from_millis(50); 20], ..told(&servers) });
    let batch = sample::batch("e", "team/app", &["1"]);
    house.publish(&batch).await;
    let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
    assert_eq!(
        (record.attempts[0].outcome.as_str(), house.health(&webhook).await.consecutive_failures),
        ("hindered", 0)
    );
    servers.say("failing.test", Reply::loopback());
    house.wait_until_idle().await;
    assert_eq!(house.receiver.requests().len(), 1);
    running.stop().await;
}
