//! A deliverer to test, with its store, its bus and a receiver.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockbell_backends::bus::{Bus as _, DeadLetter, Outgoing, Queue};
use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_backends::store::claims::Holder;
use dockbell_backends::store::{AttemptRecord, DeliveryRecord, Health, Store};
use dockbell_chassis::crypto::Roots;
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use dockbell_deliverer::attempt::Attempter;
use dockbell_deliverer::burial::Burials;
use dockbell_deliverer::chance::Chance;
use dockbell_deliverer::directory::Directory;
use dockbell_deliverer::fleet::Fleet;
use dockbell_deliverer::hosts::Hosts;
use dockbell_deliverer::lane::Lanes;
use dockbell_deliverer::line::Line;
use dockbell_deliverer::metrics::Metrics;
use dockbell_deliverer::operations::Operations;
use dockbell_deliverer::pull::{Deliverer, Share, Silence};
use dockbell_deliverer::settle::Settler;
use dockbell_deliverer::transport::names::Names;
use dockbell_deliverer::transport::{Deadlines, Outside, Transport};
use dockbell_deliverer::under_way::UnderWay;
use dockbell_deliverer::unrecorded::Unrecorded;
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::batch::Batch;
use dockbell_proto::callback::public_url::PublicUrl;
use dockbell_proto::clock::{Clock, SystemClock};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::DeliveryId;
use dockbell_proto::message::Message;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::policy::{Custody, Policy, RetrySchedule};
use dockbell_proto::webhook::{Format, Webhook};
use dockbell_testkit::receiver::{Receiver, Recorded};
use dockbell_testkit::{sample, wait};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Longer than any test that passes takes.
const PATIENT: Deadlines = Deadlines { connect: Duration::from_secs(30), total: Duration::from_mins(1) };

/// What the deliverer of a test is told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) pauses: Vec<Duration>,
    /// The delivery policy but for its schedule, which is `pauses`.
    pub(crate) policy: Policy,
    pub(crate) deadlines: Deadlines,
    /// How many attempts are made at once, and how many messages are taken.
    pub(crate) at_once: (u16, u16),
    pub(crate) allowed: &'static str,
    /// Networks that may not be reached in any case.
    pub(crate) denied: &'static str,
    pub(crate) allows_skip_verify: bool,
    /// Those of the system, if none.
    pub(crate) name_servers: Vec<SocketAddr>,
    /// Who may vouch for receivers.
    pub(crate) roots: Roots,
    /// Where receivers report.
    pub(crate) public_url: Option<PublicUrl>,
}

impl Default for Told {
    fn default() -> Self {
        let pauses = vec![Duration::from_millis(50); 2];
        // The samples are from another year.
        let custody = Custody { age: Duration::from_hours(24 * 365 * 100), ..Custody::default() };
        let policy = Policy { custody, ..Policy::default() };
        let allowed = "127.0.0.0/8";
        let (name_servers, roots) = (Vec::new(), Roots::default());
        Self {
            pauses,
            policy,
            deadlines: PATIENT,
            at_once: (64, 128),
            allowed,
            denied: "",
            allows_skip_verify: false,
            name_servers,
            roots,
            public_url: None,
        }
    }
}

