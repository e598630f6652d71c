//! Secrets go where they must, and appear nowhere else.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dockbell_backends::store::PageRequest;
use dockbell_backends::{Bus as _, Store as _};
use dockbell_proto::signature::ed25519::SigningKey;
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::wait;
use reqwest::Method;
use serde_json::{Value, json};

use crate::calls::{Caller, Made, push, send};
use crate::payload::{assert_signed, header};
use crate::process::Home;

/// What must not be seen, each recognisable wherever it appears.
const QUERY: &str = "canary-query-1b7f";
const HEADER: &str = "canary-header-93ac";
const ADMIN: &str = "canary-admin-token-52d8";
const INGEST: &str = "canary-ingest-token-c01e";
const PRESENTED: &str = "canary-presented-7f3a";
const REFUSED: &str = "canary-refused-44b0";
const PASSWORD: &str = "canary-password-e2d5";
const TOKEN: &str = "canary-token-0c9a";
const VALUE: &str = "canary-value-71be";

/// Every way to prove something that holds a secret, one for each webhook.
fn proof(number: usize) -> Value {
    let authorization = match number % 4 {
        0 => return json!({ "headers": { "authorization": format!("Bearer {HEADER}") } }),
        1 => json!({ "kind": "basic", "user": "alice", "password": PASSWORD }),
        2 => json!({ "kind": "bearer", "token": TOKEN }),
        _ => json!({ "kind": "verbatim", "value": VALUE }),
    };
    json!({ "authorization": authorization, "signatures": ["v1", "v1a", "x-hub-signature-256", "x-signature"] })
}

