//! How sources show their secrets to the intake, and what they ask before they send anything.

use std::io;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use dockbell_backends::Bus as _;
use dockbell_backends::bus::Queue;
use dockbell_producer::intake::router;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::harness::{Consumed, House, TOKEN};
use super::inbox::{INBOX, bus, push};

/// `alice:canary` in base64.
const BASIC: &str = "Basic YWxpY2U6Y2FuYXJ5";

fn body() -> String {
    push("1", "team/app", "x").to_string()
}

/// The HMAC-SHA256 of [`body`] under the secret, as GitHub would sign it.
fn signature(body: &str) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut code = Hmac::<sha2::Sha256>::new_from_slice(TOKEN.as_bytes()).unwrap();
    code.update(body.as_bytes());
    code.finalize().into_bytes().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

async fn send(house: &House, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    router(house.intake(house.bus.clone())).oneshot(request).await.unwrap()
}

async fn status(path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, u64) {
    let house = House::open();
    let answer = send(&house, "POST", path, headers, &body()).await;
    (answer.status().as_u16(), answer.headers().clone(), house.depth(Queue::Events).await.messages)
}

async fn json_of(answer: Response) -> (StatusCode, Value) {
    let status = answer.status();
    (status, serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap())
}

#[tokio::test]
async fn each_source_is_opened_by_its_own_kind_of_proof_and_by_no_other() {
    let signature = signature(&body());
    let shown: [(&str, &str, (&str, &str)); 5] = [
        ("registry", "/ingest/registry", ("authorization", "Bearer canary")),
        ("basic", "/ingest/basic", ("authorization", BASIC)),
        ("verbatim", "/ingest/verbatim", ("authorization", "canary")),
        ("signed", "/ingest/signed", ("x-hub-signature-256", &signature)),
        ("path", "/ingest/path/canary", ("x-nothing", "1")),
    ];
    for (source, path, header) in shown {
        assert_eq!((status(path, &[header]).await.0, status(path, &[header]).await.2), (202, 1), "{source}");
        for (other, _, wrong) in shown.iter().filter(|(other, ..)| *other != source) {
            let (status, headers, events) = status(&format!("/ingest/{source}"), &[*wrong]).await;
            assert_eq!(events, 0, "{source} by {other}");
            match source {
                "signed" | "path" => assert_eq!(status, 403, "{source} by {other}"),
                "basic" => assert_eq!(
                    (status, &headers["www-authenticate"]),
                    (401, &"Basic realm=\"dockbell\"".parse().unwrap())
                ),
                _ => assert_eq!(
                    (status, &headers["www-authenticate"]),
                    (401, &"Bearer".parse().unwrap()),
                    "{source} by {other}"
                ),
            }
        }
    }
}

#[tokio::test]
async fn a_signature_of_another_body_opens_nothing() {
    let good = signature(&body());
    for bad in [signature(&body().replace("team", "meat")), good.replace("sha256=", "sha1="), "sha256=".to_owned()] {
        let (status, _, events) = status("/ingest/signed", &[("x-hub-signature-256", &bad)]).await;
        assert_eq!((status, events), (403, 0), "{bad}");
    }
}

#[tokio::test]
async fn a_wrong_segment_of_the_path_opens_nothing() {
    for path in ["/ingest/path", "/ingest/path/", "/ingest/path/canar", "/ingest/path/Canary", "/ingest/path/canary/x"]
    {
        let (status, _, events) = status(path, &[]).await;
        assert!((status == 403 || status == 404) && events == 0, "{path}: {status}");
    }
    assert_eq!(status("/ingest/registry/canary", &[]).await.0, 401, "a path opens only what is so configured");
}

/// Everything that is logged on this thread.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Logs everything of this thread, spans with their fields included, until the guard is dropped.
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let everything =
            tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || log.clone());
        let spans = tracing_subscriber::fmt::format::FmtSpan::FULL;
        tracing::subscriber::set_default(everything.with_span_events(spans).finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn a_secret_in_a_path_reaches_no_log_no_answer_and_no_message() {
    let (house, log) = (House::open(), Log::default());
    let guard = log.capture();
    for (path, body, expected) in [
        ("/ingest/path/canary", body(), 202),
        ("/ingest/path/canary", "{".to_owned(), 400),
        ("/ingest/path/canary", json!({"events": [17]}).to_string(), 400),
        ("/ingest/path/almost-canary", body(), 403),
        ("/ingest/nobody/canary", body(), 404),
    ] {
        let answer = send(&house, "POST", path, &[], &body).await;
        assert_eq!(answer.status().as_u16(), expected, "{path}");
        let told = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&told).contains("canary"));
    }
    drop(guard);
    assert!(log.text().contains("did not show the secret") && log.text().contains("intake"), "the log is empty");
    assert!(!log.text().contains("canary"), "{}", log.text());
    let message = house.consume(Queue::Events, 1).await.remove(0);
    assert!(
        !String::from_utf8(message.body).unwrap().contains("canary")
            && !format!("{:?}", message.headers).contains("canary")
    );
}

