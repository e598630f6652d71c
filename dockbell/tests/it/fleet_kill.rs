//! Nothing that was accepted is lost, whichever process is killed, while the broker restarts and shards are added.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::sample;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::calls::{Caller, push};
use crate::fleet::{Fleet, Member};
use crate::payload::{event_ids, json};

const KILLS: usize = 20;
/// The kills after which the broker is killed too.
const RESTARTS: [usize; 2] = [6, 16];
/// The kill after which all processes get more shards.
const RAISED: usize = 9;
/// How many events there are at least.
const EVENTS: u64 = 2_000;
/// Reporters that report at once, each one event after the other.
const REPORTERS: u64 = 4;
/// The pause of a reporter, so that the load is the same on every machine that keeps up.
const PACE: Duration = Duration::from_millis(40);
/// How long a process lives at most between two kills, in milliseconds.
const LIFE_MS: u64 = 1_000;
/// The receiver takes its time, so that kills find attempts under way.
const ANSWERED_AFTER: Duration = Duration::from_millis(30);
/// Tags of every other reporter, which are pushed again and again.
const TAGS: u64 = 5;
/// A broker that is killed earlier breaks its youngest queues.
const QUEUES_MATURE: Duration = Duration::from_secs(12);
/// Waits end later than others do: two restarts of a broker leave connections to come back.
const DEADLINE: Duration = Duration::from_mins(3);

/// What the reporters know.
#[derive(Default)]
struct Reports {
    /// Ids of events that were answered with 202, of tags that are pushed only once: of the others, what is old
    /// news when its time comes again is not sent.
    accepted: Mutex<HashSet<String>>,
    /// The digest that was pushed last, by repository and tag.
    newest: Mutex<BTreeMap<(String, String), String>>,
    next: AtomicU64,
    is_over: AtomicBool,
}

impl Reports {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed) && self.next.load(Ordering::Relaxed) >= EVENTS
    }

    /// Reports events of its own tags until it is over. Like a registry, it repeats what was not accepted.
    async fn report(self: Arc<Self>, reporter: u64, producers: watch::Receiver<[Caller; 2]>) {
        let repository = format!("load/app-{reporter}");
        while !self.is_over() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let is_once = reporter.is_multiple_of(2);
            let (id, tag) = (format!("e-{number}"), if is_once { number } else { number % TAGS });
            let tag = format!("t-{tag}");
            let digest = sample::digest(u32::try_from(number).unwrap());
            let mut event = push(&id, &repository, &tag);
            event["digest"] = digest.clone().into();
            self.newest.lock().unwrap().insert((repository.clone(), tag), digest);
            for attempt in 0_usize.. {
                let request = producers.borrow()[attempt % 2].report_request(event.to_string());
                match request.send().await {
                    Ok(response) if response.status() == 202 => break,
                    Ok(response) => assert_eq!(response.status(), 503, "a good event is taken or put off"),
                    // Its producer was killed, or is not up yet.
                    Err(_) => {}
                }
                sleep(PACE).await;
            }
            if is_once {
                self.accepted.lock().unwrap().insert(id);
            }
            sleep(PACE).await;
        }
    }
}

/// What the receiver got, read once.
#[derive(Default)]
struct Arrived {
    requests: usize,
    events: HashSet<String>,
    /// The latest order with its digest, by repository and tag.
    newest: BTreeMap<(String, String), (String, String)>,
    ids: HashMap<String, usize>,
}

impl Arrived {
    fn read(&mut self, receiver: &Receiver) {
        let requests = receiver.requests();
        for request in requests.iter().skip(self.requests) {
            let payload = json(request);
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            self.events.extend(event_ids(&payload).map(str::to_owned));
            *self.ids.entry(crate::payload::delivery_id(request).to_owned()).or_default() += 1;
            for change in payload["changes"].as_array().unwrap() {
                let key = (text(&payload["repository"]), text(&change["tag"]));
                let told = (text(&change["order"]), text(&change["digest"]));
                let known = self.newest.entry(key).or_insert_with(|| told.clone());
                *known = told.max(known.clone());
            }
        }
        self.requests = requests.len();
    }

    /// The tags whose newest digest is not the latest that was told, with both.
    fn behind<'a>(
        &'a self,
        newest: &'a BTreeMap<(String, String), String>,
    ) -> Vec<(&'a (String, String), &'a String, Option<&'a (String, String)>)> {
        let told = |key| self.newest.get(key);
        let is_behind = |(key, digest): &(_, &String)| told(*key).is_none_or(|(_, told)| told != *digest);
        newest.iter().filter(is_behind).map(|(key, digest)| (key, digest, told(key))).collect()
    }

    fn missing<'a>(&self, accepted: &'a HashSet<String>) -> Vec<&'a String> {
        accepted.iter().filter(|id| !self.events.contains(*id)).collect()
    }
}

