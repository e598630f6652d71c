use std::net::TcpListener;

use dockbell_proto::clock::SystemClock;
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::sample::moment;

use super::*;

const DEADLINES: Deadlines = Deadlines { connect: Duration::from_secs(2), total: Duration::from_millis(400) };
/// Long enough never to be reached by a test that passes.
const PATIENT: Deadlines = Deadlines { connect: Duration::from_secs(30), total: Duration::from_secs(30) };

fn policy(allowed: &str) -> Arc<AddressPolicy> {
    Arc::new(AddressPolicy::new(
        allowed.split(' ').filter(|text| !text.is_empty()).map(|text| text.parse().unwrap()).collect(),
    ))
}

async fn post_to(url: &str, allowed: &str, deadlines: Deadlines) -> Exchange {
    let outside = Outside { names: Arc::new(Names::new(Vec::new())), roots: Roots::default(), proxy: None };
    let transport = Transport::new(&outside, &policy(allowed), deadlines, Arc::new(SystemClock)).unwrap();
    // The URL is judged by a policy that permits it, so that what is tested is the connection.
    let url = TargetUrl::parse(url, &policy("127.0.0.0/8")).unwrap();
    transport.post(Post { url, headers: HeaderMap::new(), body: Bytes::from_static(b"{}") }).await
}

async fn answered(answer: Answer, deadlines: Deadlines) -> Exchange {
    let receiver = Receiver::start().await;
    receiver.answer_always(answer);
    post_to(&receiver.url("/a"), "127.0.0.0/8", deadlines).await
}

#[tokio::test]
async fn the_status_decides_and_a_redirect_is_not_followed() {
    assert_eq!(answered(Answer::Status(204), PATIENT).await.outcome, Outcome::Accepted { status: 204 });
    assert_eq!(
        answered(Answer::Status(500), PATIENT).await.outcome,
        Outcome::Refused { status: 500, retry_after: None }
    );
    let receiver = Receiver::start().await;
    receiver.answer_always(Answer::StatusWithHeaders(307, vec![("location", receiver.url("/elsewhere"))]));
    let exchange = post_to(&receiver.url("/a"), "127.0.0.0/8", PATIENT).await;
    assert_eq!(exchange.outcome, Outcome::Refused { status: 307, retry_after: None });
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn the_query_arrives_untouched() {
    let receiver = Receiver::start().await;
    post_to(&receiver.url("/a?token=a%2Fb&x=1+2&empty="), "127.0.0.0/8", PATIENT).await;
    assert_eq!(receiver.wait_for(1).await[0].path_and_query, "/a?token=a%2Fb&x=1+2&empty=");
}

#[tokio::test]
async fn one_deadline_covers_head_and_body() {
    let hanging = answered(Answer::Hang, DEADLINES).await;
    assert_eq!(hanging.outcome, Outcome::TimedOut { phase: Phase::Headers });
    assert!(hanging.took >= DEADLINES.total);
    let trickling = answered(Answer::SlowBody, DEADLINES).await;
    assert_eq!(trickling.outcome, Outcome::TimedOut { phase: Phase::Body });
}

#[tokio::test]
async fn an_endless_body_is_cut_and_its_status_counts() {
    let exchange = answered(Answer::EndlessBody, PATIENT).await;
    assert_eq!((exchange.outcome, exchange.body.len()), (Outcome::Accepted { status: 200 }, BODY_KEPT));
}

#[tokio::test]
async fn a_connection_that_fails_is_told_without_the_url() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let exchange = post_to(&format!("http://{closed}/canary?token=canary"), "127.0.0.0/8", PATIENT).await;
    assert_eq!(exchange.outcome, Outcome::Unreachable { reason: "the connection was refused".to_owned() });
    let Outcome::Unreachable { reason } = answered(Answer::Close, PATIENT).await.outcome else { panic!("reached") };
    assert!(!reason.contains("canary") && !reason.contains("127.0.0.1"), "{reason}");
}

#[tokio::test]
async fn a_name_that_leads_to_a_forbidden_address_is_blocked_before_anything_is_dialled() {
    let receiver = Receiver::start().await;
    let port = receiver.addr().port();
    let url = format!("http://localhost:{port}/a");
    for allowed in ["", "127.0.0.1:1"] {
        let exchange = post_to(&url, allowed, PATIENT).await;
        assert!(
            matches!(&exchange.outcome, Outcome::Blocked { reason } if !reason.contains("127.")),
            "{allowed}: {exchange:?}"
        );
    }
    assert!(receiver.requests().is_empty());
    let exact = post_to(&url, &format!("127.0.0.1:{port} [::1]:{port}"), PATIENT).await;
    assert_eq!(exact.outcome, Outcome::Accepted { status: 200 });
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let read = |text| retry_after(text, moment());
    assert_eq!(read("120"), Some(Duration::from_mins(2)));
    assert_eq!(read("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
    assert_eq!(read("Fri, 02 Jan 2026 03:05:05 GMT"), Some(Duration::from_mins(1)));
    assert_eq!(read("Fri, 02 Jan 2026 03:00:00 GMT"), Some(Duration::ZERO));
    for text in ["", "-1", "soon", "1.5"] {
        assert_eq!(read(text), None, "{text}");
    }
}
