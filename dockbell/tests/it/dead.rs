//! What was given up, as an operator deals with it from the command line.

use dockbell_backends::Bus as _;
use dockbell_backends::bus::{Outgoing, Queue};
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::wait;
use serde_json::{Value, json};

use crate::calls::push;
use crate::payload::delivery_id;
use crate::process::{Dockbell, Home};

/// A command that must succeed; what it says.
async fn operate(home: &Home, dockbell: &Dockbell, arguments: &[&str]) -> String {
    let ended = home.operate(dockbell, arguments).await;
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    ended.stdout
}

/// The dead letters, once there are `count`.
async fn letters(home: &Home, dockbell: &Dockbell, more: &[&str], count: usize) -> Vec<Value> {
    let arguments = [&["dead", "list", "--json"], more].concat();
    wait::until("dead letters", async || {
        let page: Value = serde_json::from_str(&operate(home, dockbell, &arguments).await).unwrap();
        Some(page["items"].as_array().unwrap().clone()).filter(|items| items.len() == count)
    })
    .await
}

#[tokio::test]
async fn a_dead_letter_is_looked_at_and_revived_or_discarded() {
    let (home, receiver) = (Home::new().with("DOCKBELL_DELIVERY_SCHEDULE", "50ms"), Receiver::start().await);
    let dockbell = home.up().await;
    let webhook = dockbell.caller.add_webhook(("team/app", "alin", &receiver.url("/"))).await.id;
    receiver.answer_always(Answer::StatusWithBody(500, "out of order".to_owned()));
    dockbell.caller.report(&push("e-1", "team/app", "1.0")).await;
    let id = letters(&home, &dockbell, &[], 1).await[0]["delivery"].as_str().unwrap().to_owned();
    let shown = operate(&home, &dockbell, &["dead", "show", &id]).await;
    for word in
        ["given up after 2 attempts", "hub.test/team/app", "refused (HTTP 500)", "out of order", "dockbell.delivery/1"]
    {
        assert!(shown.contains(word), "{word:?} is not shown: {shown}");
    }

    let sent = receiver.requests().len();
    receiver.answer_always(Answer::Status(200));
    let revived = operate(&home, &dockbell, &["dead", "revive", &id]).await;
    assert_eq!(revived, "dead letters revived: 1\n");
    let requests = receiver.wait_for(sent + 1).await;
    assert!(requests.iter().all(|request| delivery_id(request) == id), "all attempts carry one id");
    letters(&home, &dockbell, &[], 0).await;
    assert_eq!(letters(&home, &dockbell, &["--mark", "any"], 1).await[0]["mark"], "revived");

    receiver.answer_always(Answer::Status(410));
    dockbell.caller.report(&push("e-2", "team/app", "2.0")).await;
    dockbell.caller.report(&push("e-3", "team/app", "3.0")).await;
    letters(&home, &dockbell, &[], 2).await;
    let discarded = operate(&home, &dockbell, &["dead", "discard", "--webhook", &webhook]).await;
    assert_eq!(discarded, "dead letters discarded: 2\n");
    letters(&home, &dockbell, &["--webhook", &webhook], 0).await;
    let table = operate(&home, &dockbell, &["dead", "list", "--mark", "discarded"]).await;
    assert_eq!(table.matches("discarded").count(), 2, "{table}");

    let nobody = home.operate(&dockbell, &["dead", "revive", "msg_00000000000000000000000000000000"]).await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("no dead letter of the delivery msg_0"), "{}", nobody.stderr);
    assert_eq!(operate(&home, &dockbell, &["unrouted", "replay"]).await, "strays on their way: 0\n");
    dockbell.stop_well().await;
}

#[tokio::test]
async fn what_could_not_be_read_is_revived_unchanged() {
    let home = Home::new();
    home.up().await.stop_well().await;
    let bus = home.open();
    let headers = vec![("dockbell-source".to_owned(), "later".to_owned())];
    let target = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": "team/app", "tag": "1.0",
        "digest": dockbell_testkit::sample::digest(2),
    });
    let event = json!({ "action": "push", "target": target, "request": { "host": "hub.test" } });
    let body = json!({ "events": [event] }).to_string().into();
    let message = Outgoing { id: "foreign".to_owned(), key: "k".to_owned(), headers, body, maybe_repeated: false };
    bus.publish(Queue::Events, message).await.unwrap();
    bus.close().await;

    let dockbell = home.up().await;
    let letter = letters(&home, &dockbell, &["--queue", "events"], 1).await.remove(0);
    assert!(letter["reason"].as_str().unwrap().contains("dockbell-source"), "{letter}");
    dockbell.stop_well().await;
    // Its source is known from now on.
    let (home, receiver) =
        (home.with("DOCKBELL_SOURCES", "later").with("DOCKBELL_SOURCES_LATER_TOKEN", "t"), Receiver::start().await);
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("team/app", "alin", &receiver.url("/"))).await;
    let revived = operate(&home, &dockbell, &["dead", "revive", &letter["position"].to_string()]).await;
    assert!(revived.contains("is on its queue again"), "{revived}");
    receiver.wait_for(1).await;
    letters(&home, &dockbell, &[], 0).await;
    dockbell.stop_well().await;
}