/// Two producers and two deliverers, of which any may be replaced.
struct Crew<'fleet, 'node> {
    fleet: Fleet<'node>,
    producers: Vec<Member>,
    deliverers: Vec<Member>,
    callers: &'fleet watch::Sender<[Caller; 2]>,
}

impl Crew<'_, '_> {
    /// Kills one of the four, and starts it again.
    async fn replace(&mut self, victim: usize) {
        if let Some(producer) = victim.checked_sub(2) {
            self.producers.remove(producer).kill().await;
            self.producers.insert(producer, self.fleet.producer().await);
            self.callers.send_replace([0, 1].map(|producer| self.producers[producer].caller.clone()));
        } else {
            self.deliverers.remove(victim).kill().await;
            self.deliverers.insert(victim, self.fleet.deliverer().await);
        }
    }

    fn log(&self) -> String {
        self.producers.iter().chain(&self.deliverers).map(Member::log).collect::<Vec<_>>().join("\n----\n")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_accepted_is_lost_in_twenty_kills_two_restarts_of_the_broker_and_more_shards() {
    let seed = SystemClock.now().as_microsecond().unsigned_abs();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (node, receiver) = (Node::start().await, Receiver::start().await);
    receiver.answer_always(Answer::Late(ANSWERED_AFTER, 200));
    // Windows that close often, so that kills find work in every place.
    let fleet = Fleet::new(&node).await.with("DOCKBELL_WINDOW_QUIET", "50ms").with("DOCKBELL_WINDOW_MAX_WAIT", "200ms");
    let console = fleet.console().await;
    console.caller.add_webhook(("*", "batch", &receiver.url("/batch"))).await;
    let producers = vec![fleet.producer().await, fleet.producer().await];
    let deliverers = vec![fleet.deliverer().await, fleet.deliverer().await];
    let (callers, caller) = watch::channel([0, 1].map(|producer| producers[producer].caller.clone()));
    let mut crew = Crew { fleet, producers, deliverers, callers: &callers };
    let mut mature = Instant::now() + QUEUES_MATURE;
    let (reports, mut reporting) = (Arc::new(Reports::default()), JoinSet::new());
    for reporter in 0..REPORTERS {
        reporting.spawn(Arc::clone(&reports).report(reporter, caller.clone()));
    }
    for kill in 1..=KILLS {
        sleep(Duration::from_millis(rng.random_range(0..LIFE_MS))).await;
        crew.replace(rng.random_range(0..4)).await;
        if RESTARTS.contains(&kill) {
            sleep_until(mature).await;
            node.kill().await;
            node.restart().await;
        }
        if kill == RAISED {
            crew.fleet = crew.fleet.with("DOCKBELL_AMQP_SHARDS", "4");
            for victim in 0..4 {
                crew.replace(victim).await;
            }
            mature = Instant::now() + QUEUES_MATURE;
        }
    }
    reports.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = timeout(DEADLINE, reporting.join_next()).await.expect("reporters to be heard") {
        ended.unwrap();
    }

    let accepted = std::mem::take(&mut *reports.accepted.lock().unwrap());
    let newest = std::mem::take(&mut *reports.newest.lock().unwrap());
    let arrived = Mutex::new(Arrived::default());
    let all_here = async || {
        let mut arrived = arrived.lock().unwrap();
        arrived.read(&receiver);
        (arrived.missing(&accepted).is_empty() && arrived.behind(&newest).is_empty()).then_some(())
    };
    let in_time = wait_long("everything that was accepted", all_here).await;
    let arrived = arrived.into_inner().unwrap();
    let (missing, behind) = (arrived.missing(&accepted), arrived.behind(&newest));
    assert!(in_time, "accepted and never came: {missing:?}\nnewest and never told: {behind:?}\n{}", crew.log());
    let repeated = arrived.ids.values().filter(|times| **times > 1).count();
    let reported = reports.next.load(Ordering::Relaxed);
    eprintln!("{reported} accepted, {} requests, {repeated} deliveries repeated", arrived.requests);
    assert!(reported >= EVENTS && accepted.len() as u64 > EVENTS / 4, "there was load");
    assert!(repeated > 0, "kills found attempts under way");
}

/// Waits in turns, because a wait ends after a minute. Says whether it came true.
async fn wait_long<F: Future<Output = Option<()>>>(what: &str, condition: impl Fn() -> F) -> bool {
    let waiting = async {
        loop {
            if condition().await.is_some() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = timeout(DEADLINE, waiting).await.is_ok();
    if !in_time {
        eprintln!("waited in vain for {what}");
    }
    in_time
}
