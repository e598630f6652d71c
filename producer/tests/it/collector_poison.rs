//! What stands on the events queue and is no event.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use dockbell_backends::Bus as _;
use dockbell_backends::bus::Queue;
use dockbell_producer::intake::router;
use dockbell_testkit::sample::event;
use dockbell_testkit::wait;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::harness::{House, LONG, TOKEN, policy};

fn native() -> Value {
    serde_json::to_value(event("1", "team/app", Some("x"), 0)).unwrap()
}

#[tokio::test]
async fn poison_is_kept_with_its_reason_and_harms_no_neighbour() {
    let house = House::open();
    let mut nameless = native();
    nameless["repository"] = json!("..");
    house.take_in(&event("1", "team/app", Some("x"), 1)).await;
    house.put("{", &[]).await;
    house.put([0xff, 0xfe], &[]).await;
    house.put(r#"{"schema": "dockbell.event/99"}"#, &[]).await;
    house.put(nameless.to_string(), &[]).await;
    house.put(r#"{"action": "push", "target": {}}"#, &[("dockbell-source", "unheard-of")]).await;
    house.take_in(&event("2", "team/app", Some("x"), 2)).await;
    let running = house.collect(policy(LONG, 2));
    assert_eq!(house.batch().await.0.events, 2);
    house.wait_for_depth(Queue::Events, 0).await;
    running.stop().await;

    let letters = house.bus.dead_letters(0, 10).await.unwrap();
    let reasons = ["not JSON", "not JSON", "expected", "`repository` is not", "a source that is not configured"];
    assert_eq!(letters.len(), reasons.len());
    for (letter, reason) in letters.iter().zip(reasons) {
        assert!(letter.reason.contains(reason), "{} is not {reason}", letter.reason);
        assert_eq!(letter.queue, Queue::Events);
    }
    assert_eq!(letters[0].body, "{");
}

#[tokio::test]
async fn noise_of_a_foreign_publisher_is_settled() {
    let house = House::open();
    house.put(r#"{"events": []}"#, &[]).await;
    house.put(r#"{"action": "pull", "target": {"repository": "a"}}"#, &[]).await;
    let running = house.collect(policy(LONG, 2));
    house.wait_for_depth(Queue::Events, 0).await;
    running.stop().await;
    assert_eq!(house.bus.dead_letters(0, 10).await.unwrap(), []);
}

/// Whatever a source sends, our own intake puts native events on the bus, in its name.
#[tokio::test]
async fn what_an_intake_took_in_is_collected_whatever_the_format_of_its_source() {
    for (source, body) in [
        ("own", native()),
        (
            "lab",
            json!({"action": "push", "target": {"repository": "a", "tag": "x", "url": "http://h/v2/a/manifests/x"}}),
        ),
        ("registry", native()),
    ] {
        let house = House::open();
        let request = Request::post(format!("/ingest/{source}")).header("authorization", format!("Bearer {TOKEN}"));
        let intake = router(house.intake(house.bus.clone()));
        let answer = intake.oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let running = house.collect(policy(LONG, 1));
        wait::until("the event to be settled", async || (house.depth(Queue::Events).await.messages == 0).then_some(()))
            .await;
        running.stop().await;
        assert_eq!(house.bus.dead_letters(0, 10).await.unwrap(), [], "{source}");
        assert_eq!(house.depth(Queue::Deliveries).await.messages, 1, "{source}");
    }
}

/// What was accepted from a source is not lost because an operator renames it meanwhile.
#[tokio::test]
async fn a_native_event_of_a_source_that_is_configured_no_more_is_collected() {
    let house = House::open();
    house.put(native().to_string(), &[("dockbell-source", "unheard-of")]).await;
    let running = house.collect(policy(LONG, 1));
    assert_eq!(house.batch().await.0.events, 1);
    running.stop().await;
    assert_eq!(house.bus.dead_letters(0, 10).await.unwrap(), []);
}
