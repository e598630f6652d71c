//! What cannot be read stays out of the way: at the intake it is refused, on the bus it becomes a dead letter.

use std::collections::BTreeMap;

use dockbell_backends::Bus as _;
use dockbell_backends::bus::{Outgoing, Queue};
use dockbell_testkit::receiver::Receiver;
use dockbell_testkit::wait;
use reqwest::{Method, RequestBuilder};
use tokio::task::JoinSet;

use crate::calls::{Answer, Caller, push, send};
use crate::payload::tag;
use crate::process::Home;

/// More than the intake takes.
const TOO_LARGE: usize = 5 * 1024 * 1024;
/// More than any message may have.
const HUGE: usize = 16 * 1024 * 1024;
const DEEP: usize = 100_000;

/// Requests that no repetition could mend, with their status and a word of what is said about them.
fn poison(caller: &Caller) -> Vec<(RequestBuilder, u16, &'static str)> {
    let report = |body: &str| caller.report_request(body.to_owned());
    let good = push("e-poison", "team/app", "poison").to_string();
    let path = |path: &str| format!("{}/ingest/{path}", caller.intake);
    let to = |method: Method, url: &str, token: &str| {
        caller.http.request(method, path(url)).bearer_auth(token).body(good.clone())
    };
    let token = &caller.ingest_token;
    vec![
        (report("no JSON"), 400, "not JSON"),
        (report(""), 400, "not JSON"),
        (report(&format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP))), 400, "recursion limit"),
        (report("{\"events\":[{\"action\":\"push\""), 400, "not JSON"),
        (report("{\"hello\":\"world\"}"), 400, "no registry notification"),
        (report("[]"), 400, "no registry notification"),
        (report("{\"events\":[{\"action\":\"push\",\"size\":NaN}]}"), 400, "not JSON"),
        (report("{\"events\":[{\"action\":\"push\",\"id\":\"\\ud800\"}]}"), 400, "not JSON"),
        (report("<html>sorry</html>").header("content-type", "text/html"), 400, "not JSON"),
        (caller.report_request(vec![b'{', b'"', 0xff, 0xfe, b'"', b':', b'1', b'}']), 400, "not JSON"),
        (report(&format!("{{\"padding\":\"{}\"}}", "x".repeat(TOO_LARGE))), 413, "4 MiB"),
        (to(Method::POST, "registry", "wrong"), 401, "Authorization: Bearer"),
        (to(Method::POST, "registry", ""), 401, "Authorization: Bearer"),
        (caller.http.post(path("registry")).body(good.clone()), 401, "Authorization: Bearer"),
        (to(Method::POST, "unknown", token), 404, "no source of this name"),
        (to(Method::POST, "%00", token), 404, "no source of this name"),
        (to(Method::GET, "registry", token), 405, "POST"),
        (to(Method::PUT, "registry", token), 405, "POST"),
        (report(&good).header("content-encoding", "gzip"), 415, "Content-Encoding"),
    ]
}

fn assert_clear(answer: &Answer, status: u16, word: &str) {
    assert_eq!((answer.status, answer.content_type.as_str()), (status, "application/problem+json"), "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(word), "{word:?} is not said in {detail:?}");
    assert!(detail.len() < 500, "{detail}");
}

#[tokio::test]
async fn what_the_intake_cannot_read_is_refused_clearly_and_delays_nothing() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let dockbell = home.up().await;
    let caller = &dockbell.caller;
    caller.add_webhook(("team/app", "dockerhub", &receiver.url("/"))).await;
    let mut asking = JoinSet::new();
    for (request, status, word) in poison(caller) {
        asking.spawn(async move { assert_clear(&send(request).await, status, word) });
    }
    caller.report(&push("e-good", "team/app", "good")).await;
    receiver.wait_for(1).await;
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    // What came after all the poison is delivered too, and nothing of the poison is. What it says of its type
    // does not matter.
    let later = caller.report_request(push("e-later", "team/app", "later").to_string());
    assert_eq!(send(later.header("content-type", "text/html")).await.status, 202);
    let tags: Vec<String> = receiver.wait_for(2).await.iter().map(tag).collect();
    assert_eq!(tags, ["good", "later"]);
    let refused = ["400", "401", "404", "405", "413", "415"].map(|status| format!("status=\"{status}\""));
    for status in refused {
        assert!(caller.metric("dockbell_intake_duration_seconds_count", &[&status]).await >= 1.0, "{status}");
    }
    dockbell.stop_well().await;
}