/// A data folder, what is open in it, and who receives.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) receiver: Receiver,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) embedded: Arc<Embedded>,
    folder: TempDir,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_at(Arc::new(SystemClock)).await
    }

    pub(crate) async fn open_at(clock: Arc<dyn Clock>) -> Self {
        let (receiver, folder) = (Receiver::start().await, TempDir::new().unwrap());
        let embedded = open_in(&folder, &clock, EmbeddedLimits::default());
        Self { receiver, clock, embedded, folder }
    }

    /// A house that holds no more than `limits` say.
    pub(crate) async fn open_small(limits: EmbeddedLimits) -> Self {
        let (receiver, folder, clock): (_, _, Arc<dyn Clock>) =
            (Receiver::start().await, TempDir::new().unwrap(), Arc::new(SystemClock));
        let embedded = open_in(&folder, &clock, limits);
        Self { receiver, clock, embedded, folder }
    }

    /// Closes and opens the data folder, as a restart does.
    pub(crate) async fn reopen(&mut self) {
        self.embedded.close().await;
        self.embedded = open_in(&self.folder, &self.clock, EmbeddedLimits::default());
    }

    pub(crate) fn run(&self) -> Running {
        self.run_as(Told::default())
    }

    pub(crate) fn run_as(&self, told: Told) -> Running {
        self.run_on(self.embedded.clone(), told)
    }

    /// Runs a deliverer that sees `store`.
    pub(crate) fn run_on(&self, store: Arc<dyn Store>, told: Told) -> Running {
        let directory = Arc::new(Directory::new(Arc::clone(&store)));
        let (shutdown, mut tasks) = (Shutdown::default(), JoinSet::new());
        tasks.spawn(Arc::clone(&directory).follow(self.embedded.changes(), shutdown.clone()));
        let positive = |number| NonZeroU16::new(number).unwrap();
        let (attempts, prefetch) = told.at_once;
        let meter = opentelemetry::global::meter("test");
        let names = Arc::new(Names::new(told.name_servers.clone()));
        let outside = Outside { names, roots: told.roots.clone(), proxy: None };
        let (operations, telling) =
            Operations::new(self.embedded.clone(), &self.clock, (None, &outside), &meter).unwrap();
        tasks.spawn(telling.run(shutdown.clone()));
        let deliverer = Arc::new(self.deliverer(directory, (store, operations), &outside, told));
        for queue in [Queue::Deliveries, Queue::Redeliveries] {
            let share = Share { queue, prefetch: positive(prefetch), attempts: positive(attempts) };
            tasks.spawn(Arc::clone(&deliverer).pull(share, shutdown.clone()));
        }
        tasks.spawn(Arc::clone(&deliverer).catch_up(shutdown.clone()));
        tasks.spawn(deliverer.tidy(shutdown.clone()));
        Running { shutdown, tasks }
    }

    fn deliverer(
        &self,
        directory: Arc<Directory>,
        (store, operations): (Arc<dyn Store>, Operations),
        outside: &Outside,
        told: Told,
    ) -> Deliverer {
        let allowed = told.allowed.split(' ').filter_map(|text| text.parse().ok()).collect();
        let denied = told.denied.split(' ').filter_map(|text| text.parse().ok()).collect();
        let targets = Arc::new(AddressPolicy::new(allowed).denying(denied));
        let transport = Transport::new(outside, &targets, told.deadlines, self.clock.clone()).unwrap();
        let schedule = RetrySchedule::new(told.pauses).unwrap();
        Deliverer {
            attempter: Attempter {
                directory: Arc::clone(&directory),
                policy: targets,
                allows_skip_verify: told.allows_skip_verify,
                transport,
                public_url: told.public_url,
                clock: self.clock.clone(),
            },
            settler: Settler {
                bus: self.embedded.clone(),
                store,
                directory,
                policy: Policy { schedule, ..told.policy },
                unrecorded: Unrecorded::default(),
                line: Line::default(),
                burials: Burials::default(),
                clock: self.clock.clone(),
                metrics: Metrics::new(&opentelemetry::global::meter("test")),
                told_at: Mutex::default(),
                operations,
            },
            lanes: Lanes::default(),
            hosts: Hosts::default(),
            fleet: Fleet::default(),
            chance: Chance::new(StdRng::seed_from_u64(7)),
            under_way: UnderWay::default(),
            holder: Holder::from_random(rand::random()),
            silence: Silence::default(),
        }
    }

    /// Sets a webhook for `team/app`, whose URL is the receiver's at `path`.
    pub(crate) async fn webhook(&self, number: u8, format: Format, path: &str) -> Webhook {
        let webhook = sample::webhook(number, "team/app", format, &self.receiver.url(path));
        self.embedded.put_webhook(&webhook).await.unwrap();
        webhook
    }

    /// Puts a batch on the bus, as a producer does.
    pub(crate) async fn publish(&self, batch: &Batch) {
        self.embedded.publish(Queue::Deliveries, Outgoing::carrying(&Message::Batch(batch.clone()))).await.unwrap();
    }

    /// The same for a batch that may have been there before.
    pub(crate) async fn publish_again(&self, batch: &Batch) {
        let message = Outgoing::carrying(&Message::Batch(batch.clone()));
        self.embedded.publish(Queue::Deliveries, Outgoing { maybe_repeated: true, ..message }).await.unwrap();
    }

    /// Puts a delivery among those whose time has come.
    pub(crate) async fn publish_waiting(&self, delivery: &Delivery) {
        let message = Outgoing::carrying(&Message::Delivery(delivery.clone()));
        self.embedded.publish(Queue::Redeliveries, message).await.unwrap();
    }

    /// Records an attempt that was never made.
    pub(crate) async fn record(&self, delivery: &Delivery, outcome: Outcome, verdict: Verdict) {
        let took = Duration::from_millis(1);
        let record = AttemptRecord {
            delivery: delivery.clone(),
            at: self.clock.now(),
            took,
            outcome,
            verdict,
            excerpt: None,
            suspension: dockbell_proto::policy::Suspension::default(),
            told_as_of: None,
        };
        assert!(self.embedded.record(&record).await.unwrap().is_first);
    }

    /// Waits until nothing is owed: no message stands, waits or is being worked on.
    pub(crate) async fn wait_until_idle(&self) {
        let owed = async || {
            let mut owed = 0;
            for queue in Queue::ALL {
                let depth = self.embedded.depth(queue).await.unwrap();
                owed += depth.messages + depth.delayed;
            }
            owed
        };
        wait::until("the queues to be empty", async || (owed().await == 0).then_some(())).await;
    }

    /// Waits until nothing stands on a queue; what is delayed may wait.
    pub(crate) async fn wait_until_nothing_is_due(&self) {
        let due = async || {
            let mut due = 0;
            for queue in Queue::ALL {
                due += self.embedded.depth(queue).await.unwrap().messages;
            }
            (due == 0).then_some(())
        };
        wait::until("nothing to be due", due).await;
    }

    /// What the history says of a delivery; that it is there at all is waited for.
    pub(crate) async fn history(&self, id: &DeliveryId) -> DeliveryRecord {
        wait::until("a record of the delivery", async || self.embedded.delivery(id).await.unwrap()).await
    }

    pub(crate) async fn health(&self, webhook: &Webhook) -> Health {
        self.embedded.health(&webhook.id).await.unwrap()
    }

    pub(crate) async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.embedded.dead_letters(0, 100).await.unwrap()
    }
}

fn open_in(folder: &TempDir, clock: &Arc<dyn Clock>, limits: EmbeddedLimits) -> Arc<Embedded> {
    Arc::new(Embedded::open(folder.path(), clock.clone(), limits).unwrap())
}

/// A running deliverer. Dropping it is a kill.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) shutdown: Shutdown,
    tasks: JoinSet<Result<(), BoxError>>,
}

impl Running {
    /// Asks it to stop, and waits for it.
    pub(crate) async fn stop(mut self) {
        self.shutdown.request();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }

    /// Ends it at whatever it awaits, with nothing tidied up.
    pub(crate) async fn kill(mut self) {
        self.tasks.shutdown().await;
    }
}

/// A header of a request as text; empty if it is not there.
pub(crate) fn header<'a>(request: &'a Recorded, name: &str) -> &'a str {
    request.headers.get(name).map_or("", |value| value.to_str().unwrap())
}
