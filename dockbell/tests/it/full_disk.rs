//! The disk of the data folder is full, and has room again.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::wait;
use serde_json::{Value, json};

use crate::calls::{Caller, push};
use crate::payload::{event_ids, json as body};
use crate::process::Home;

/// What the data folder has room for.
const SIZE: &str = "16m";
/// Nearly as large as the description of a repository may be, so that pages are used up soon.
const DESCRIPTION: usize = 24_000;
/// Events accepted before the disk is full, and more than enough to use up the pages that are there already.
const BEFORE: usize = 20;
const MOST: usize = 2_000;
/// As many as a schedule may have.
const PAUSES: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_the_intake_refuses_and_goes_on_by_itself_when_there_is_room() {
    if !may_mount() {
        eprintln!("skipped: a file system of its own needs root");
        return;
    }
    let receiver = Receiver::start().await;
    let home = Home::new()
        .with("DOCKBELL_ADMIN_TOKEN", "admin")
        .with("DOCKBELL_INGEST_TOKEN", "ingest")
        .with("DOCKBELL_DELIVERY_SCHEDULE", &["1s"; PAUSES].join(","))
        .with("DOCKBELL_POLICY_SUSPEND_FAILURES", "1000000")
        .on_disk_of(SIZE);
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("*", "batch", &receiver.url("/"))).await;
    // What is owed stays on the disk.
    receiver.answer_always(Answer::Status(500));
    let mut accepted: BTreeSet<String> = BTreeSet::new();
    for number in 0..BEFORE {
        accepted.insert(report(&dockbell.caller, number).await.expect("there is room"));
    }
    let filling = fill(&dockbell.seen_from_outside(&home.data()));
    let mut refusal = None;
    for number in BEFORE..MOST {
        match report(&dockbell.caller, number).await {
            Ok(id) => accepted.insert(id),
            Err(status) => {
                refusal = Some((number, status));
                break;
            }
        };
    }
    let (refused, status) = refusal.expect("the disk is full");
    assert!([503, 507].contains(&status), "{status}");
    assert_eq!(dockbell.caller.admin("/livez").await.status, 200, "it waits for room");
    std::fs::remove_file(filling).unwrap();
    receiver.answer_always(Answer::Status(200));
    let again = async || report(&dockbell.caller, refused).await.ok();
    accepted.insert(wait::until("the refused event to be accepted", again).await);
    let told = || {
        let taken = receiver.requests().into_iter().filter(|request| request.answer == Answer::Status(200));
        taken.flat_map(|request| event_ids(&body(&request))).collect::<BTreeSet<_>>()
    };
    wait::until("all that was accepted", async || told().is_superset(&accepted).then_some(())).await;
    dockbell.stop_well().await;
}

/// Reports an event of this number, and returns its id if it was accepted, and else the status.
async fn report(caller: &Caller, number: usize) -> Result<String, u16> {
    let id = format!("e-{number}");
    let answer = caller.report_request(large(&id).to_string()).send().await.unwrap();
    if answer.status() == 202 { Ok(id) } else { Err(answer.status().as_u16()) }
}

fn large(id: &str) -> Value {
    let mut event = push(id, &format!("team/{id}"), "t");
    event["metadata"] = json!({ "full_description": "x".repeat(DESCRIPTION) });
    event
}

/// Takes all the room there is.
fn fill(folder: &Path) -> PathBuf {
    let path = folder.join("filling");
    let mut file = std::fs::File::create(&path).unwrap();
    for size in [64 * 1024, 4 * 1024] {
        let chunk = vec![0; size];
        while file.write_all(&chunk).is_ok() {}
    }
    path
}

fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    tried.is_ok_and(|tried| tried.status.success())
}
