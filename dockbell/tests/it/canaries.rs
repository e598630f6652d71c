//! Secrets on the way through several processes: none of them tells one, and no message carries one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dockbell_testkit::authority::Authority;
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::redis::RedisServer;
use dockbell_testkit::wait;
use reqwest::Method;
use serde_json::json;

use crate::calls::{Caller, push};
use crate::fleet::Fleet;
use crate::secrets::holds;

/// What must not be seen, each recognisable wherever it appears.
const QUERY: &str = "canary-query-8c11";
const HEADER: &str = "canary-header-5d2e";
const BEARER: &str = "canary-bearer-07fa";
const ADMIN: &str = "canary-admin-b3c9";
const INGEST: &str = "canary-ingest-66e4";
const AMQP: &str = "canary-amqp-2ab7";
const REDIS: &str = "canary-redis-f10d";
/// Whose messages stay somewhere: a dead letter.
const REFUSING: &str = "/refuses";

/// The files below a folder that hold a text.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if holds(&std::fs::read(entry.path()).unwrap(), text) {
                found.push(entry.path());
            }
        }
    }
    found
}

async fn add(caller: &Caller, receiver: &Receiver, path: &str) -> String {
    let webhook = json!({
        "name": "canary", "repository": "team/app", "format": "batch",
        "url": receiver.url(&format!("{path}?token={QUERY}")),
        "headers": { "x-canary": HEADER }, "authorization": { "kind": "bearer", "token": BEARER },
    });
    let answer = caller.api(Method::POST, "webhooks", Some(webhook)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["secret"].as_str().unwrap().trim_start_matches("whsec_").to_owned()
}

/// Makes a webhook with a certificate of its own, and returns what nobody but its receiver's handshake may use: its key.
async fn add_with_key(caller: &Caller) -> String {
    let (chain, key) = Authority::new().identity("client");
    let (chain, key) = (String::from_utf8(chain).unwrap(), String::from_utf8(key).unwrap());
    let tls = json!({ "client_certificate": chain, "client_key": key });
    let webhook = json!({
        "name": "canary", "repository": "team/tls", "format": "batch", "url": "https://127.0.0.1:9/", "tls": tls,
    });
    let answer = caller.api(Method::POST, "webhooks", Some(webhook)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let middle = key.lines().nth(1).unwrap();
    assert!(!answer.body.contains(middle), "{}", answer.body);
    middle.to_owned()
}

pub(crate) async fn no_process_tells_a_secret_and_no_message_carries_one(fleet: Fleet<'_>) {
    let (collector, receiver) = (Receiver::start().await, Receiver::start().await);
    let redis = RedisServer::start_with_password(REDIS).await;
    fleet.node.add_user(&fleet.host, AMQP, (".*", ".*", ".*")).await;
    let fleet = fleet
        .with("DOCKBELL_REDIS_URL", &redis.url().replacen("redis://", &format!("redis://:{REDIS}@"), 1))
        .with("DOCKBELL_ADMIN_TOKEN", ADMIN)
        .with("DOCKBELL_INGEST_TOKEN", INGEST)
        .with("DOCKBELL_LOG_FILTER", "trace")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url(""));
    let amqp = Node::url_of(AMQP, fleet.node.port(), &fleet.host);
    let fleet = fleet.with("DOCKBELL_AMQP_URL", &amqp);
    let (mut console, mut producer, deliverer) =
        (fleet.console().await, fleet.producer().await, fleet.deliverer().await);
    ADMIN.clone_into(&mut console.caller.admin_token);
    INGEST.clone_into(&mut producer.caller.ingest_token);
    receiver.answer_always_at(REFUSING, Answer::Status(500));
    let mut secrets = vec![add(&console.caller, &receiver, "/accepts").await];
    secrets.push(add(&console.caller, &receiver, REFUSING).await);
    secrets.push(add_with_key(&console.caller).await);
    let token = json!({ "name": "ci", "repositories": ["team/*"], "permissions": ["read", "ingest"] });
    let token = console.caller.api(Method::POST, "tokens", Some(token)).await.json();
    let token = token["token"].as_str().unwrap();
    let bearer = Caller { admin_token: token.to_owned(), ..console.caller.clone() };
    assert_eq!(bearer.api(Method::GET, "webhooks", None).await.status, 200);
    let bearer = Caller { ingest_token: token.to_owned(), ..producer.caller.clone() };
    bearer.report(&push("e", "team/app", "1")).await;
    secrets.push(token.rsplit_once('_').unwrap().1.to_owned());
    let ended = async || {
        let page = console.caller.read("deliveries").await;
        let states: Vec<_> = page["items"].as_array()?.iter().filter_map(|item| item["state"].as_str()).collect();
        (states.len() == 2 && states.contains(&"delivered") && states.contains(&"dead")).then_some(())
    };
    wait::until("one success and one dead letter", ended).await;
    let mut shown = String::new();
    for member in [&console, &producer, &deliverer] {
        writeln!(shown, "{}", member.caller.admin("/metrics").await.body).unwrap();
        writeln!(shown, "{}", member.caller.admin("/readyz").await.body).unwrap();
    }
    writeln!(shown, "{}", console.caller.read("dead-letters").await).unwrap();
    for member in [console, producer, deliverer] {
        let ended = member.stop_well().await;
        writeln!(shown, "{}{}", ended.stdout, ended.stderr).unwrap();
    }
    assert!(shown.contains("\"level\":\"TRACE\""), "the logs are as talkative as can be");
    let exports = collector.requests();
    assert!(exports.len() >= 3, "spans and metrics were sent");
    shown.extend(exports.iter().map(|export| String::from_utf8_lossy(&export.body)));
    let kept = redis.copy_data();
    assert!(!files_with(kept.path(), "team/app").is_empty(), "what is no secret is found in the files of Redis");
    let own = [QUERY, HEADER, BEARER, ADMIN, INGEST, AMQP, REDIS];
    for secret in own.into_iter().chain(secrets.iter().map(String::as_str)) {
        let lines: Vec<&str> = shown.lines().filter(|line| line.contains(secret)).collect();
        assert!(lines.is_empty(), "{secret} is seen in {lines:#?}");
        // The broker knows the name of its user, which is the password here.
        let files = if secret == AMQP { Vec::new() } else { fleet.node.files_with(secret) };
        assert!(files.is_empty(), "the broker keeps {secret} in {files:?}");
        let files = files_with(kept.path(), secret);
        assert!(files.is_empty(), "redis keeps {secret} in {files:?}");
    }
    assert!(!fleet.node.files_with("team/app").is_empty(), "what messages carry is found in the files of the broker");
}
