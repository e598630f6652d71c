//! Load on a fleet: reporters that report many pushes at once and repeat what was not accepted, like registries.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockbell_testkit::oracle::{Ledger, Push, Report, Sighting, Sightings, Terms, judge};
use dockbell_testkit::receiver::Receiver;
use dockbell_testkit::sample;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::calls::Caller;

/// Reporters that report at once, each one envelope after the other.
const REPORTERS: u64 = 8;
/// The repositories of each reporter, which no other pushes to.
const REPOSITORIES: u64 = 8;
/// Tags of a repository that are pushed again and again; each envelope has one of them for each repository.
const ROLLING: u64 = 4;
/// Tags that are pushed once and never again, for each repository in each envelope: none of them can be outdone.
const ONCE: u64 = 5;
/// The pause before an envelope that was not accepted is reported again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long what is left may take: two restarts of a broker leave connections to come back.
const DEADLINE: Duration = Duration::from_mins(5);

/// Reporters and what they know.
pub(crate) struct Load {
    state: Arc<State>,
    reporting: JoinSet<()>,
}

struct State {
    ledger: Mutex<Ledger>,
    next: AtomicU64,
    /// Requests that may have been taken although they were not answered with 202.
    cut_off: AtomicUsize,
    /// Reporters go on until it is over and so many events were accepted.
    least: usize,
    is_over: AtomicBool,
}

/// What a producer took of an envelope.
enum Taken {
    All,
    /// Some of it may have been published before it failed.
    Perhaps,
    Nothing,
}

/// A load that is over.
pub(crate) struct Reported {
    pub(crate) ledger: Ledger,
    pub(crate) cut_off: usize,
}

impl Load {
    /// Starts to report `least` events at least, with `pace` between the envelopes of a reporter.
    pub(crate) fn start(least: usize, pace: Duration, producers: &watch::Receiver<Vec<Caller>>) -> Self {
        let state = Arc::new(State {
            ledger: Mutex::default(),
            next: AtomicU64::new(0),
            cut_off: AtomicUsize::new(0),
            least,
            is_over: AtomicBool::new(false),
        });
        let mut reporting = JoinSet::new();
        for reporter in 0..REPORTERS {
            reporting.spawn(Arc::clone(&state).report(reporter, pace, producers.clone()));
        }
        Self { state, reporting }
    }

    /// Waits until enough was accepted, and ends the load.
    pub(crate) async fn over(mut self) -> Reported {
        self.state.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = timeout(DEADLINE, self.reporting.join_next()).await.expect("reporters to be heard") {
            ended.unwrap();
        }
        let ledger = std::mem::take(&mut *self.state.ledger.lock().unwrap());
        Reported { ledger, cut_off: self.state.cut_off.load(Ordering::Relaxed) }
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed) && self.ledger.lock().unwrap().accepted() >= self.least
    }

    async fn report(self: Arc<Self>, reporter: u64, pace: Duration, producers: watch::Receiver<Vec<Caller>>) {
        for envelope in 0.. {
            if self.is_over() {
                return;
            }
            let pushes = self.pushes(reporter, envelope);
            let body = json!({ "events": pushes.iter().map(event).collect::<Vec<_>>() }).to_string();
            for attempt in 0_usize.. {
                let request = {
                    let producers = producers.borrow();
                    producers[attempt % producers.len()].report_request(body.clone())
                };
                match self.ask(request).await {
                    Taken::All => break,
                    Taken::Perhaps => self.note(&pushes, Ledger::repeat),
                    Taken::Nothing => {}
                }
                sleep(AGAIN).await;
            }
            self.note(&pushes, Ledger::accept);
            sleep(pace).await;
        }
    }

    async fn ask(&self, request: RequestBuilder) -> Taken {
        match request.send().await {
            Ok(response) if response.status() == 202 => Taken::All,
            Ok(response) => {
                assert_eq!(response.status(), 503, "good events are taken or put off");
                Taken::Perhaps
            }
            // Its producer is not up yet.
            Err(error) if error.is_connect() => Taken::Nothing,
            // Its producer was killed.
            Err(_) => {
                self.cut_off.fetch_add(1, Ordering::Relaxed);
                Taken::Perhaps
            }
        }
    }

    fn note(&self, pushes: &[Push], what: fn(&mut Ledger, &str)) {
        let mut ledger = self.ledger.lock().unwrap();
        for push in pushes {
            what(&mut ledger, &push.event);
        }
    }

    /// Issues the pushes of one envelope.
    fn pushes(&self, reporter: u64, envelope: u64) -> Vec<Push> {
        let mut pushes = Vec::new();
        for repository in 0..REPOSITORIES {
            let repository = format!("load/app-{reporter}-{repository}");
            let once = (0..ONCE).map(|tag| format!("once-{envelope}-{tag}"));
            for tag in once.chain([format!("rolling-{}", envelope % ROLLING)]) {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let digest = sample::digest(u32::try_from(number).unwrap());
                pushes.push(Push { event: format!("e-{number}"), repository: repository.clone(), tag, digest });
            }
        }
        {
            let mut ledger = self.ledger.lock().unwrap();
            for push in &pushes {
                ledger.issue(push.clone());
            }
        }
        pushes
    }
}

/// A push as a registry reports it.
fn event(push: &Push) -> Value {
    json!({
        "id": push.event, "action": "push", "actor": { "name": "alice" }, "request": { "host": "hub.test" },
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 700, "digest": push.digest,
            "repository": push.repository, "tag": push.tag,
        },
    })
}

impl Reported {
    /// Reads what comes to a webhook of format `batch` at the receiver until all that is owed is here and the
    /// receiver ends with the newest, or a deadline passes.
    pub(crate) async fn read_all(&self, receiver: &Receiver) -> Sightings {
        let mut sightings = Sightings::default();
        let reading = async {
            loop {
                sightings.read(receiver, |request| Some(Sighting::of_batch(request)));
                let report = judge(&self.ledger, &sightings, &Terms::default());
                if report.is_complete() {
                    return;
                }
                sleep(Duration::from_millis(500)).await;
            }
        };
        // What is missing then is for the judge to say.
        timeout(DEADLINE, reading).await.ok();
        sightings
    }

    pub(crate) fn judge(&self, sightings: &Sightings, terms: &Terms) -> Report {
        let report = judge(&self.ledger, sightings, terms);
        eprintln!("{report}");
        report
    }
}
