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
/// Of what takes its time, 64 KiB take seven seconds.
const SLOWLY: Duration = Duration::from_millis(100);

/// Endless bodies, as fast as they are read and slowly, of bombs and of what nobody could decompress.
fn endless(number: usize) -> Vec<Step> {
    let block = BOMB.repeat(16);
    let chunk = [format!("{:x}\r\n", block.len()).as_bytes(), &block, b"\r\n"].concat();
    let (head, body) = match number % 4 {
        0 => ("content-length: 100000000000", block),
        1 => ("content-encoding: gzip\r\ntransfer-encoding: chunked", chunk),
        2 => ("content-encoding: gzip, gzip\r\nconnection: close", block),
        _ => ("content-encoding: br\r\ntransfer-encoding: chunked", chunk),
    };
    let pause = if number % 8 < 4 { SLOWLY } else { Duration::ZERO };
    let head = Step::say(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"));
    vec![Step::Read, head, Step::SayForever(body.into(), pause)]
}

pub(crate) async fn five_hundred_answers_without_end_cost_little_and_delay_nobody(fleet: Fleet<'_>) {
    let receiver = Receiver::start().await;
    let (console, producer, deliverer) = (fleet.console().await, fleet.producer().await, fleet.deliverer().await);
    producer.until_ready().await;
    deliverer.until_ready().await;
    let rogues: Vec<Rogue> = (0..ROGUES).map(|number| Rogue::start(endless(number))).collect();
    for repository in 0..REPOSITORIES {
        for rogue in &rogues {
            let url = format!("http://{}/", rogue.addr());
            console.caller.add_webhook((&format!("bad/app-{repository}"), "dockerhub", &url)).await;
        }
    }
    console.caller.add_webhook(("good/app", "dockerhub", &receiver.url("/good"))).await;
    for number in 0..REPOSITORIES {
        producer.caller.report(&push(&format!("bad-{number}"), &format!("bad/app-{number}"), "1")).await;
    }
    wait::until("all of them to be asked at once", async || (asked(&rogues) >= ROGUES * REPOSITORIES).then_some(()))
        .await;
    good_pushes(&producer.caller).await;
    receiver.wait_for(PUSHES).await;
    let peak = deliverer.peak_memory();
    assert!(peak < MEMORY, "{peak} KiB");
    for rogue in &rogues {
        rogue.left_alone().await;
    }
    assert!(deliverer.peak_memory() < MEMORY, "{} KiB", deliverer.peak_memory());
}

fn asked(rogues: &[Rogue]) -> usize {
    rogues.iter().map(Rogue::connections).sum()
}

async fn good_pushes(producer: &Caller) {
    for number in 0..PUSHES {
        producer.report(&push(&format!("good-{number}"), "good/app", &format!("{number}"))).await;
    }
}
