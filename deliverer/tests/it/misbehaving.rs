//! Receivers that answer too slowly, too much, or nothing that is HTTP.

use std::fs;
use std::time::Duration;

use dockbell_deliverer::transport::Deadlines;
use dockbell_proto::outcome::{DeliveryState, Outcome, Phase};
use dockbell_proto::webhook::Format;
use dockbell_testkit::rogue::{BOMB, Rogue, Step};
use dockbell_testkit::sample;

use super::harness::{House, Told, header};
use super::street::{Ended, attempt_each};

/// What an attempt may take, and how long the machine may take beyond that.
const DEADLINES: Deadlines = Deadlines { connect: Duration::from_secs(2), total: Duration::from_secs(3) };
const SLACK: Duration = Duration::from_secs(1);
/// How much of an answer is taken at most: what is read of it, and what the system holds of a connection.
const TAKEN: usize = (64 + 192) * 1024;
/// Bytes of an answer, one at a time.
const TRICKLE: Duration = Duration::from_millis(50);

const OK: &str = "HTTP/1.1 200 OK\r\n";

/// The first attempt at each of these receivers, all at once. None of them has a connection left afterwards.
async fn attempt_rogues(told: Told, scheme: &str, rows: &[(&str, Vec<Step>)]) -> (Vec<Ended>, Vec<Rogue>) {
    let house = House::open().await;
    let (mut rogues, mut urls) = (Vec::new(), Vec::new());
    for (_, steps) in rows {
        let rogue = Rogue::start(steps.clone());
        urls.push(format!("{scheme}://{}/", rogue.addr()));
        rogues.push(rogue);
    }
    let ended = attempt_each(&house, told, &urls).await;
    for rogue in &rogues {
        rogue.left_alone().await;
        assert_eq!(rogue.connections(), 1, "an attempt is one connection");
    }
    (ended, rogues)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_takes_its_time_is_given_up_at_the_deadline_whatever_it_says_meanwhile() {
    let rows = [
        ("says nothing", vec![Step::Hold]),
        ("reads and says nothing", vec![Step::Read, Step::Hold]),
        ("a slow head", vec![Step::Read, Step::say(format!("{OK}x: ")), Step::say_forever("x", TRICKLE)]),
        ("many heads", vec![Step::Read, Step::say_forever("HTTP/1.1 100 Continue\r\n\r\n", TRICKLE)]),
        ("a flood of heads", vec![Step::Read, Step::say_forever("HTTP/1.1 103 Early Hints\r\n\r\n", Duration::ZERO)]),
        (
            "a slow body",
            vec![Step::Read, Step::say(format!("{OK}content-length: 9999\r\n\r\n")), Step::say_forever("x", TRICKLE)],
        ),
        ("a body that stops", vec![Step::Read, Step::say(format!("{OK}content-length: 2\r\n\r\nx")), Step::Hold]),
    ];
    let told = Told { deadlines: DEADLINES, ..Told::default() };
    let (ended, _rogues) = attempt_rogues(told, "http", &rows).await;
    for (ended, (name, _)) in ended.iter().zip(&rows) {
        let phase = if name.contains("body") { Phase::Body } else { Phase::Headers };
        assert_eq!((&ended.outcome, ended.failures), (&Outcome::TimedOut { phase }, 1), "{name}: {ended:?}");
        assert!(ended.took >= DEADLINES.total && ended.took < DEADLINES.total + SLACK, "{name}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_answer_without_end_little_is_read_and_its_status_counts() {
    let forever = |text| Step::say_forever(text, Duration::ZERO);
    let block: &'static str = Box::leak("x".repeat(8192).into_boxed_str());
    let chunk: &'static str = Box::leak(format!("2000\r\n{block}\r\n").into_boxed_str());
    let answer = |status: &str, header: &str, body| {
        vec![Step::Read, Step::say(format!("HTTP/1.1 {status}\r\n{header}\r\n\r\n")), forever(body)]
    };
    let rows = [
        ("no length", answer("200 OK", "connection: close", block)),
        ("100 GB", answer("200 OK", "content-length: 100000000000", block)),
        ("chunks", answer("200 OK", "transfer-encoding: chunked", chunk)),
        ("refused with 100 GB", answer("503 Busy", "content-length: 100000000000", block)),
    ];
    let kept = "x".repeat(20 * 1024);
    let stops = vec![Step::Read, Step::say(format!("{OK}content-length: 30000\r\n\r\n{kept}")), Step::Hold];
    let rows = [&rows[..], &[("stops after what is kept", stops)]].concat();
    let told = Told { deadlines: DEADLINES, ..Told::default() };
    let (ended, rogues) = attempt_rogues(told, "http", &rows).await;
    for ((ended, rogue), (name, _)) in ended.iter().zip(&rogues).zip(&rows) {
        let status = ended.outcome.status();
        assert_eq!(status, Some(if name.contains("refused") { 503 } else { 200 }), "{name}: {ended:?}");
        assert_eq!(ended.excerpt.as_deref(), block.get(..1024), "{name}");
        assert!(rogue.said() <= TAKEN, "{name}: {} bytes were taken", rogue.said());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_answers_without_end_at_once_cost_little_memory() {
    let block: &'static str = Box::leak("x".repeat(64 * 1024).into_boxed_str());
    let endless = vec![Step::Read, Step::say(format!("{OK}\r\n")), Step::say_forever(block, Duration::ZERO)];
    let rows: Vec<_> = (0..100).map(|_| ("endless", endless.clone())).collect();
    let before = peak_memory();
    let (ended, _rogues) = attempt_rogues(Told { at_once: (128, 256), ..Told::default() }, "http", &rows).await;
    assert!(ended.iter().all(|ended| ended.outcome.status() == Some(200)));
    let grown = peak_memory() - before;
    assert!(grown < 64 * 1024, "{grown} KiB");
}

/// The most memory that this process ever had, in KiB.
fn peak_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn what_is_compressed_is_neither_asked_for_nor_decompressed() {
    let answer = |encoding: &str| {
        let head = format!("{OK}content-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n", BOMB.len());
        vec![Step::Read, Step::say(head), Step::Say(BOMB.to_vec().into())]
    };
    let rows = ["gzip", "gzip, gzip", "br", "zstd", "deflate"].map(|encoding| (encoding, answer(encoding)));
    let (ended, _rogues) = attempt_rogues(Told::default(), "http", &rows).await;
    let shown = dockbell_deliverer::settle::excerpt(&BOMB);
    for (ended, (encoding, _)) in ended.iter().zip(&rows) {
        assert_eq!(ended.outcome, Outcome::Accepted { status: 200 }, "{encoding}");
        assert_eq!(ended.excerpt, shown, "{encoding}");
    }
    let house = House::open().await;
    attempt_each(&house, Told::default(), &[]).await;
    assert_eq!(header(&house.receiver.requests()[0], "accept-encoding"), "");
}

#[tokio::test]
async fn what_is_no_whole_answer_is_a_failure_of_the_receiver() {
    let say = |text: &str| vec![Step::Read, Step::say(text)];
    let many = "x: x\r\n".repeat(10_000);
    let rows = [
        ("ten thousand headers", say(&format!("{OK}{many}\r\n"))),
        ("a header of a megabyte", say(&format!("{OK}x: {}\r\n\r\n", "x".repeat(1024 * 1024)))),
        ("closed before the request is read", vec![]),
        ("reset before the request is read", vec![Step::Reset]),
        ("closed without an answer", vec![Step::Read]),
        ("reset without an answer", vec![Step::Read, Step::Reset]),
        ("closed in the head", say("HTTP/1.1 200 O")),
        ("closed before the body", say(&format!("{OK}content-length: 5\r\n\r\n"))),
        ("closed in the body", say(&format!("{OK}content-length: 5\r\n\r\nabc"))),
        ("closed in the chunks", say(&format!("{OK}transfer-encoding: chunked\r\n\r\n5\r\nabc"))),
        ("not HTTP", say("220 mail.test ESMTP\r\n")),
        ("two lengths", say(&format!("{OK}content-length: 1\r\ncontent-length: 2\r\n\r\nab"))),
    ];
    let (ended, _rogues) = attempt_rogues(Told { deadlines: DEADLINES, ..Told::default() }, "http", &rows).await;
    for (ended, (name, _)) in ended.iter().zip(&rows) {
        assert_eq!(ended.words(), ("unreachable", true), "{name}: {ended:?}");
        assert!(ended.took < DEADLINES.total, "{name}: {ended:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_closes_idle_connections_is_charged_with_nothing() {
    let answer = || Step::say(format!("{OK}content-length: 2\r\n\r\nok"));
    for closing in [vec![], vec![Step::Reset]] {
        let (house, rogue) = (House::open().await, Rogue::start([vec![Step::Read, answer()], closing].concat()));
        let webhook = sample::webhook(1, "team/app", Format::Dockerhub, &format!("http://{}/", rogue.addr()));
        dockbell_backends::store::Store::put_webhook(&*house.embedded, &webhook).await.unwrap();
        let running = house.run();
        for number in 1..=20 {
            let batch = sample::batch(&format!("e{number}"), "team/app", &["1"]);
            house.publish(&batch).await;
            house.wait_until_idle().await;
            let record = house.history(&sample::delivery(&webhook.id, &batch).id).await;
            assert_eq!(record.attempts.len(), 1, "{record:?}");
            assert_eq!(record.attempts[0].outcome, Outcome::Accepted { status: 200 });
            rogue.left_alone().await;
        }
        assert_eq!(rogue.connections(), 20);
        running.stop().await;
    }
}

/// It goes when the next request is on its way: whether it acted on it nobody can tell.
#[tokio::test]
async fn what_is_sent_on_a_connection_that_is_being_closed_is_a_failed_attempt_and_made_again() {
    let answer = || Step::say(format!("{OK}content-length: 2\r\n\r\nok"));
    for closing in
        [vec![Step::Read], vec![Step::Read, Step::Reset], vec![Step::Notice], vec![Step::Notice, Step::Reset]]
    {
        let rogue = Rogue::start([vec![Step::Read, answer()], closing.clone()].concat());
        let house = House::open().await;
        let webhook = sample::webhook(1, "team/app", Format::Dockerhub, &format!("http://{}/", rogue.addr()));
        dockbell_backends::store::Store::put_webhook(&*house.embedded, &webhook).await.unwrap();
        let running = house.run();
        let batches = ["1", "2"].map(|tag| sample::batch("e", "team/app", &[tag]));
        let mut outcomes = Vec::new();
        for batch in &batches {
            house.publish(batch).await;
            house.wait_until_idle().await;
            let record = house.history(&sample::delivery(&webhook.id, batch).id).await;
            assert_eq!(record.state, DeliveryState::Delivered, "{closing:?}: {record:?}");
            outcomes.extend(record.attempts.iter().map(|attempt| attempt.outcome.as_str()));
        }
        assert_eq!(outcomes, ["accepted", "unreachable", "accepted"], "{closing:?}");
        assert_eq!((rogue.connections(), house.health(&webhook).await.consecutive_failures), (2, 0), "{closing:?}");
        running.stop().await;
    }
}
