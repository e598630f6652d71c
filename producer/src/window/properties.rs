//! Nothing is lost, doubled, mixed, late or stuck, whatever the order of pushes and ticks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dockbell_testkit::sample::{event, moment};
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Push { id: u8, repository: u8, tag: Option<u8> },
    Pass { ms: u16 },
    Confirm,
    Relieve { to: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push = (0u8..30, 0u8..3, proptest::option::weighted(0.8, 0u8..3))
        .prop_map(|(id, repository, tag)| Step::Push { id, repository, tag });
    let step = prop_oneof![
        6 => push,
        3 => (0u16..2500).prop_map(|ms| Step::Pass { ms }),
        2 => Just(Step::Confirm),
        1 => (0u8..10).prop_map(|to| Step::Relieve { to }),
    ];
    proptest::collection::vec(step, 0..200)
}

/// The order of an event, the same whenever it is reported; events of one order are told apart by their ids.
fn order_ms(id: u8) -> i64 {
    i64::from(id) * 37 % 100 / 3
}

/// Drives the windows as the collector does, and keeps account of every share.
struct Driver {
    windows: Windows<usize>,
    policy: WindowPolicy,
    now: Moment,
    pushed: usize,
    out: BTreeMap<usize, u32>,
    unconfirmed: VecDeque<(u64, Vec<usize>)>,
    left: BTreeSet<String>,
}

impl Driver {
    fn new() -> Self {
        let policy = WindowPolicy::new(Duration::from_secs(1), Duration::from_secs(5), 7).unwrap();
        let (windows, out) = (Windows::new(policy), BTreeMap::new());
        Self { windows, policy, now: Moment::ZERO, pushed: 0, out, unconfirmed: VecDeque::new(), left: BTreeSet::new() }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Push { id, repository, tag } => {
                let tag = tag.map(|tag| format!("t{tag}"));
                let event = event(&format!("e{id}"), &format!("r{repository}"), tag.as_deref(), order_ms(*id));
                let pushed = self.windows.push(event, 50, self.pushed, (self.now, moment()));
                self.pushed += 1;
                pushed.closed.into_iter().for_each(|closed| self.closed(closed));
                pushed.stale.into_iter().for_each(|share| self.settle(share));
            }
            Step::Pass { ms } => {
                self.now += Duration::from_millis((*ms).into());
                self.windows.close_due(self.now).into_iter().for_each(|closed| self.closed(closed));
                assert!(self.windows.next_deadline().is_none_or(|deadline| deadline > self.now), "late");
            }
            Step::Confirm => self.confirm(),
            Step::Relieve { to } => {
                self.windows.close_oldest((*to).into()).into_iter().for_each(|closed| self.closed(closed));
            }
        }
        assert_eq!(self.windows.next_deadline().is_some(), self.windows.open() > 0, "stuck");
        assert!(
            self.windows.next_deadline().is_none_or(|deadline| deadline <= self.now + self.policy.max_wait()),
            "stuck"
        );
    }

    fn closed(&mut self, closed: Closed<usize>) {
        assert!(!closed.events.is_empty() && closed.events.len() <= self.policy.max_events());
        assert!(self.now <= closed.opened + self.policy.max_wait() + Duration::from_secs(3), "late");
        let repositories: BTreeSet<_> = closed.events.iter().map(|event| event.repository.as_str()).collect();
        assert_eq!(repositories.len(), 1, "mixed");
        for event in &closed.events {
            let identity = format!("{} {} {:?}", event.id, event.repository, event.tag);
            assert!(self.left.insert(identity), "doubled");
        }
        self.unconfirmed.push_back((closed.number, closed.shares));
    }

    fn confirm(&mut self) {
        let Some((number, shares)) = self.unconfirmed.pop_front() else { return };
        let repeated = self.windows.confirmed(number, shares.len());
        shares.into_iter().chain(repeated).for_each(|share| self.settle(share));
    }

    fn settle(&mut self, share: usize) {
        *self.out.entry(share).or_default() += 1;
    }
}

proptest! {
    #[test]
    fn every_share_comes_out_once_and_every_event_leaves_at_most_once(steps in steps()) {
        let mut driver = Driver::new();
        for step in &steps {
            driver.step(step);
        }
        driver.windows.close_all().into_iter().for_each(|closed| driver.closed(closed));
        while !driver.unconfirmed.is_empty() {
            driver.confirm();
        }
        prop_assert_eq!(driver.windows.held(), 0);
        let expected: BTreeMap<usize, u32> = (0..driver.pushed).map(|share| (share, 1)).collect();
        prop_assert_eq!(driver.out, expected);
    }

    #[test]
    fn the_event_with_the_latest_order_of_every_tag_leaves(steps in steps()) {
        let mut driver = Driver::new();
        let mut latest = BTreeMap::new();
        for step in &steps {
            driver.step(step);
            if let Step::Push { id, repository, tag: Some(tag) } = step {
                let order = (order_ms(*id), format!("e{id}"));
                let known = latest.entry((*repository, *tag)).or_insert_with(|| order.clone());
                *known = known.clone().max(order);
            }
        }
        driver.windows.close_all().into_iter().for_each(|closed| driver.closed(closed));
        for ((repository, tag), (_, id)) in latest {
            let identity = format!("{id} r{repository} Some(\"t{tag}\")");
            prop_assert!(driver.left.contains(&identity), "{} did not leave", identity);
        }
    }
}