/// GitLab puts a token of the user into the event, with which one could act as that user.
#[tokio::test]
async fn the_token_of_a_user_of_gitlab_is_neither_logged_nor_passed_on() {
    let (house, log) = (House::open(), Log::default());
    let guard = log.capture();
    let mut pushed = push("1", "group/app", "x");
    pushed["actor"] = json!({"name": "root", "user_type": "gitlab_or_ldap", "user": "eyJcanary"});
    let mut renamed = push("2", "group/app", "x");
    (renamed["action"], renamed["actor"]) = (json!("rename"), pushed["actor"].clone());
    let mut broken = pushed.clone();
    broken["target"]["tag"] = json!("-eyJ");
    let body = json!({"events": [pushed, renamed, broken]}).to_string();
    for source in ["gitlab", "registry"] {
        let answer =
            send(&house, "POST", &format!("/ingest/{source}"), &[("authorization", "Bearer canary")], &body).await;
        let (status, counts) = json_of(answer).await;
        assert_eq!((status.as_u16(), &counts["accepted"], &counts["rejected"]), (202, &json!(1), &json!(1)));
        assert!(!counts.to_string().contains("eyJ"));
    }
    house.put_on(INBOX, body, &[]).await;
    let running = house.empty_inbox(bus(&house), 1);
    house.wait_for_depth(INBOX, 0).await;
    running.stop().await;
    drop(guard);
    assert!(log.text().contains("rejected"), "the log is empty");
    assert!(!log.text().contains("eyJcanary"), "{}", log.text());
    for message in house.consume(Queue::Events, 3).await {
        assert_eq!(Consumed::event(&message).pusher.as_deref(), Some("root"));
        assert!(!String::from_utf8(message.body).unwrap().contains("eyJ"));
    }
    assert_eq!(house.bus.dead_letters(0, 10).await.unwrap(), []);
}

#[tokio::test]
async fn pings_are_answered_and_lead_to_nothing() {
    let house = House::open();
    let bearer = ("authorization", "Bearer canary");
    for (source, headers, body) in [
        ("registry", vec![bearer, ("x-github-event", "ping")], json!({"zen": "Design for failure.", "hook_id": 1})),
        ("ghcr", vec![bearer, ("x-github-event", "ping")], json!({"zen": "Design for failure.", "hook_id": 1})),
        ("registry", vec![bearer], json!({"id": "1", "timestamp": "2026-01-02T03:04:05Z", "action": "ping"})),
        ("acr", vec![bearer], json!({"action": "ping"})),
    ] {
        let (status, counts) =
            json_of(send(&house, "POST", &format!("/ingest/{source}"), &headers, &body.to_string()).await).await;
        assert_eq!((status.as_u16(), counts), (202, json!({"accepted": 0, "ignored": 1, "rejected": 0})), "{source}");
    }
    assert_eq!(house.depth(Queue::Events).await.messages, 0);
}

#[tokio::test]
async fn event_grid_gets_its_code_back_where_the_secret_is_right() {
    let house = House::open();
    let question = json!([{"id": "1", "topic": "t", "subject": "", "eventTime": "2026-01-02T03:04:05Z", "dataVersion": "2",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "512d38b6"}}]);
    let question = question.to_string();
    for path in ["/ingest/path/canary", "/ingest/eventgrid", "/ingest/registry"] {
        let answer = send(&house, "POST", path, &[("authorization", "Bearer canary")], &question).await;
        assert_eq!(json_of(answer).await, (StatusCode::OK, json!({"validationResponse": "512d38b6"})), "{path}");
    }
    assert_eq!(send(&house, "POST", "/ingest/path/wrong", &[], &question).await.status(), StatusCode::FORBIDDEN);
    let other = send(&house, "POST", "/ingest/quay", &[("authorization", "Bearer canary")], &question).await;
    assert_eq!(other.status(), StatusCode::BAD_REQUEST, "a source of another format is asked by nobody");
}

#[tokio::test]
async fn a_sender_of_cloudevents_is_told_that_it_may_send() {
    let house = House::open();
    let origin = ("webhook-request-origin", "eventemitter.example.com");
    let answer = send(&house, "OPTIONS", "/ingest/cloudevents", &[origin, ("webhook-request-rate", "120")], "").await;
    assert_eq!(answer.status(), StatusCode::OK);
    for (name, value) in
        [("webhook-allowed-origin", origin.1), ("webhook-allowed-rate", "*"), ("allow", "POST, OPTIONS")]
    {
        assert_eq!(answer.headers()[name], value);
    }
    assert_eq!(send(&house, "OPTIONS", "/ingest/nobody", &[origin], "").await.status(), StatusCode::NOT_FOUND);
    let post = send(&house, "POST", "/ingest/cloudevents", &[origin], &body()).await;
    assert_eq!(post.status(), StatusCode::UNAUTHORIZED, "to ask is not to prove");
    let long = "a".repeat(256);
    let answer = send(&house, "OPTIONS", "/ingest/cloudevents", &[("webhook-request-origin", &long)], "").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}
