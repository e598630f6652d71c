//! Nothing that was accepted is lost, whichever process is killed, while the broker restarts and shards are added.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_testkit::oracle::{Finding, Hit, Invariant, Judgement, Repeats, Report, Sightings, Sum, Terms};
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::receiver::{Answer, Receiver};
use dockbell_testkit::wait;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::calls::Caller;
use crate::fleet::{Fleet, Member};
use crate::load::{Load, Reported};

/// Of producers, deliverers and the broker together.
const KILLS: usize = 20;
/// Which of them are of the broker.
const OF_THE_BROKER: [usize; 2] = [7, 17];
/// The kill after which all processes are killed once more, to get more shards.
const RAISED: usize = 10;
/// How many events there are at least.
const EVENTS: usize = 50_000;
/// The same without kills.
const EVENTS_WITHOUT_KILLS: usize = 6_000;
/// The pause of a reporter, so that the load is the same on every machine that keeps up.
const PACE: Duration = Duration::from_millis(250);
/// How long a process lives at most between two kills, in milliseconds.
const LIFE_MS: u64 = 2_000;
/// The receiver takes its time, so that kills find attempts under way.
const ANSWERED_AFTER: Duration = Duration::from_millis(150);
/// A broker that is killed earlier breaks its youngest queues.
const QUEUES_MATURE: Duration = Duration::from_secs(12);
/// How long after a kill the receiver may read what the deliverer had sent.
const AFTERMATH: Duration = Duration::from_millis(200);
/// How late a process counts.
const COUNTED: Duration = Duration::from_secs(10);

/// Two producers and two deliverers, of which any may be replaced.
struct Crew<'node> {
    fleet: Fleet<'node>,
    _console: Member,
    producers: Vec<Member>,
    deliverers: Vec<Member>,
    callers: watch::Sender<Vec<Caller>>,
    kills: Vec<Kill>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Producer,
    Deliverer,
    Broker,
}

/// The keys of attempts that are settled. Those that are under way have keys too, which say who makes them.
const SETTLED: &str = "local settled = {}
    for _, key in ipairs(redis.call('KEYS', '*settled:*')) do
      if not string.find(redis.call('GET', key) or '0 @', '^%-?%d+ @') then
        table.insert(settled, key)
      end
    end
    return settled";

/// What there was when something was killed.
struct Kill {
    of: Victim,
    /// The deliveries that were settled shortly before.
    settled: HashSet<String>,
    gone: Instant,
}

impl<'node> Crew<'node> {
    async fn new(node: &'node Node, receiver: &Receiver) -> Self {
        receiver.answer_always(Answer::Late(ANSWERED_AFTER, 200));
        // Windows that close often, so that kills find work in every place.
        let fleet = Fleet::new(node).await;
        let fleet = fleet.with("DOCKBELL_WINDOW_QUIET", "50ms").with("DOCKBELL_WINDOW_MAX_WAIT", "200ms");
        let console = fleet.console().await;
        console.caller.add_webhook(("*", "batch", &receiver.url("/batch"))).await;
        let producers = vec![fleet.producer().await, fleet.producer().await];
        let deliverers = vec![fleet.deliverer().await, fleet.deliverer().await];
        let callers = watch::Sender::new(callers(&producers));
        Self { fleet, _console: console, producers, deliverers, callers, kills: Vec::new() }
    }

    /// Kills one of the four, and starts it again.
    async fn replace(&mut self, victim: usize) {
        let settled = self.settled().await;
        if let Some(producer) = victim.checked_sub(2) {
            self.producers.remove(producer).kill().await;
            self.note(settled, Victim::Producer);
            self.producers.insert(producer, self.fleet.producer().await);
            self.callers.send_replace(callers(&self.producers));
        } else {
            self.deliverers.remove(victim).kill().await;
            self.note(settled, Victim::Deliverer);
            self.deliverers.insert(victim, self.fleet.deliverer().await);
        }
    }

