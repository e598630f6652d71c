//! Nothing that was accepted is lost, whenever the process is killed.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockbell_backends::Bus as _;
use dockbell_backends::bus::Queue;
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_testkit::oracle::{Hit, Judgement, Ledger, Push, Repeats, Sighting, Sightings, Terms, Told, judge};
use dockbell_testkit::receiver::{Answer, Receiver, Recorded};
use dockbell_testkit::{sample, wait};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::calls::{Caller, Made, push};
use crate::payload::{delivery_id, expected_id, json, tag, tag_id};
use crate::process::Home;

const KILLS: usize = 200;
/// As many as a schedule may have.
const PAUSES: usize = 20;
/// Reporters that report at once, each one event after the other.
const REPORTERS: u64 = 4;
/// The pause of a reporter, so that the load is the same on every machine that keeps up.
const PACE: Duration = Duration::from_millis(5);
/// How long a process lives at most, in milliseconds.
const LIFE_MS: u64 = 500;
const REFUSED: Answer = Answer::Status(500);
/// The receiver takes its time, so that kills find attempts under way.
const ANSWERED_AFTER: Duration = Duration::from_millis(50);
const REPOSITORIES: u64 = 8;
/// The repository with a webhook per tag.
const TAGGED: &str = "load/app-0";
/// Until what is left over from the last kill is done.
const ROUNDS: usize = 10;
/// How long what is left may take: what was refused comes back over some seconds, and machines are slow at times.
const DEADLINE: Duration = Duration::from_mins(3);
/// How often it is looked whether all is here.
const LOOKED_EVERY: Duration = Duration::from_millis(100);

/// What the reporters know.
#[derive(Default)]
struct Reports {
    ledgers: Mutex<Ledgers>,
    /// Requests that had been sent when the process was killed.
    cut_off: AtomicUsize,
    next: AtomicU64,
    is_over: AtomicBool,
}

/// What each of the two webhooks is owed.
#[derive(Default)]
struct Ledgers {
    batch: Ledger,
    dockerhub: Ledger,
}

impl Ledgers {
    /// The ledgers of the webhooks that are owed what is pushed to `repository`.
    fn of(&mut self, repository: &str) -> impl Iterator<Item = &mut Ledger> {
        let is_tagged = repository == TAGGED;
        [Some(&mut self.batch), is_tagged.then_some(&mut self.dockerhub)].into_iter().flatten()
    }
}

