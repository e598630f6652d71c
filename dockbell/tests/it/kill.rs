//! Nothing that was accepted is lost, whenever the process is killed.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockbell_backends::Bus as _;
use dockbell_backends::bus::Queue;
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::wait;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::calls::{Caller, Made, push};
use crate::payload::{delivery_id, event_ids, expected_id, json, tag, tag_id};
use crate::process::Home;

const KILLS: usize = 20;
/// Reporters that report at once, each one event after the other.
const REPORTERS: u64 = 4;
/// The pause of a reporter, so that the load is the same on every machine that keeps up.
const PACE: Duration = Duration::from_millis(5);
/// How long a process lives at most, in milliseconds.
const LIFE_MS: u64 = 1000;
const REFUSED: Answer = Answer::Status(500);
/// The receiver takes its time, so that kills find attempts under way.
const ANSWERED_AFTER: Duration = Duration::from_millis(50);
const REPOSITORIES: u64 = 8;
/// The repository with a webhook per tag.
const TAGGED: &str = "load/app-0";
/// Until what is left over from the last kill is done.
const ROUNDS: usize = 10;
/// Less than a wait takes to fail, to tell what was waited for.
const DEADLINE: Duration = Duration::from_secs(50);

/// What the reporters know.
#[derive(Default)]
struct Reports {
    /// Ids of events that were answered with 202, with their repositories.
    accepted: Mutex<HashMap<String, String>>,
    /// Requests that had been sent when the process was killed.
    cut_off: AtomicU64,
    next: AtomicU64,
    is_over: AtomicBool,
}

impl Reports {
    /// Reports events of its own until it is over. Like a registry, it repeats what was not accepted.
    async fn report(self: Arc<Self>, caller: watch::Receiver<Caller>) {
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let (id, repository) = (format!("e-{number}"), format!("load/app-{}", number % REPOSITORIES));
            let body = push(&id, &repository, &format!("t-{number}")).to_string();
            while !self.is_over.load(Ordering::Relaxed) {
                let request = caller.borrow().report_request(body.clone());
                match request.send().await {
                    Ok(response) if response.status() == 202 => {
                        self.accepted.lock().unwrap().insert(id, repository);
                        break;
                    }
                    Ok(response) => assert_eq!(response.status(), 503, "a good event is taken or put off"),
                    Err(error) if error.is_connect() => {}
                    Err(_) => drop(self.cut_off.fetch_add(1, Ordering::Relaxed)),
                }
                sleep(PACE).await;
            }
            sleep(PACE).await;
        }
    }
}

/// What the receiver got, read once.
#[derive(Default)]
struct Arrived {
    requests: usize,
    /// How often each delivery was attempted, by path and id.
    attempts: HashMap<(String, String), usize>,
    events: HashSet<String>,
    tags: HashSet<String>,
}

impl Arrived {
    /// Reads what is new. Every id must be the one that follows from the payload, so that whatever is made again
    /// from the same newest event has the same id.
    fn read(&mut self, receiver: &Receiver, (batch, dockerhub): (&Made, &Made)) {
        let requests = receiver.requests();
        for request in requests.iter().skip(self.requests) {
            let (id, payload) = (delivery_id(request), json(request));
            *self.attempts.entry((request.path_and_query.clone(), id.to_owned())).or_default() += 1;
            if request.path_and_query == "/batch" {
                assert_eq!(expected_id(&payload, batch).as_str(), id);
                self.events.extend(event_ids(&payload).map(str::to_owned));
            } else {
                let tag = tag(request);
                let event = tag.replace("t-", "e-");
                let repository = ("hub.test", payload["repository"]["repo_name"].as_str().unwrap());
                assert_eq!(tag_id(repository, (dockerhub, &tag), &event).as_str(), id);
                self.tags.extend((request.answer != REFUSED).then_some(event));
            }
        }
        self.requests = requests.len();
    }

