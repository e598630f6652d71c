//! Receivers behind TLS: whose certificates, or whose TLS, are not to be trusted, and what webhooks say about theirs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockbell_backends::Store as _;
use dockbell_chassis::crypto::Roots;
use dockbell_deliverer::transport::names::Names;
use dockbell_deliverer::transport::{Deadlines, Outside, Post, Transport};
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::clock::SystemClock;
use dockbell_proto::outcome::{Outcome, Phase};
use dockbell_proto::secret::Secret;
use dockbell_proto::target::TargetUrl;
use dockbell_proto::tls::{ClientCertificate, TargetTls};
use dockbell_proto::webhook::{Format, Webhook};
use dockbell_testkit::authority::{Authority, Flaw, TlsReceiver};
use dockbell_testkit::name_server::{NameServer, Reply};
use dockbell_testkit::rogue::{Rogue, Step};
use dockbell_testkit::sample;
use http::HeaderMap;

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

/// A way out to `receiver.test`, which is this machine.
async fn way_out() -> (NameServer, Transport) {
    let servers = NameServer::start().await;
    servers.say("receiver.test", Reply::loopback());
    let names = Arc::new(Names::new(vec![servers.addr()]));
    let outside = Outside { names, roots: Roots::default(), proxy: None };
    let transport = Transport::new(&outside, &policy(), DEADLINES, Arc::new(SystemClock)).unwrap();
    (servers, transport)
}

fn policy() -> Arc<AddressPolicy> {
    Arc::new(AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]))
}

async fn post(transport: &Transport, receiver: &TlsReceiver, tls: &TargetTls) -> Outcome {
    let url = format!("https://receiver.test:{}/", receiver.addr().port());
    let url = TargetUrl::parse(&url, &policy()).unwrap();
    transport.post_with(Post { url, headers: HeaderMap::new(), body: Bytes::from_static(b"{}") }, tls).await.outcome
}

fn trusting(authority: &Authority) -> TargetTls {
    let pem = String::from_utf8(authority.certificate()).unwrap();
    TargetTls { ca_certificates: Some(pem), ..TargetTls::default() }
}

fn shown(authority: &Authority, name: &str) -> ClientCertificate {
    let (chain, key) = authority.identity(name);
    ClientCertificate { chain: String::from_utf8(chain).unwrap(), key: Secret::new(String::from_utf8(key).unwrap()) }
}

const ACCEPTED: Outcome = Outcome::Accepted { status: 200 };

fn fails_with(outcome: &Outcome, words: &str) {
    let Outcome::Unreachable { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.starts_with("the TLS handshake failed: ") && reason.ends_with(words), "{reason}");
}

#[tokio::test]
async fn an_authority_vouches_for_the_webhook_that_names_it_alone() {
    let ((_servers, transport), authority, other) = (way_out().await, Authority::new(), Authority::new());
    let receiver = authority.receiver("receiver.test", Flaw::None).await;
    let tls = trusting(&authority);
    assert_eq!(post(&transport, &receiver, &tls).await, ACCEPTED);
    fails_with(&post(&transport, &receiver, &TargetTls::default()).await, UNKNOWN);
    fails_with(&post(&transport, &receiver, &trusting(&other)).await, UNKNOWN);
    assert_eq!(post(&transport, &receiver, &tls).await, ACCEPTED);
    assert_eq!((receiver.requests(), receiver.handshakes()), (2, 1), "its own connection is used again");
    // What else is wrong with a certificate is wrong all the same.
    let expired = authority.receiver("receiver.test", Flaw::Expired).await;
    fails_with(&post(&transport, &expired, &tls).await, "has expired");
    let named = authority.receiver("other.test", Flaw::None).await;
    fails_with(&post(&transport, &named, &tls).await, "is for another name");
}

/// A connection that was made with the certificate of one webhook must not carry what another one sends.
#[tokio::test]
async fn a_receiver_that_asks_is_shown_the_certificate_of_the_webhook_and_of_no_other() {
    let ((_servers, transport), authority, other) = (way_out().await, Authority::new(), Authority::new());
    let receiver = authority.receiver_that_asks("receiver.test").await;
    let with = |client: Option<ClientCertificate>| TargetTls { client, ..trusting(&authority) };
    let (one, two) = (with(Some(shown(&authority, "one"))), with(Some(shown(&authority, "two"))));
    for tls in [&one, &two, &one, &two] {
        assert_eq!(post(&transport, &receiver, tls).await, ACCEPTED);
    }
    assert_eq!((receiver.requests(), receiver.handshakes()), (4, 2), "each has a connection of its own");
    fails_with(
        &post(&transport, &receiver, &with(None)).await,
        "the receiver wants a certificate (tls.client_certificate)",
    );
    let strangers = with(Some(shown(&other, "one")));
    fails_with(
        &post(&transport, &receiver, &strangers).await,
        "the receiver does not accept the certificate of the webhook",
    );
    assert_eq!(receiver.requests(), 4);
}

#[tokio::test]
async fn what_skips_verification_believes_whatever_is_shown() {
    let ((_servers, transport), authority) = (way_out().await, Authority::new());
    let skipping = TargetTls { skip_verify: true, ..TargetTls::default() };
    for (name, flaw) in
        [("receiver.test", Flaw::SelfSigned), ("other.test", Flaw::None), ("receiver.test", Flaw::Expired)]
    {
        let receiver = authority.receiver(name, flaw).await;
        assert_eq!(post(&transport, &receiver, &skipping).await, ACCEPTED, "{name} {flaw:?}");
        assert!(matches!(post(&transport, &receiver, &TargetTls::default()).await, Outcome::Unreachable { .. }));
    }
}

/// The setting may have been taken back since the webhook was saved.
#[tokio::test]
async fn verification_is_skipped_only_while_the_operator_allows_it() {
    for allows_skip_verify in [false, true] {
        let (house, servers, authority) = (House::open().await, NameServer::start().await, Authority::new());
        servers.say("receiver.test", Reply::loopback());
        let receiver = authority.receiver("receiver.test", Flaw::SelfSigned).await;
        let url = format!("https://receiver.test:{}/", receiver.addr().port());
        let webhook = sample::webhook(1, "team/app", Format::Dockerhub, &url);
        let webhook = Webhook { tls: TargetTls { skip_verify: true, ..TargetTls::default() }, ..webhook };
        house.embedded.put_webhook(&webhook).await.unwrap();
        let told = Told { name_servers: vec![servers.addr()], allows_skip_verify, ..Told::default() };
        let running = house.run_as(told);
        let batch = sample::batch("e", "team/app", &["1"]);
        house.publish(&batch).await;
        house.wait_until_nothing_is_due().await;
        let delivery = sample::delivery(&webhook.id, &batch);
        let outcome = house.history(&delivery.id).await.attempts.remove(0).outcome;
        running.stop().await;
        if allows_skip_verify {
            assert_eq!(outcome, ACCEPTED);
        } else {
            let Outcome::Blocked { reason } = &outcome else { panic!("{outcome:?}") };
            assert!(reason.contains("targets.allow_skip_verify"), "{reason}");
        }
        assert_eq!(receiver.requests(), usize::from(allows_skip_verify));
    }
}