async fn add(caller: &Caller, (repository, url): (&str, String), proof: Value) -> Made {
    let mut webhook = json!({
        "name": "canary", "repository": repository, "format": "batch", "url": format!("{url}?token={QUERY}"),
    });
    webhook.as_object_mut().unwrap().extend(proof.as_object().unwrap().clone());
    let answer = caller.api(Method::POST, "webhooks", Some(webhook)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let made = answer.json();
    assert!(!answer.body.contains("canary-") && !answer.body.contains("whsk_"), "{made}");
    let member = |name: &str| made[name].as_str().unwrap().to_owned();
    Made { id: member("id"), secret: member("secret") }
}

/// Everything that may be read while it runs: what the API shows and refuses, the metrics, the log.
async fn shown(caller: &Caller) -> String {
    let mut shown = String::new();
    let page = caller.read("deliveries").await;
    let deliveries =
        page["items"].as_array().unwrap().iter().map(|item| format!("deliveries/{}", item["id"].as_str().unwrap()));
    let webhooks = caller.read("webhooks").await;
    let webhooks =
        webhooks["items"].as_array().unwrap().iter().map(|item| format!("webhooks/{}", item["id"].as_str().unwrap()));
    for path in deliveries.chain(webhooks).chain(["deliveries".to_owned(), "webhooks".to_owned()]) {
        writeln!(shown, "{path}: {}", caller.read(&path).await).unwrap();
    }
    let url = format!("http://10.0.0.1/?token={REFUSED}");
    let refused =
        json!({ "name": "canary", "repository": "*", "format": "batch", "url": url, "headers": { "host": REFUSED } });
    let mut refusals = vec![refused];
    for (kind, member) in [("basic", "password"), ("bearer", "token"), ("verbatim", "value")] {
        let authorization = json!({ "kind": kind, "user": "a", member: format!("{REFUSED} \u{e9}") });
        refusals.push(json!({ "name": "a", "repository": "*", "format": "batch", "authorization": authorization }));
    }
    for refused in refusals {
        let refused = caller.api(Method::POST, "webhooks", Some(refused)).await;
        assert_eq!(refused.status, 422);
        writeln!(shown, "refused: {}", refused.body).unwrap();
    }
    let stranger = Caller { admin_token: PRESENTED.to_owned(), ingest_token: PRESENTED.to_owned(), ..caller.clone() };
    let stranger_asks = [stranger.api(Method::GET, "webhooks", None).await, send(stranger.report_request("{}")).await];
    for answer in stranger_asks {
        assert_eq!(answer.status, 401);
        writeln!(shown, "stranger: {}", answer.body).unwrap();
    }
    writeln!(shown, "metrics: {}", caller.admin("/metrics").await.body).unwrap();
    shown
}

/// One webhook for each way in which an attempt may end, and what each signs with after a rotation.
async fn set_up(caller: &Caller, receiver: &Receiver) -> (Vec<Made>, Vec<String>) {
    receiver.answer_always_at("/refuses", Answer::Status(500));
    receiver.answer_always_at("/gone", Answer::Status(410));
    receiver.answer_always_at("/closes", Answer::Close);
    // A port that nobody listens on.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut made = Vec::new();
    for (number, path) in ["accepts", "refuses", "gone", "closes"].into_iter().enumerate() {
        made.push(add(caller, (&format!("team/{path}"), receiver.url(&format!("/{path}"))), proof(number)).await);
    }
    made.push(add(caller, ("team/down", format!("http://{nobody}/")), proof(1)).await);
    let mut rotated = Vec::new();
    for webhook in &made {
        let answer = caller.api(Method::POST, &format!("webhooks/{}/rotate", webhook.id), None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        rotated.push(answer.json()["secret"].as_str().unwrap().to_owned());
    }
    (made, rotated)
}

/// Has one push delivered to each, until every delivery has come to its end.
async fn deliver(caller: &Caller) {
    for name in ["accepts", "refuses", "gone", "closes", "down"] {
        caller.report(&push(&format!("e-{name}"), &format!("team/{name}"), "1.0")).await;
    }
    let ended = async || {
        let page = caller.read("deliveries").await;
        let items = page["items"].as_array().unwrap();
        let states: Vec<&str> = items.iter().map(|item| item["state"].as_str().unwrap()).collect();
        let count = |state: &str| states.iter().filter(|found| **found == state).count();
        (count("delivered") == 1 && count("dead") == 4).then_some(())
    };
    wait::until("one success and four failures", ended).await;
}

/// Their receivers did get them.
fn assert_arrived(receiver: &Receiver, made: &[Made]) {
    let requests = receiver.requests();
    let at = |path| requests.iter().find(|request| request.path_and_query.starts_with(path)).unwrap();
    let accepted = at("/accepts");
    assert_eq!(accepted.path_and_query, format!("/accepts?token={QUERY}"));
    assert_signed(accepted, &made[0]);
    for (path, value) in [
        ("/accepts", format!("Bearer {HEADER}")),
        ("/refuses", format!("Basic {}", basic())),
        ("/gone", format!("Bearer {TOKEN}")),
        ("/closes", VALUE.to_owned()),
    ] {
        assert_eq!(header(at(path), "authorization"), value);
    }
}

/// Whether a text stands in bytes.
pub(crate) fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn basic() -> String {
    STANDARD.encode(format!("alice:{PASSWORD}"))
}

/// The private keys that are kept, and the dead letters as their readers see them.
async fn kept(home: &Home) -> (Vec<String>, String) {
    let bus = home.open();
    let webhooks = bus.webhooks(&PageRequest { after: None, limit: 100 }).await.unwrap().items;
    let keys = webhooks.iter().filter_map(|webhook| webhook.proofs.key.as_ref());
    let keys = keys.flat_map(|key| key.older.iter().map(|old| &old.key).chain([&key.current]));
    let keys = keys.map(SigningKey::expose).collect();
    let letters = bus.dead_letters(0, 100).await.unwrap();
    assert_eq!(letters.len(), 4);
    let mut shown = String::new();
    for letter in letters {
        let headers = &letter.headers;
        writeln!(shown, "letter: {} {headers:?} {}", letter.reason, String::from_utf8_lossy(&letter.body)).unwrap();
    }
    bus.close().await;
    (keys, shown)
}

#[tokio::test]
async fn secrets_are_seen_by_their_receivers_alone() {
    let collector = Receiver::start().await;
    let home = Home::new()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url(""))
        .with("DOCKBELL_LOG_FILTER", "trace")
        .with("DOCKBELL_ADMIN_TOKEN", ADMIN)
        .with("DOCKBELL_INGEST_TOKEN", INGEST)
        .with("DOCKBELL_DELIVERY_SCHEDULE", "50ms");
    let (receiver, dockbell) = (Receiver::start().await, home.up().await);
    let caller = &dockbell.caller;
    let (made, rotated) = set_up(caller, &receiver).await;
    deliver(caller).await;
    let change = json!({ "url": format!("{}?token={QUERY}", receiver.url("/accepts")) });
    let changed = caller.api(Method::PATCH, &format!("webhooks/{}", made[0].id), Some(change)).await;
    let mut shown = shown(caller).await + &changed.body;
    let ended = dockbell.stop_well().await;
    assert!(ended.stderr.contains("\"level\":\"TRACE\""), "the log is as talkative as can be");
    shown += &ended.stderr;
    let exports = collector.requests();
    assert!(exports.len() >= 2, "spans and metrics were sent");
    shown.extend(exports.iter().map(|export| String::from_utf8_lossy(&export.body)));
    assert_arrived(&receiver, &made);
    let (keys, letters) = kept(&home).await;
    assert_eq!(keys.len(), 8, "all but the first have one, and had another");
    shown += &letters;

    let signing = made.iter().map(|made| &made.secret).chain(&rotated).chain(&keys);
    let signing = signing.map(|secret| secret.trim_start_matches("whsec_").trim_start_matches("whsk_"));
    // Of a private key the half that is public may be seen.
    let signing = signing.map(|secret| secret.get(..32).unwrap());
    let basic = basic();
    let fixed = [QUERY, HEADER, ADMIN, INGEST, PRESENTED, REFUSED, PASSWORD, TOKEN, VALUE, &basic, "whsk_"];
    let database =
        ["dockbell.db", "dockbell.db-wal"].map(|name| std::fs::read(home.data().join(name)).unwrap_or_default());
    let database = database.concat();
    assert!(holds(&database, "team/accepts"), "what is no secret is found in the database");
    for secret in fixed.into_iter().chain(signing) {
        assert!(!holds(&database, secret), "{secret} stands in the database as it is");
        let lines: Vec<&str> = shown.lines().filter(|line| line.contains(secret)).collect();
        assert!(lines.is_empty(), "{secret} is seen in {lines:#?}");
    }
}

/// The operator changes the key that seals while Dockbell runs, and the next start needs the new one alone.
#[tokio::test]
async fn the_key_that_seals_is_changed_by_its_file_and_one_command() {
    let home = Home::new();
    let old = home.run(&["secrets", "new-key"]).await.stdout;
    let new = home.run(&["secrets", "new-key"]).await.stdout;
    assert_ne!(old, new);
    let file = home.write("keys", &old);
    let home = home.with("DOCKBELL_SECRETS_KEY_FILE", &file);
    let (receiver, dockbell) = (Receiver::start().await, home.up().await);
    let made = add(&dockbell.caller, ("team/app", receiver.url("/")), proof(2)).await;
    home.write("keys", &format!("{new}{old}"));
    let changed = async || {
        let ended = home.operate(&dockbell, &["secrets", "reseal"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout.contains(": 1").then_some(())
    };
    wait::until("the file to be read again", changed).await;
    home.write("keys", &new);
    assert!(dockbell.stop_well().await.stderr.contains("another key seals"), "the log says so");
    let dockbell = home.up().await;
    let shown = dockbell.caller.read(&format!("webhooks/{}", made.id)).await;
    assert_eq!(shown["name"], "canary");
    dockbell.caller.report(&push("e", "team/app", "1.0")).await;
    receiver.wait_for(1).await;
    dockbell.stop_well().await;
    home.write("keys", "broken");
    let ended = home.run(&["check-config"]).await;
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.stderr.contains("line 1 of the file of keys"), "{ended:?}");
}
