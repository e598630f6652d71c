//! Secrets go where they must, and appear nowhere else.

use std::fmt::Write as _;

use dockbell_backends::Bus as _;
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::wait;
use reqwest::Method;
use serde_json::json;

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

async fn add(caller: &Caller, (repository, url): (&str, String)) -> Made {
    let webhook = json!({
        "name": "canary", "repository": repository, "format": "batch", "url": format!("{url}?token={QUERY}"),
        "headers": { "authorization": format!("Bearer {HEADER}") },
    });
    let answer = caller.api(Method::POST, "webhooks", Some(webhook)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let made = answer.json();
    assert!(!made["url"].as_str().unwrap().contains(QUERY) && !answer.body.contains(HEADER), "{made}");
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
    let refused = caller.api(Method::POST, "webhooks", Some(refused)).await;
    assert_eq!(refused.status, 422);
    writeln!(shown, "refused: {}", refused.body).unwrap();
    let stranger = Caller { admin_token: PRESENTED.to_owned(), ingest_token: PRESENTED.to_owned(), ..caller.clone() };
    let stranger_asks = [stranger.api(Method::GET, "webhooks", None).await, send(stranger.report_request("{}")).await];
    for answer in stranger_asks {
        assert_eq!(answer.status, 401);
        writeln!(shown, "stranger: {}", answer.body).unwrap();
    }
    writeln!(shown, "metrics: {}", caller.admin("/metrics").await.body).unwrap();
    shown
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
    receiver.answer_always_at("/refuses", Answer::Status(500));
    receiver.answer_always_at("/gone", Answer::Status(410));
    receiver.answer_always_at("/closes", Answer::Close);
    // A port that nobody listens on.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut made = Vec::new();
    for path in ["accepts", "refuses", "gone", "closes"] {
        made.push(add(caller, (&format!("team/{path}"), receiver.url(&format!("/{path}")))).await);
    }
    made.push(add(caller, ("team/down", format!("http://{nobody}/"))).await);
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
    let change = json!({ "url": format!("{}?token={QUERY}", receiver.url("/accepts")) });
    let changed = caller.api(Method::PATCH, &format!("webhooks/{}", made[0].id), Some(change)).await;
    let mut shown = shown(caller).await + &changed.body;
    let ended = dockbell.stop_well().await;
    assert!(ended.stderr.contains("\"level\":\"TRACE\""), "the log is as talkative as can be");
    shown += &ended.stderr;
    let exports = collector.requests();
    assert!(exports.len() >= 2, "spans and metrics were sent");
    shown.extend(exports.iter().map(|export| String::from_utf8_lossy(&export.body)));

    // Their receivers did get them.
    let requests = receiver.requests();
    let accepted = requests.iter().find(|request| request.path_and_query.starts_with("/accepts")).unwrap();
    assert_eq!(accepted.path_and_query, format!("/accepts?token={QUERY}"));
    assert_eq!(header(accepted, "authorization"), format!("Bearer {HEADER}"));
    assert_signed(accepted, &made[0]);

    let bus = home.open();
    let letters = bus.dead_letters(0, 100).await.unwrap();
    assert_eq!(letters.len(), 4);
    for letter in letters {
        let headers = &letter.headers;
        writeln!(shown, "letter: {} {headers:?} {}", letter.reason, String::from_utf8_lossy(&letter.body)).unwrap();
    }
    bus.close().await;
    let signing = made.iter().flat_map(|made| [made.secret.as_str(), made.secret.trim_start_matches("whsec_")]);
    for secret in [QUERY, HEADER, ADMIN, INGEST, PRESENTED, REFUSED].into_iter().chain(signing) {
        let lines: Vec<&str> = shown.lines().filter(|line| line.contains(secret)).collect();
        assert!(lines.is_empty(), "{secret} is seen in {lines:#?}");
    }
}
