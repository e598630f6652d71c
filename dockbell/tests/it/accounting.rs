//! Every event that is taken has a fate, and every delivery that is owed an end.

use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::{sample, wait};
use reqwest::Method;
use serde_json::{Value, json};

use crate::calls::{Caller, push};
use crate::process::Home;

const FATES: [&str; 6] = ["changed", "superseded", "child", "orphaned", "repeated", "stale"];

/// How a delivery ends.
const ENDS: [&str; 6] = ["delivered", "superseded", "skipped", "expired", "blocked", "dead"];

/// A push of one tag, whose digest `fill` tells apart.
fn push_of(id: &str, fill: u32) -> Value {
    push_to("team/app", id, fill)
}

fn push_to(repository: &str, id: &str, fill: u32) -> Value {
    let mut event = push(id, repository, "latest");
    event["digest"] = json!(sample::digest(fill));
    event
}

/// How many events had each fate, once they add up to those that were taken and none is held.
async fn fates(caller: &Caller, taken: f64) -> [String; FATES.len()] {
    let added_up = async || {
        let mut settled = [0.0; FATES.len()];
        for (fate, count) in FATES.iter().zip(&mut settled) {
            *count = caller.metric("dockbell_events_settled_total", &[&format!("fate=\"{fate}\"")]).await;
        }
        let held = caller.metric("dockbell_windows_held", &[]).await;
        let told = caller.metric("dockbell_events_taken_total", &[]).await;
        let is_equal = (settled.iter().sum::<f64>() + held - told).abs() < 0.5;
        // The sum of no samples is -0.
        (is_equal && held < 0.5 && (told - taken).abs() < 0.5).then(|| settled.map(|count| count.abs().to_string()))
    };
    wait::until("the fates of all events", added_up).await
}

#[tokio::test]
async fn the_fates_of_events_add_up_to_what_was_taken() {
    let home = Home::new().with("DOCKBELL_WINDOW_QUIET", "1s").with("DOCKBELL_WINDOW_MAX_WAIT", "3s");
    let (dockbell, receiver) = (home.up().await, Receiver::start().await);
    let caller = &dockbell.caller;
    caller.add_webhook(("team/app", "batch", &receiver.url("/"))).await;
    for event in [push_of("e-1", 1), push_of("e-1", 1), push_of("e-2", 2)] {
        caller.report(&event).await;
    }
    assert_eq!(fates(caller, 3.0).await, ["1", "1", "0", "0", "1", "0"]);
    // Its window has left.
    caller.report(&push_of("e-2", 2)).await;
    assert_eq!(fates(caller, 4.0).await, ["1", "1", "0", "0", "1", "1"]);
    assert_eq!(receiver.requests().len(), 1);
    dockbell.stop_well().await;
}

/// How many deliveries ended in each way, once as many have ended as were owed, and nothing is under way or waits.
async fn ends(caller: &Caller, owed: f64) -> [u32; ENDS.len()] {
    let verdicts = async |state: &str| caller.metric("dockbell_verdicts_total", &[&format!("state=\"{state}\"")]).await;
    let added_up = async || {
        let mut ended = [0.0; ENDS.len()];
        for (end, count) in ENDS.iter().zip(&mut ended) {
            *count = verdicts(end).await.abs();
        }
        let in_flight = caller.metric("dockbell_attempts_in_flight", &[]).await;
        let waiting = caller.metric("dockbell_queue_messages", &["queue=\"redeliveries\""]).await;
        ((ended.iter().sum::<f64>() - owed).abs() < 0.5 && in_flight < 0.5 && waiting < 0.5).then_some(ended)
    };
    let ended = wait::until("an end of every delivery", added_up).await;
    let all = caller.metric("dockbell_verdicts_total", &[]).await;
    let retried = verdicts("retrying").await;
    assert!((all - retried - owed).abs() < 0.5, "a verdict is an end or a retry");
    let attempts = caller.metric("dockbell_attempts_total", &[]).await;
    let [delivered, .., blocked, dead] = ended;
    assert!((attempts - delivered - blocked - dead - retried).abs() < 0.5, "what was attempted has a verdict");
    ended.map(|count| format!("{count:.0}").parse().unwrap())
}

/// A receiver that answers each webhook as its repository says.
struct Faults<'a> {
    caller: &'a Caller,
    receiver: &'a Receiver,
}

