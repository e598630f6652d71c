//! The fleet-wide fault: when almost nobody can be reached, it is us.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockbell_proto::outcome::{Outcome, Phase};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The attempts that are looked at: those that ended within this time, and no more than so many.
const WINDOW: Duration = Duration::from_secs(10);
const ATTEMPTS: usize = 10_000;
/// So many hosts must have been tried, or a few dead receivers would look like a fault of ours.
const HOSTS: usize = 20;
/// The part of the attempts, in percent, that must have reached nobody.
const UNREACHABLE_PERCENT: usize = 90;
/// How long nothing is attempted after the first finding; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Watches all attempts of a process.
#[derive(Debug)]
pub struct Fleet {
    state: Mutex<State>,
    paused_until: watch::Sender<Option<Instant>>,
}

#[derive(Debug, Default)]
struct State {
    attempts: VecDeque<Attempt>,
    /// How many of them reached nobody.
    unreachable: usize,
    /// Whether the fault was found and nobody has answered since, and the last pause.
    doubted: Option<Duration>,
}

#[derive(Debug)]
struct Attempt {
    at: Instant,
    host: String,
    is_unreachable: bool,
}

/// What an attempt told about the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Nothing new.
    Nothing,
    /// Almost nobody can be reached: nothing is attempted for so long.
    Fault(Duration),
    /// Receivers answer again.
    Recovered,
}

impl Default for Fleet {
    fn default() -> Self {
        Self { state: Mutex::default(), paused_until: watch::Sender::new(None) }
    }
}

impl Fleet {
    /// Takes note of an attempt, and of whose fault it is: while the fault lasts, what is unreachable is our own.
    pub fn note(&self, host: &str, outcome: Outcome) -> (Outcome, Finding) {
        let now = Instant::now();
        let is_unreachable =
            matches!(outcome, Outcome::Unreachable { .. } | Outcome::TimedOut { phase: Phase::Connect });
        let is_answer = matches!(outcome, Outcome::Accepted { .. } | Outcome::Refused { .. });
        if !is_unreachable && !is_answer {
            return (outcome, Finding::Nothing);
        }
        let mut state = self.lock();
        let finding = state.note(Attempt { at: now, host: host.to_owned(), is_unreachable });
        if let Finding::Fault(pause) = finding {
            self.paused_until.send_replace(Some(now + pause));
        }
        let is_ours = is_unreachable && state.doubted.is_some();
        (if is_ours { ours() } else { outcome }, finding)
    }

    /// Waits while nothing is to be attempted.
    pub async fn ready(&self) {
        let mut paused_until = self.paused_until.subscribe();
        loop {
            let until = *paused_until.borrow_and_update();
            match until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ours() -> Outcome {
    Outcome::Hindered {
        reason: "almost no receiver could be reached, so it is taken for a fault on our side".to_owned(),
    }
}

impl State {
    fn note(&mut self, attempt: Attempt) -> Finding {
        let now = attempt.at;
        let is_answer = !attempt.is_unreachable;
        self.unreachable += usize::from(attempt.is_unreachable);
        self.attempts.push_back(attempt);
        while self.attempts.len() > ATTEMPTS
            || self.attempts.front().is_some_and(|attempt| now.duration_since(attempt.at) > WINDOW)
        {
            let oldest = self.attempts.pop_front();
            self.unreachable -= usize::from(oldest.is_some_and(|oldest| oldest.is_unreachable));
        }
        let is_fault = self.is_fault();
        if is_answer && !is_fault && self.doubted.take().is_some() {
            return Finding::Recovered;
        }
        if !is_fault {
            return Finding::Nothing;
        }
        self.attempts.clear();
        self.unreachable = 0;
        let pause = self.doubted.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
        self.doubted = Some(pause);
        Finding::Fault(pause)
    }

    fn is_fault(&self) -> bool {
        if self.attempts.len() < HOSTS || self.unreachable * 100 < self.attempts.len() * UNREACHABLE_PERCENT {
            return false;
        }
        let hosts: HashSet<&str> = self.attempts.iter().map(|attempt| attempt.host.as_str()).collect();
        hosts.len() >= HOSTS
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt as _;

    use super::*;

    fn unreachable() -> Outcome {
        Outcome::Unreachable { reason: "the connection was refused".to_owned() }
    }

    fn accepted() -> Outcome {
        Outcome::Accepted { status: 200 }
    }

    /// What the last of some attempts to as many hosts told.
    fn note(fleet: &Fleet, hosts: usize, outcome: &Outcome) -> (Outcome, Finding) {
        (0..hosts).map(|host| fleet.note(&format!("host-{host}"), outcome.clone())).last().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn twenty_hosts_that_cannot_be_reached_are_our_fault_and_pause_everything() {
        let fleet = Fleet::default();
        assert_eq!(note(&fleet, 19, &unreachable()), (unreachable(), Finding::Nothing));
        assert!(fleet.ready().now_or_never().is_some());
        assert_eq!(fleet.note("host-20", unreachable()), (ours(), Finding::Fault(FIRST_PAUSE)));
        assert!(fleet.ready().now_or_never().is_none());
        assert_eq!(fleet.note("late", unreachable()), (ours(), Finding::Nothing), "and charged to nobody");
        let began = Instant::now();
        fleet.ready().await;
        assert_eq!(began.elapsed(), FIRST_PAUSE);
        assert_eq!(note(&fleet, 19, &unreachable()).1, Finding::Fault(FIRST_PAUSE * 2));
        assert_eq!(fleet.note("one", accepted()), (accepted(), Finding::Recovered));
        assert_eq!(fleet.note("other", unreachable()), (unreachable(), Finding::Nothing));
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_dead_receivers_are_their_own_fault() {
        let fleet = Fleet::default();
        for _ in 0..100 {
            assert_eq!(note(&fleet, 19, &unreachable()).1, Finding::Nothing, "too few hosts");
        }
        let fleet = Fleet::default();
        for _ in 0..3 {
            note(&fleet, 1, &accepted());
        }
        assert_eq!(note(&fleet, 20, &unreachable()).1, Finding::Nothing, "some answer");
        let fleet = Fleet::default();
        for host in 0..40 {
            assert_eq!(fleet.note(&format!("host-{host}"), unreachable()).1, Finding::Nothing, "not within the time");
            tokio::time::advance(Duration::from_millis(600)).await;
        }
        let refused = Outcome::Refused { status: 500, retry_after: None };
        assert_eq!(note(&Fleet::default(), 100, &refused).1, Finding::Nothing, "an answer is an answer");
    }
}
