//! No delivery is lost, and none is made twice without need, at whichever point a deliverer dies.

use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::wait;
use serde_json::Value;

use crate::calls::{Caller, push};
use crate::payload::{event_ids, json};
use crate::process::Home;

/// The points of a deliverer on the way of a delivery, and how many requests were made there that nobody recorded: only
/// who dies between a request and its record makes it again, and then always.
const POINTS: [(&str, usize); 9] = [
    ("message handed out", 0),
    ("standing looked up", 0),
    ("attempt begun", 0),
    (REQUEST_SEEN, 1),
    ("answer read", 1),
    ("attempt recorded", 0),
    ("verdict carried out", 0),
    ("message settled", 0),
    // The second passage is that of the retry.
    ("attempt recorded:2", 0),
];

/// Only the receiver can tell that a request has left for good, so that here it is the test that ends the process.
const REQUEST_SEEN: &str = "request seen";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_repeated_without_need_wherever_a_deliverer_dies() {
    let receiver = Receiver::start().await;
    let mut home = Home::new().with("DOCKBELL_WINDOW_QUIET", "100ms").with("DOCKBELL_DELIVERY_SCHEDULE", "200ms,200ms");
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("*", "batch", &receiver.url("/"))).await;
    dockbell.stop_well().await;
    for (index, (point, unrecorded)) in POINTS.iter().enumerate() {
        // The first attempt fails, so that there is a retry to lose.
        receiver.answer_with(vec![if *point == REQUEST_SEEN { Answer::Hang } else { Answer::Status(500) }]);
        home = home.with("FAILPOINT", &end_at(point));
        let dockbell = home.up().await;
        let seen = receiver.requests().len();
        dockbell.caller.report(&push(&format!("e-{index}"), &format!("team/app-{index}"), "t")).await;
        if *point == REQUEST_SEEN {
            receiver.wait_for(seen + 1).await;
            dockbell.kill().await;
        } else {
            assert_eq!(dockbell.ended().await.code, None, "{point} ends it");
        }
        home = home.with("FAILPOINT", "");
        let dockbell = home.up().await;
        let delivery = until_delivered(&dockbell.caller, &format!("team/app-{index}")).await;
        let recorded = delivery["attempts"].as_array().unwrap().len();
        let made = requests(&receiver, &format!("e-{index}"));
        eprintln!("{point}: {made} requests, {recorded} recorded");
        assert_eq!(made, recorded + unrecorded, "{point}: {recorded} requests are recorded");
        let webhook = dockbell.caller.read("webhooks").await["items"][0].clone();
        assert_eq!((&webhook["health"]["consecutive_failures"], &webhook["health"]["waiting"]), (&0.into(), &0.into()));
        dockbell.stop_well().await;
    }
}

/// The failpoint of a point; none, if it has none.
fn end_at(point: &str) -> String {
    match point {
        REQUEST_SEEN => String::new(),
        point if point.contains(':') => point.to_owned(),
        point => format!("{point}:1"),
    }
}

async fn until_delivered(caller: &Caller, repository: &str) -> Value {
    let delivered = async || {
        let page = caller.read("deliveries?state=delivered&limit=100").await;
        let found = page["items"].as_array()?.iter().find(|delivery| delivery["repository"] == repository)?.clone();
        Some(caller.read(&format!("deliveries/{}", found["id"].as_str()?)).await)
    };
    wait::until(&format!("what {repository} is owed to be delivered"), delivered).await
}

fn requests(receiver: &Receiver, event: &str) -> usize {
    receiver.requests().iter().filter(|request| event_ids(&json(request)).iter().any(|id| id == event)).count()
}