impl Reports {
    /// Reports events of its own until it is over. Like a registry, it repeats what was not accepted.
    async fn report(self: Arc<Self>, caller: watch::Receiver<Caller>) {
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let (event, repository) = (format!("e-{number}"), format!("load/app-{}", number % REPOSITORIES));
            let tag = format!("t-{number}");
            let body = push(&event, &repository, &tag).to_string();
            let pushed = Push { event, repository, tag, digest: sample::digest(1) };
            self.ledgers.lock().unwrap().of(&pushed.repository).for_each(|ledger| ledger.issue(pushed.clone()));
            while !self.is_over.load(Ordering::Relaxed) {
                let request = caller.borrow().report_request(body.clone());
                match request.send().await {
                    Ok(response) if response.status() == 202 => {
                        let mut ledgers = self.ledgers.lock().unwrap();
                        ledgers.of(&pushed.repository).for_each(|ledger| ledger.accept(&pushed.event));
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

/// Reads what the webhook of batches got. Every id must be the one that follows from the payload, so that whatever
/// is made again from the same newest event has the same id.
fn batch_sighting(request: &Recorded, made: &Made) -> Option<Sighting> {
    let is_of_batch = request.path_and_query == "/batch";
    is_of_batch.then(|| {
        assert_eq!(expected_id(&json(request), made).as_str(), delivery_id(request));
        Sighting::of_batch(request)
    })
}

/// Reads what the webhook per tag accepted. Its format tells neither event nor digest, but the tag names the event.
fn tag_sighting(request: &Recorded, made: &Made) -> Option<Sighting> {
    (request.path_and_query == "/dockerhub").then_some(())?;
    let (payload, tag) = (json(request), tag(request));
    let (repository, event) = (payload["repository"]["repo_name"].as_str().unwrap(), tag.replace("t-", "e-"));
    assert_eq!(tag_id(("hub.test", repository), (made, &tag), &event).as_str(), delivery_id(request));
    let told = Told { repository: repository.to_owned(), tag, events: vec![event], ..Told::default() };
    (request.answer != REFUSED).then(|| Sighting::of(request, vec![told]))
}

/// Returns when a process that has just started is to be killed. Some are as they start. Those that are to deliver have
/// begun to, however long that takes.
async fn live(receiver: &Receiver, is_to_deliver: bool, time: Duration) {
    // So that deliveries wait for their next attempt when the kill comes. None is refused for long: whatever comes next
    // meets what is left of the script.
    if receiver.answers_left_at("/dockerhub") == 0 {
        receiver.answer_at("/dockerhub", vec![REFUSED]);
    }
    if is_to_deliver {
        let before = receiver.requests().len();
        let delivers = async || (!receiver.requests_from(before).is_empty()).then_some(());
        wait::until("a delivery of this life", delivers).await;
    }
    sleep(time).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_accepted_is_lost_in_two_hundred_kills_under_load() {
    let seed = SystemClock.now().as_microsecond().unsigned_abs();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    // A refusal hits whatever comes next, so that hardly one delivery meets more than a few. Where few attempts are made
    // between two kills, refusals may be all that a webhook answers for a minute: it is not to be suspended for that.
    let pauses = ["100ms"; PAUSES].join(",");
    // Windows that close often, so that kills find work in every place.
    let home = Home::new()
        .with("DOCKBELL_WINDOW_QUIET", "20ms")
        .with("DOCKBELL_WINDOW_MAX_WAIT", "100ms")
        .with("DOCKBELL_DELIVERY_SCHEDULE", &pauses)
        .with("DOCKBELL_POLICY_SUSPEND_FAILURES", "1000000");
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
    for kill in 0..KILLS {
        live(&receiver, kill % 2 == 0, Duration::from_millis(rng.random_range(0..LIFE_MS))).await;
        dockbell.kill().await;
        dockbell = home.up().await;
        callers.send_replace(dockbell.caller.clone());
    }
    reports.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = reporting.join_next().await {
        ended.unwrap();
    }

    let ledgers = std::mem::take(&mut *reports.ledgers.lock().unwrap());
    let sightings = Mutex::new((Sightings::default(), Sightings::default()));
    // What may come again is not bounded here: refusals and kills both make it so.
    let terms = |hits| Terms { repeats: Repeats::Together(usize::MAX), hits, ..Terms::default() };
    let judged = |hits| {
        let mut sightings = sightings.lock().unwrap();
        sightings.0.read(&receiver, |request| batch_sighting(request, &batch));
        sightings.1.read(&receiver, |request| tag_sighting(request, &dockerhub));
        (judge(&ledgers.batch, &sightings.0, &terms(hits)), judge(&ledgers.dockerhub, &sightings.1, &terms(Vec::new())))
    };
    let is_all_here = || {
        let (batches, tags) = judged(Vec::new());
        batches.is_complete() && tags.is_complete()
    };
    let all_here = async {
        while !is_all_here() {
            sleep(LOOKED_EVERY).await;
        }
    };
    // What is missing then is for the judge to say.
    timeout(DEADLINE, all_here).await.ok();
    let repeated = judged(Vec::new()).0.count("repeated");
    let hits = vec![
        Hit { name: "accepted events", times: ledgers.batch.accepted(), least: KILLS },
        Hit { name: "reports cut off", times: reports.cut_off.load(Ordering::Relaxed), least: 1 },
        // What goes to this path is never refused, so only a kill makes it come again.
        Hit { name: "deliveries that came again", times: repeated, least: 1 },
    ];
    let (batches, tags) = judged(hits);
    eprintln!("{batches}\n\n{tags}");
    let judgements = (batches.judgement(), tags.judgement());
    assert_eq!(judgements, (Judgement::Passed, Judgement::Passed), "{batches}\n{tags}\n{}", dockbell.log());
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
