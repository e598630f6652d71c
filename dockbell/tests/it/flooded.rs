//! Receivers that answer without end cost a deliverer little memory, and others none of their deliveries.

use std::time::Duration;

use dockbell_testkit::receiver::Receiver;
use dockbell_testkit::rogue::{BOMB, Rogue, Step};
use dockbell_testkit::wait;

use crate::calls::{Caller, push};
use crate::fleet::Fleet;

/// The most webhooks that a pattern has.
const PER_REPOSITORY: usize = 100;
const REPOSITORIES: usize = 5;
/// Receivers, each of which has one webhook of each repository.
const ROGUES: usize = PER_REPOSITORY;
/// Pushes to the healthy repository meanwhile.
const PUSHES: usize = 20;
/// The most memory that a deliverer may ever have had, in KiB.
const MEMORY: u64 = 96 * 1024;
/// Receivers that answer as fast as is read.
const QUICK: usize = 8;
/// Of what takes its time, 64 KiB take 14 seconds, so that all answers are open together.
const SLOWLY: Duration = Duration::from_millis(200);

/// Endless bodies of bombs and of what nobody could decompress.
fn endless(number: usize, pause: Duration) -> Vec<Step> {
    let block = BOMB.repeat(16);
    let chunk = [format!("{:x}\r\n", block.len()).as_bytes(), &block, b"\r\n"].concat();
    let (head, body) = match number % 4 {
        0 => ("content-length: 100000000000", block),
        1 => ("content-encoding: gzip\r\ntransfer-encoding: chunked", chunk),
        2 => ("content-encoding: gzip, gzip\r\nconnection: close", block),
        _ => ("content-encoding: br\r\ntransfer-encoding: chunked", chunk),
    };
    let head = Step::say(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"));
    vec![Step::Read, head, Step::SayForever(body.into(), pause)]
}

pub(crate) async fn five_hundred_answers_without_end_cost_little_and_delay_nobody(fleet: Fleet<'_>) {
    let receiver = Receiver::start().await;
    let (console, producer, deliverer) = (fleet.console().await, fleet.producer().await, fleet.deliverer().await);
    producer.until_ready().await;
    deliverer.until_ready().await;
    let slow = rogues(ROGUES, SLOWLY);
    let quick = rogues(QUICK, Duration::ZERO);
    for repository in 0..REPOSITORIES {
        add_webhooks(&console.caller, &format!("bad/app-{repository}"), &slow).await;
    }
    add_webhooks(&console.caller, "bad/quick", &quick).await;
    console.caller.add_webhook(("good/app", "dockerhub", &receiver.url("/good"))).await;
    for number in 0..REPOSITORIES {
        producer.caller.report(&push(&format!("bad-{number}"), &format!("bad/app-{number}"), "1")).await;
    }
    producer.caller.report(&push("bad-quick", "bad/quick", "1")).await;
    let all_are_open = async || (open(&slow) >= ROGUES * REPOSITORIES).then_some(());
    wait::until("all answers to be open at once", all_are_open).await;
    good_pushes(&producer.caller).await;
    receiver.wait_for(PUSHES).await;
    assert!(open(&slow) > 0, "the others were not served meanwhile");
    for rogue in slow.iter().chain(&quick) {
        rogue.left_alone().await;
    }
    let peak = deliverer.peak_memory();
    assert!(peak < MEMORY, "{peak} KiB");
}

fn rogues(count: usize, pause: Duration) -> Vec<Rogue> {
    (0..count).map(|number| Rogue::start(endless(number, pause))).collect()
}

async fn add_webhooks(console: &Caller, pattern: &str, rogues: &[Rogue]) {
    for rogue in rogues {
        console.add_webhook((pattern, "dockerhub", &format!("http://{}/", rogue.addr()))).await;
    }
}

fn open(rogues: &[Rogue]) -> usize {
    rogues.iter().map(Rogue::open).sum()
}

async fn good_pushes(producer: &Caller) {
    for number in 0..PUSHES {
        producer.report(&push(&format!("good-{number}"), "good/app", &format!("{number}"))).await;
    }
}