/// An entry of a good body that is not good itself does not keep the others from being taken.
#[tokio::test]
async fn a_bad_event_in_a_good_body_is_rejected_alone() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("team/app", "dockerhub", &receiver.url("/"))).await;
    let target = |repository: &str| {
        serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": repository, "tag": "1.0",
            "digest": dockbell_testkit::sample::digest(2),
        })
    };
    let event = |repository: &str| serde_json::json!({ "action": "push", "target": target(repository) });
    let body = serde_json::json!({ "events": [event("team//app"), event("team/app"), { "action": 7 }] });
    let answer = send(dockbell.caller.report_request(body.to_string())).await.json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&1.into(), &2.into()), "{answer}");
    assert_eq!(tag(&receiver.wait_for(1).await[0]), "1.0");
    dockbell.stop_well().await;
}

/// What stands on the queues and is nothing of ours, by its id: headers, body, and a word of the reason.
fn garbage() -> BTreeMap<String, (Queue, Outgoing, &'static str)> {
    let source = |name: &str| vec![("dockbell-source".to_owned(), name.to_owned())];
    let html = vec![("content-type".to_owned(), "text/html".to_owned())];
    let twice = "{\"schema\":\"dockbell.batch/1\",\"events\":1,\"events\":1}";
    let bodies = [
        (Queue::Events, vec![], b"\xff\xfe\x00".to_vec(), "not JSON"),
        (Queue::Events, vec![], b"{\"schema\":\"dockbell.event/99\"}".to_vec(), "which this version does not read"),
        (Queue::Events, vec![], b"{\"schema\":\"dockbell.event/1\"}".to_vec(), "`repository` is missing"),
        (Queue::Events, source("gone"), b"{\"events\":[]}".to_vec(), "dockbell-source"),
        (Queue::Events, vec![], b"{\"schema\":\"dockbell.event/1\",\"size\":NaN}".to_vec(), "not JSON"),
        (Queue::Events, vec![], b"{\"schema\":\"dockbell.event/1\",\"id\":\"\\ud800\"}".to_vec(), "not JSON"),
        (Queue::Events, vec![], vec![b' '; HUGE], "4 MiB"),
        (Queue::Events, html, b"<html>sorry</html>".to_vec(), "not JSON"),
        (Queue::Deliveries, vec![], b"no JSON".to_vec(), "dockbell.batch/1"),
        (Queue::Deliveries, vec![], b"{\"schema\":\"dockbell.batch/99\"}".to_vec(), "dockbell.batch/99"),
        (Queue::Deliveries, vec![], b"{\"schema\":\"dockbell.batch/1\",\"changes\":7}".to_vec(), "dockbell.batch/1"),
        (Queue::Deliveries, vec![], b"{\"schema\":\"dockbell.batch/1\",\"events\":NaN}".to_vec(), "dockbell.batch/1"),
        (Queue::Deliveries, vec![], twice.as_bytes().to_vec(), "dockbell.batch/1"),
        (Queue::Redeliveries, vec![], Vec::new(), "dockbell.delivery/1"),
        (Queue::Redeliveries, vec![], vec![b'['; DEEP], "dockbell.delivery/1"),
    ];
    let message = |(number, (queue, headers, body, word)): (usize, (Queue, _, Vec<u8>, _))| {
        let id = format!("garbage-{number}");
        let message =
            Outgoing { id: id.clone(), key: "key".to_owned(), headers, body: body.into(), maybe_repeated: false };
        (id, (queue, message, word))
    };
    bodies.into_iter().enumerate().map(message).collect()
}

#[tokio::test]
async fn garbage_on_the_bus_becomes_dead_letters_with_their_reasons_and_blocks_nothing() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("team/app", "dockerhub", &receiver.url("/"))).await;
    dockbell.stop_well().await;
    let garbage = garbage();
    let bus = home.open();
    for (queue, message, _) in garbage.values() {
        bus.publish(*queue, message.clone()).await.unwrap();
    }
    bus.close().await;

    let dockbell = home.up().await;
    dockbell.caller.report(&push("e-good", "team/app", "good")).await;
    assert_eq!(tag(&receiver.wait_for(1).await[0]), "good");
    let count = async || dockbell.caller.metric("dockbell_dead_letters_total", &[]).await;
    let all = f64::from(u32::try_from(garbage.len()).unwrap());
    let all_buried = async || (count().await >= all).then_some(());
    wait::until("all garbage to be a dead letter", all_buried).await;
    dockbell.stop_well().await;

    let bus = home.open();
    let letters = bus.dead_letters(0, 100).await.unwrap();
    assert_eq!(letters.len(), garbage.len());
    for letter in letters {
        let (queue, message, word) = &garbage[&letter.id];
        assert_eq!((letter.queue, &letter.body, &letter.headers), (*queue, &message.body, &message.headers));
        assert!(letter.reason.contains(word), "{word:?} is not said in {:?}", letter.reason);
    }
    for queue in Queue::ALL {
        assert_eq!(bus.depth(queue).await.unwrap().messages, 0, "{}", queue.as_str());
    }
    bus.close().await;
}
