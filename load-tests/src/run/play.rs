//! One run of a scenario on a fleet: sends, lets receivers ail, watches, waits for what is owed, and sums up.

use std::sync::Arc;
use std::time::Duration;

use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::clock::{Clock as _, SystemClock};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::gauge;
use super::servers::Servers;
use super::stage::{Crew, Stage};
use super::summary::{self, Pushed, Requests, Summary};
use super::verify::{Owed, verify};
use super::witness::Witness;
use crate::flood::{Flood, Kept, Sent};
use crate::pushes::Pushes;
use crate::report::say;
use crate::scenario::Scenario;
use crate::schedule::Schedule;
use crate::sink::Sink;
use crate::troubles::{behaviours, turns};

/// A start in the future leaves everybody time to be there.
const HEAD_START: Duration = Duration::from_millis(500);
const TOLD_EVERY: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);
/// What is withheld because of later news is only told from what is lost by a judgement, which takes a moment.
const JUDGED_EVERY: Duration = Duration::from_secs(3);
/// How long what must not come, because it came, is waited for.
const LINGER: Duration = Duration::from_secs(1);

/// What is going on.
struct Play<'a> {
    scenario: &'a Scenario,
    sink: &'a Sink,
    pushes: Pushes,
    start: Instant,
    sent: Arc<Sent>,
    witness: Arc<Witness>,
}

/// Plays it, and sums up what came of it.
pub(crate) async fn play(
    scenario: &Scenario,
    (stage, crew): (&Stage, &Crew),
    (servers, sink): (&Servers, &Sink),
) -> Result<Summary, BoxError> {
    let flood = crew.flood(scenario.load.way, servers).await?;
    let schedule = Arc::new(Schedule::new(scenario.plan(), &scenario.repositories.shape()));
    let (start, began) = (Instant::now() + HEAD_START, SystemClock.now() + HEAD_START);
    let run = format!("r{:x}", began.as_millisecond());
    let pushes = Pushes { schedule, run, began, way: scenario.load.way };
    let secrets = if scenario.webhooks.verify { crew.secrets.clone() } else { Vec::new() };
    let receivers = (scenario.webhooks.format, scenario.webhooks.per_repository);
    let witness = Arc::new(Witness::new((pushes.clone(), start), receivers, secrets));
    sink.tell(vec![Arc::<Witness>::clone(&witness)]);
    let play = Play { scenario, sink, pushes, start, sent: Arc::default(), witness };
    let (over, is_over) = oneshot::channel::<()>();
    let watched = [stage.processes(crew), servers.processes()].concat();
    let window = play.pushes.schedule.warm_up()..play.pushes.schedule.length();
    let (kept, processes) = tokio::join!(
        async {
            let kept = play.load(&flood).await;
            drop(over);
            kept
        },
        // The sender says nothing but that it is gone.
        gauge::watch(&watched, (start, window), async { drop(is_over.await) })
    );
    play.sum_up(&kept?, processes)
}

impl Play<'_> {
    /// Sends all, and waits for what is owed.
    async fn load(&self, flood: &Flood) -> Result<Kept, BoxError> {
        let told = self.tell();
        tokio::pin!(told);
        tokio::select! {
            kept = self.send(flood) => kept,
            () = &mut told => Err("it ended before its time".into()),
        }
    }

    async fn send(&self, flood: &Flood) -> Result<Kept, BoxError> {
        let ail = async {
            self.ail().await;
            Ok(())
        };
        let (kept, ()) = tokio::try_join!(flood.run(self.pushes.all(), self.start, &self.sent), ail)?;
        if kept.accepted.is_empty() {
            return Err("nothing was accepted, so nothing was measured".into());
        }
        let deadline = Instant::now() + Duration::from_secs(self.scenario.load.patience);
        let owed = kept.accepted.len() * self.scenario.webhooks.per_repository;
        let mut judged = Instant::now();
        while self.witness.arrived() < owed && Instant::now() < deadline {
            sleep(POLL).await;
            if self.scenario.repositories.tags.is_some() && judged.elapsed() >= JUDGED_EVERY {
                if verify(&self.owed(&kept), &self.witness.seen()?).is_right() {
                    break;
                }
                judged = Instant::now();
            }
        }
        sleep(LINGER).await;
        Ok(kept)
    }

    /// Lets receivers ail as the script says; in the end all are well.
    async fn ail(&self) {
        let (troubles, webhooks) = (&self.scenario.troubles, self.scenario.webhooks());
        let end = self.pushes.schedule.length();
        for second in turns(troubles) {
            let at = Duration::from_secs(second);
            if at >= end {
                break;
            }
            sleep_until(self.start + at).await;
            self.sink.behave(behaviours(troubles, webhooks, second));
        }
        sleep_until(self.start + end).await;
        self.sink.behave(Vec::new());
    }

    /// Tells how it goes, every few seconds, without an end.
    async fn tell(&self) {
        let mut ticks = interval(TOLD_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let (end, mut before) = (self.pushes.schedule.length(), 0);
        loop {
            ticks.tick().await;
            let (recent, (due, accepted)) = (self.witness.recent(), self.sent.now());
            let at = self.start.elapsed();
            let doing = if at < end { "load" } else { "verify" };
            say(&format!(
                "{doing} {:>4} s of {}: {due} pushes due, {accepted} accepted; {} changes arrived, {:.0}/s, median {:.0} ms, \
                 p99 {:.0} ms",
                at.as_secs(),
                end.as_secs(),
                recent.arrived,
                f64::from(u32::try_from(recent.arrived - before).unwrap_or(u32::MAX)) / TOLD_EVERY.as_secs_f64(),
                recent.median.as_secs_f64() * 1e3,
                recent.p99.as_secs_f64() * 1e3,
            ));
            before = recent.arrived;
        }
    }

    fn sum_up(&self, kept: &Kept, processes: Vec<gauge::Used>) -> Result<Summary, BoxError> {
        let (seen, owed) = (self.witness.seen()?, self.owed(kept));
        let first = summary::first_arrivals(&owed, &seen, self.start);
        if first.is_empty() {
            return Err(
                "nothing arrived, so nothing was measured (--logs FOLDER keeps the logs of our processes)".into()
            );
        }
        let accepted = seen.iter().filter(|seen| seen.is_accepted).count();
        Ok(Summary {
            scenario: self.scenario.clone(),
            run: self.pushes.run.clone(),
            pushes: Pushed {
                due: self.sent.now().0,
                accepted: kept.accepted.len(),
                reported_again: kept.repeated.len(),
                generator_lag_ms: kept.longest_lag.as_secs_f64() * 1e3,
            },
            requests: Requests { accepted, ailing: seen.len() - accepted, foreign: self.witness.foreign() },
            rate: summary::rate(&owed, &first),
            latency: summary::latency(&owed, &first, self.scenario),
            seconds: summary::seconds(&owed, &first, self.scenario),
            processes,
            verified: verify(&owed, &seen),
        })
    }

    fn owed<'a>(&'a self, kept: &'a Kept) -> Owed<'a> {
        Owed { pushes: &self.pushes, kept, per_repository: self.scenario.webhooks.per_repository }
    }
}
