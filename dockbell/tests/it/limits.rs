//! Callers that ask too often are told so, whatever they ask; nothing that was accepted depends on it.

use dockbell_testkit::wait;
use reqwest::Method;

use crate::calls::{Answer, push, send};
use crate::process::{Dockbell, Home};

/// More than may be asked at once.
const MANY: usize = 30;

async fn first_refused(ask: impl AsyncFn() -> Answer) -> Answer {
    for _ in 0..MANY {
        let answer = ask().await;
        if answer.status == 429 {
            return answer;
        }
    }
    panic!("all of them were taken");
}

async fn accepted(dockbell: &Dockbell) -> f64 {
    dockbell.caller.metric("dockbell_events_total", &["result=\"accepted\""]).await
}

#[tokio::test]
async fn who_asks_too_often_is_refused_and_may_ask_again() {
    let home = Home::new().with("DOCKBELL_LIMITS_API_PER_ADDRESS", "1").with("DOCKBELL_LIMITS_INTAKE_PER_TOKEN", "1");
    let dockbell = home.up().await;
    let caller = &dockbell.caller;
    let refused = first_refused(async || caller.api(Method::GET, "webhooks", None).await).await;
    assert_eq!(
        (refused.content_type.as_str(), refused.json()["status"].as_u64()),
        ("application/problem+json", Some(429))
    );
    // There may be room again by the time that a command has started.
    let told = async || {
        first_refused(async || caller.api(Method::GET, "webhooks", None).await).await;
        let ended = home.operate(&dockbell, &["webhooks", "list"]).await;
        (ended.code == Some(1)).then_some(ended)
    };
    let ended = wait::until("a command to be refused", told).await;
    assert!(ended.stderr.contains("too many requests of this address"), "{}", ended.stderr);
    assert_eq!(caller.admin("/readyz").await.status, 200, "monitors are not limited");

    let report = push("e", "team/app", "1").to_string();
    first_refused(async || send(caller.report_request(report.clone())).await).await;
    assert!(accepted(&dockbell).await >= 1.0);
    let limited = caller.metric("dockbell_limited_requests_total", &["listener=\"intake\"", "limit=\"token\""]).await;
    assert!(limited >= 1.0, "{limited}");
    let again = async || (caller.api(Method::GET, "webhooks", None).await.status == 200).then_some(());
    wait::until("the API to answer again", again).await;
    let taken = async || (send(caller.report_request(report.clone())).await.status == 202).then_some(());
    wait::until("the intake to take a report again", taken).await;
    dockbell.stop_well().await;
}