    async fn restart_broker(&mut self) {
        let settled = self.settled().await;
        self.fleet.node.kill().await;
        self.note(settled, Victim::Broker);
        self.fleet.node.restart().await;
        for deliverer in &self.deliverers {
            deliverer.until_ready().await;
        }
    }

    fn note(&mut self, settled: HashSet<String>, of: Victim) {
        self.kills.push(Kill { of, settled, gone: Instant::now() });
    }

    /// The deliveries of which an attempt is settled: it was answered and recorded, and is not made again.
    async fn settled(&self) -> HashSet<String> {
        let keys = self.fleet.redis.run(&["EVAL", SETTLED, "0"]).await;
        let delivery = |key: &str| Some(key.rsplit_once("settled:")?.1.split('/').next()?.to_owned());
        keys.lines().filter_map(delivery).collect()
    }

    /// The bound of repeats: for every kill of a deliverer, each delivery that the receiver had seen and that was not
    /// settled may come once more. Settled is asked shortly before the kill, because right after it others settle what
    /// they make again; so the bound is too wide by what was settled in between, and by what the other had under way.
    /// What is published twice, or handed out again while it is under way, is no reason to attempt it twice.
    fn unsettled(&self, sightings: &Sightings) -> HashMap<String, usize> {
        let mut repeats = HashMap::new();
        for kill in self.kills.iter().filter(|kill| kill.of == Victim::Deliverer) {
            for delivery in kill.unsettled(sightings) {
                *repeats.entry(delivery.to_owned()).or_default() += 1;
            }
        }
        repeats
    }

    /// What the processes counted, against what the reporters and the receiver did. Without kills nobody forgets.
    async fn sums(&self, reported: &Reported, sightings: &Sightings) -> Vec<Sum> {
        let (requests, accepted) = (sightings.all().len() as u64, reported.ledger.accepted() as u64);
        let delivered = async || total(&self.deliverers, "dockbell_verdicts_total", "state=\"delivered\"").await;
        // What was answered last is counted a moment later; what is still missing then is for the judge to say.
        let counted = wait::until("verdicts", async || (delivered().await >= requests).then_some(()));
        timeout(COUNTED, counted).await.ok();
        let told = sightings.all().iter().map(|sighting| sighting.told.len() as u64).sum();
        let taken_in = total(&self.producers, "dockbell_events_total", "result=\"accepted\"").await;
        let changed = total(&self.producers, "dockbell_changes_total", "").await;
        let attempted = total(&self.deliverers, "dockbell_attempts_total", "").await;
        let sum = |name, left, right| Sum { name, left: vec![left], right: vec![right] };
        vec![
            sum("events", ("accepted", accepted), ("taken in", taken_in)),
            sum("changes", ("published", changed), ("told", told)),
            sum("attempts", ("made", attempted), ("received", requests)),
            sum("deliveries", ("delivered", delivered().await), ("received", requests)),
        ]
    }

    /// Prints when everything was killed, and when what came again without an explanation came.
    fn tell_unexplained(&self, report: &Report, sightings: &Sightings) {
        let Some(first) = self.kills.first().map(|kill| kill.gone) else { return };
        let kills: Vec<_> = self.kills.iter().map(|kill| (kill.of, kill.gone - first)).collect();
        for finding in report.against(Invariant::BoundedRepeats) {
            let Finding::Repeated { delivery: Some(delivery), .. } = finding else { continue };
            let came = sightings.all().iter().filter(|sighting| sighting.delivery == *delivery);
            let came: Vec<_> = came.map(|sighting| sighting.at.duration_since(first)).collect();
            eprintln!("{delivery} came at {came:?}; kills: {kills:?}");
        }
    }

    fn log(&self) -> String {
        self.producers.iter().chain(&self.deliverers).map(Member::log).collect::<Vec<_>>().join("\n----\n")
    }
}