    /// The events that were accepted and are not here, by the format that they miss.
    fn missing<'a>(&self, accepted: &'a HashMap<String, String>) -> Vec<(&'static str, &'a str)> {
        let in_batches = accepted.keys().filter(|id| !self.events.contains(*id)).map(|id| ("batch", id.as_str()));
        let tagged = accepted.iter().filter(|(id, repository)| *repository == TAGGED && !self.tags.contains(*id));
        in_batches.chain(tagged.map(|(id, _)| ("dockerhub", id.as_str()))).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_accepted_is_lost_in_twenty_kills_under_load() {
    let seed = SystemClock.now().as_microsecond().unsigned_abs();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    // Even if all refusals hit the same delivery, it is not given up.
    let pauses = ["100ms"; KILLS].join(",");
    // Windows that close often, so that kills find work in every place.
    let home = Home::new()
        .with("DOCKBELL_WINDOW_QUIET", "20ms")
        .with("DOCKBELL_WINDOW_MAX_WAIT", "100ms")
        .with("DOCKBELL_DELIVERY_SCHEDULE", &pauses);
    let receiver = Receiver::start().await;
    receiver.answer_always(Answer::Late(ANSWERED_AFTER, 200));
    let mut dockbell = home.up().await;
    let batch = dockbell.caller.add_webhook(("*", "batch", &receiver.url("/batch"))).await;
    let dockerhub = dockbell.caller.add_webhook((TAGGED, "dockerhub", &receiver.url("/dockerhub"))).await;
    let (callers, caller) = watch::channel(dockbell.caller.clone());
    let (reports, mut reporting) = (Arc::new(Reports::default()), JoinSet::new());
    for _ in 0..REPORTERS {
        reporting.spawn(Arc::clone(&reports).report(caller.clone()));
    }
    for _ in 0..KILLS {
        // So that deliveries wait for their next attempt when a kill comes.
        receiver.answer_at("/dockerhub", vec![REFUSED]);
        sleep(Duration::from_millis(rng.random_range(0..LIFE_MS))).await;
        dockbell.kill().await;
        dockbell = home.up().await;
        callers.send_replace(dockbell.caller.clone());
    }
    reports.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = reporting.join_next().await {
        ended.unwrap();
    }

    let accepted = std::mem::take(&mut *reports.accepted.lock().unwrap());
    let arrived = Mutex::new(Arrived::default());
    let all_here = async || {
        let mut arrived = arrived.lock().unwrap();
        arrived.read(&receiver, (&batch, &dockerhub));
        arrived.missing(&accepted).is_empty().then_some(())
    };
    let in_time = timeout(DEADLINE, wait::until("everything that was accepted", all_here)).await;
    let (arrived, cut_off) = (arrived.into_inner().unwrap(), reports.cut_off.load(Ordering::Relaxed));
    let missing = arrived.missing(&accepted);
    assert!(in_time.is_ok(), "these were accepted and never came: {missing:?}\n{}", dockbell.log());
    // What goes to this path is never refused, so only a kill makes it come again.
    let repeated = arrived.attempts.iter().filter(|((path, _), attempts)| path == "/batch" && **attempts > 1).count();
    eprintln!(
        "{} accepted, {cut_off} cut off, {} requests, {repeated} deliveries repeated",
        accepted.len(),
        arrived.requests
    );
    assert!(accepted.len() > KILLS, "there was load");
    assert!(cut_off > 0, "kills found requests under way");
    assert!(repeated > 0, "kills found attempts under way");
    dockbell.stop_well().await;
    assert_all_done(&home, &receiver).await;
}

/// Nothing was given up, and what the last kill left is done sooner or later.
async fn assert_all_done(home: &Home, receiver: &Receiver) {
    let mut owed = Vec::new();
    for round in 0..ROUNDS {
        let store = home.open();
        owed.clear();
        for queue in Queue::ALL {
            let depth = store.depth(queue).await.unwrap();
            owed.push(depth.messages + depth.delayed);
        }
        assert_eq!(store.dead_letters(0, 10).await.unwrap(), []);
        store.close().await;
        if owed.iter().sum::<u64>() == 0 {
            return;
        }
        let dockbell = home.up().await;
        let sentinel = format!("sentinel-{round}");
        dockbell.caller.report(&push(&sentinel, "load/sentinel", &sentinel)).await;
        let is_sentinel = |body: &[u8]| String::from_utf8_lossy(body).contains(&sentinel);
        let here = async || receiver.requests().iter().any(|request| is_sentinel(&request.body)).then_some(());
        wait::until("the sentinel", here).await;
        dockbell.stop_well().await;
    }
    panic!("after all that the queues still hold {owed:?}");
}
