//! Receivers behind TLS whose certificates, or whose TLS, are not to be trusted.

use std::time::Duration;

use dockbell_deliverer::transport::Deadlines;
use dockbell_deliverer::transport::roots::Roots;
use dockbell_proto::outcome::{Outcome, Phase};
use dockbell_testkit::authority::{Authority, Flaw};
use dockbell_testkit::name_server::{NameServer, Reply};
use dockbell_testkit::rogue::{Rogue, Step};

use super::harness::{House, Told};
use super::street::{Ended, attempt_each};

const DEADLINES: Deadlines = Deadlines { connect: Duration::from_secs(3), total: Duration::from_secs(30) };
const UNKNOWN: &str = "is not from an authority that is trusted here";
const SLACK: Duration = Duration::from_secs(2);

/// A `ServerHello` of TLS 1.0: its version and random number, no session, one cipher suite, no compression.
fn old_hello() -> Vec<u8> {
    let mut hello = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    hello
}

fn reason(ended: &Ended) -> &str {
    match &ended.outcome {
        Outcome::Unreachable { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_is_believed_by_its_certificate_alone() {
    let (house, servers, authority) = (House::open().await, NameServer::start().await, Authority::new());
    servers.say("receiver.test", Reply::loopback());
    let rows = [
        ("receiver.test", Flaw::None, ""),
        ("receiver.test", Flaw::Expired, "has expired"),
        ("receiver.test", Flaw::SelfSigned, UNKNOWN),
        ("receiver.test", Flaw::Sha1, "is signed in a way that is not accepted"),
        ("receiver.test", Flaw::LongChain, "HandshakePayloadTooLarge"),
        ("other.test", Flaw::None, "is for another name"),
    ];
    let (mut receivers, mut urls) = (Vec::new(), Vec::new());
    for (name, flaw, _) in rows {
        let receiver = authority.receiver(name, flaw).await;
        urls.push(format!("https://receiver.test:{}/", receiver.addr().port()));
        receivers.push(receiver);
    }
    let roots = Roots::read(&authority.certificate()).unwrap();
    let told = Told { name_servers: vec![servers.addr()], deadlines: DEADLINES, roots, ..Told::default() };
    let ended = attempt_each(&house, told, &urls).await;
    assert_eq!((ended[0].words(), receivers[0].requests()), (("accepted", false), 1), "{:?}", ended[0]);
    for ((ended, receiver), (name, flaw, because)) in ended.iter().zip(&receivers).zip(rows).skip(1) {
        assert_eq!((ended.failures, receiver.requests()), (1, 0), "{name} {flaw:?}: {ended:?}");
        let reason = reason(ended);
        assert!(reason.starts_with("the TLS handshake failed: ") && reason.ends_with(because), "{flaw:?}: {reason}");
        assert!(ended.took < DEADLINES.connect, "{flaw:?}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_believed_whom_neither_the_system_nor_the_operator_trusts() {
    let (house, servers, authority) = (House::open().await, NameServer::start().await, Authority::new());
    servers.say("receiver.test", Reply::loopback());
    let receiver = authority.receiver("receiver.test", Flaw::None).await;
    let url = format!("https://receiver.test:{}/", receiver.addr().port());
    let told = Told { name_servers: vec![servers.addr()], ..Told::default() };
    let ended = attempt_each(&house, told, &[url]).await;
    assert!(reason(&ended[0]).ends_with(UNKNOWN), "{ended:?}");
    assert_eq!(receiver.requests(), 0);
}

#[tokio::test]
async fn a_handshake_that_stalls_or_is_none_ends_with_the_time_of_the_connection() {
    let house = House::open().await;
    let rows = [
        ("stalls", vec![Step::Hold]),
        ("stalls in a record", vec![Step::Say(vec![0x16, 3, 3, 0x40, 0, 2].into()), Step::Hold]),
        ("speaks TLS 1.0", vec![Step::Say(old_hello().into()), Step::Hold]),
        ("speaks HTTP", vec![Step::say("HTTP/1.1 400 Bad Request\r\n\r\n")]),
        ("closes", vec![]),
    ];
    let rogues: Vec<Rogue> = rows.iter().map(|(_, steps)| Rogue::start(steps.clone())).collect();
    let urls: Vec<String> = rogues.iter().map(|rogue| format!("https://{}/", rogue.addr())).collect();
    let ended = attempt_each(&house, Told { deadlines: DEADLINES, ..Told::default() }, &urls).await;
    for ((ended, rogue), (name, _)) in ended.iter().zip(&rogues).zip(&rows) {
        rogue.left_alone().await;
        assert_eq!(ended.failures, 1, "{name}: {ended:?}");
        assert!(ended.took < DEADLINES.connect + SLACK, "{name}: {ended:?}");
        match *name {
            "stalls" | "stalls in a record" => {
                assert_eq!(ended.outcome, Outcome::TimedOut { phase: Phase::Connect }, "{name}");
            }
            "closes" => assert!(reason(ended).contains("connection"), "{ended:?}"),
            _ => assert!(reason(ended).starts_with("the TLS handshake failed: "), "{ended:?}"),
        }
    }
}