impl Faults<'_> {
    /// Makes a webhook with a policy of its own, which is answered so at first, and pushes to it once.
    async fn push_first(&self, repository: &str, answers: Vec<Answer>, policy: Value) -> String {
        let path = format!("/{repository}");
        self.receiver.answer_at(&path, answers);
        let made = self.caller.add_webhook((repository, "batch", &self.receiver.url(&path))).await;
        self.change(&made.id, json!({ "policy": policy })).await;
        self.caller.report(&push_to(repository, &format!("{repository}/1"), 1)).await;
        made.id
    }

    async fn push_again(&self, repository: &str) {
        self.caller.report(&push_to(repository, &format!("{repository}/2"), 2)).await;
    }

    async fn change(&self, id: &str, change: Value) {
        let answer = self.caller.api(Method::PATCH, &format!("webhooks/{id}"), Some(change)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    async fn until_asked(&self, repository: &str, times: usize) {
        let path = format!("/{repository}");
        let asked = async || {
            let count = self.receiver.requests().iter().filter(|request| request.path_and_query == path).count();
            (count >= times).then_some(())
        };
        wait::until(&format!("request {times} about {repository}"), asked).await;
    }

    async fn until_standing(&self, id: &str, standing: &str) {
        let stands = async || (self.caller.read(&format!("webhooks/{id}")).await["standing"] == standing).then_some(());
        wait::until(&format!("a webhook to be {standing}"), stands).await;
    }

    /// What a person sends again, once it has been delivered.
    async fn redeliver(&self, webhook: &str) {
        let delivered = async || {
            let page = self.caller.read(&format!("deliveries?webhook={webhook}&state=delivered")).await;
            page["items"][0]["id"].as_str().map(str::to_owned)
        };
        let id = wait::until("a delivery", delivered).await;
        assert_eq!(self.caller.api(Method::POST, &format!("deliveries/{id}/redeliver"), None).await.status, 202);
    }
}

#[tokio::test]
async fn the_ends_of_deliveries_add_up_to_what_was_owed_whatever_receivers_do() {
    let mut home = Home::new();
    let (dockbell, receiver) = (home.up().await, Receiver::start().await);
    let faults = Faults { caller: &dockbell.caller, receiver: &receiver };
    let failing = || vec![Answer::Status(500); 8];
    let steady = faults.push_first("team/steady", vec![Answer::Status(500)], json!({})).await;
    faults.push_first("team/dead", failing(), json!({})).await;
    faults.push_first("team/expired", failing(), json!({ "age": "2s", "schedule": ["4s", "4s"] })).await;
    let gone = faults.push_first("team/gone", vec![Answer::Status(410)], json!({})).await;
    let quick = json!({ "suspend_failures": 1, "suspend_deliveries": 1, "suspend_span": "0s", "cooldown": "6s" });
    let suspended = faults.push_first("team/suspended", vec![Answer::Status(500)], quick).await;
    faults.until_standing(&suspended, "suspended").await;
    faults.push_again("team/suspended").await;
    let slow = json!({ "schedule": ["8s", "1s"] });
    faults.push_first("team/superseded", vec![Answer::Status(503)], slow).await;

    faults.until_asked("team/superseded", 1).await;
    faults.push_again("team/superseded").await;
    faults.until_standing(&gone, "disabled").await;
    faults.push_again("team/gone").await;
    faults.redeliver(&steady).await;
    // Six first pushes, three second ones, and what a person asked for.
    let [delivered, superseded, skipped, expired, blocked, dead] = ends(&dockbell.caller, 10.0).await;
    // What is suspended ends with its newest push, delivered after its first or in place of it.
    assert_eq!([delivered + superseded, skipped, expired, blocked, dead], [6, 1, 1, 0, 2]);
    assert!(delivered >= 4 && superseded >= 1, "{delivered} delivered, {superseded} superseded");
    dockbell.stop_well().await;

    // A port that nobody listens on is all that is allowed from now on.
    home = home.with("DOCKBELL_TARGETS_ALLOW", "127.0.0.1:1");
    let dockbell = home.up().await;
    Faults { caller: &dockbell.caller, receiver: &receiver }.push_again("team/steady").await;
    assert_eq!(ends(&dockbell.caller, 1.0).await, [0, 0, 0, 0, 1, 0]);
    dockbell.stop_well().await;
}