impl Kill {
    fn unsettled<'a>(&self, sightings: &'a Sightings) -> HashSet<&'a str> {
        let seen = sightings.all().iter().filter(|sighting| sighting.at <= self.gone + AFTERMATH);
        seen.map(|sighting| &*sighting.delivery).filter(|delivery| !self.settled.contains(*delivery)).collect()
    }
}

/// The sum of a metric over processes, of the samples that carry `label`.
async fn total(members: &[Member], name: &str, label: &str) -> u64 {
    let mut total = 0.0;
    for member in members {
        total += member.caller.metric(name, &[label]).await;
    }
    format!("{total:.0}").parse().unwrap()
}

fn callers(producers: &[Member]) -> Vec<Caller> {
    producers.iter().map(|producer| producer.caller.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_accepted_is_lost_in_twenty_kills_two_of_the_broker_and_more_shards() {
    let seed = SystemClock.now().as_microsecond().unsigned_abs();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (node, receiver) = (Node::start().await, Receiver::start().await);
    let mut crew = Crew::new(&node, &receiver).await;
    let mut mature = Instant::now() + QUEUES_MATURE;
    let load = Load::start(EVENTS, PACE, &crew.callers.subscribe());
    for kill in 1..=KILLS {
        sleep(Duration::from_millis(rng.random_range(0..LIFE_MS))).await;
        if OF_THE_BROKER.contains(&kill) {
            sleep_until(mature).await;
            crew.restart_broker().await;
        } else {
            crew.replace(rng.random_range(0..4)).await;
        }
        if kill == RAISED {
            crew.fleet = crew.fleet.with("DOCKBELL_AMQP_SHARDS", "4");
            for victim in 0..4 {
                crew.replace(victim).await;
            }
            mature = Instant::now() + QUEUES_MATURE;
        }
    }
    let reported = load.over().await;
    let sightings = reported.read_all(&receiver).await;
    let deliverers = crew.kills.iter().filter(|kill| kill.of == Victim::Deliverer);
    let found_work = deliverers.filter(|kill| !kill.unsettled(&sightings).is_empty()).count();
    let terms = Terms {
        repeats: Repeats::Each(crew.unsettled(&sightings)),
        sums: Vec::new(),
        hits: vec![
            Hit { name: "accepted events", times: reported.ledger.accepted(), least: EVENTS },
            Hit { name: "kills", times: crew.kills.len(), least: KILLS },
            Hit { name: "reports cut off", times: reported.cut_off, least: 1 },
            Hit { name: "kills that found attempts under way", times: found_work, least: 1 },
            Hit { name: "deliveries that came again", times: repeated(&sightings), least: 1 },
        ],
    };
    let report = reported.judge(&sightings, &terms);
    crew.tell_unexplained(&report, &sightings);
    assert_eq!(report.judgement(), Judgement::Passed, "{}\n{report}", crew.log());
}

fn repeated(sightings: &Sightings) -> usize {
    let deliveries: HashSet<&str> = sightings.all().iter().map(|sighting| &*sighting.delivery).collect();
    sightings.all().len() - deliveries.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_comes_twice_without_a_fault_and_the_numbers_add_up() {
    let (node, receiver) = (Node::start().await, Receiver::start().await);
    let crew = Crew::new(&node, &receiver).await;
    let load = Load::start(EVENTS_WITHOUT_KILLS, PACE, &crew.callers.subscribe());
    let reported = load.over().await;
    let sightings = reported.read_all(&receiver).await;
    let accepted = Hit { name: "accepted events", times: reported.ledger.accepted(), least: EVENTS_WITHOUT_KILLS };
    let sums = crew.sums(&reported, &sightings).await;
    let report = reported.judge(&sightings, &Terms { repeats: Repeats::Together(0), sums, hits: vec![accepted] });
    assert_eq!(report.judgement(), Judgement::Passed, "{}\n{report}", crew.log());
}
