//! Lets receivers ail, one after the other, while the fleet works.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::fault::{Ailment, Deck, up_to};
use super::stage::Addresses;
use crate::fleet::Fleet;
use crate::report::say;
use crate::sink::{Behaviour, Sink};

/// Takes its time, so that kills find attempts under way.
pub(crate) const WELL: Behaviour = Behaviour::Late(Duration::from_millis(30));
const LONGEST: Duration = Duration::from_secs(15);
/// Longer than any attempt.
const HANG: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(200);
const FLAP: Duration = Duration::from_millis(700);
/// A receiver that is gone is so for shorter: its webhook is disabled by the first attempt.
const GONE: Duration = Duration::from_secs(2);

/// What ailed, which webhook, and from when until when.
pub(crate) type Case = (Ailment, usize, Instant, Instant);

/// The owner of the webhooks, who enables what a receiver that was gone has disabled.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    /// When the soak started.
    pub(crate) started: Instant,
    pub(crate) fleet: Fleet,
    pub(crate) addresses: watch::Receiver<Addresses>,
    /// Their ids.
    pub(crate) webhooks: Vec<String>,
}

impl Owner {
    async fn enable(&self, webhook: usize) {
        let Some(id) = self.webhooks.get(webhook) else { return };
        let path = format!("webhooks/{id}");
        loop {
            let console = self.addresses.borrow().console;
            let call = self.fleet.call(console, (Method::PATCH, &path), Some(json!({ "enabled": true })));
            // While the console or its store is away, a person tries again.
            if call.await.is_ok() {
                return;
            }
            sleep(AGAIN).await;
        }
    }
}

/// Until it is over, webhooks ail, one at a time, but for the last, which is always well.
pub(crate) async fn ail(sink: Arc<Sink>, owner: Owner, seed: u64, is_over: watch::Receiver<bool>) -> Vec<Case> {
    let webhooks = owner.webhooks.len() - 1;
    let (mut rng, mut deck, mut cases) = (StdRng::seed_from_u64(seed), Deck::new(&Ailment::ALL), Vec::new());
    while !*is_over.borrow() {
        let (webhook, from) = (rng.random_range(0..webhooks), Instant::now());
        let Some(ailment) = deck.draw(&mut rng) else { break };
        let time = up_to(LONGEST, &mut rng);
        say(&format!("{:>6.1} s: webhook {webhook}: {ailment:?}", owner.started.elapsed().as_secs_f64()));
        suffer(&sink, webhook, ailment, time).await;
        sink.behave(vec![WELL; webhooks + 1]);
        if ailment == Ailment::Answers(410) {
            owner.enable(webhook).await;
        }
        cases.push((ailment, webhook, from, Instant::now()));
        sleep(up_to(Duration::from_secs(2), &mut rng)).await;
    }
    cases
}

async fn suffer(sink: &Sink, webhook: usize, ailment: Ailment, time: Duration) {
    match ailment {
        Ailment::Hangs => turn(sink, webhook, Behaviour::Hang(HANG), time).await,
        Ailment::Closes => turn(sink, webhook, Behaviour::Close, time).await,
        Ailment::Answers(410) => turn(sink, webhook, Behaviour::Refuse(410), GONE).await,
        Ailment::Answers(status) => turn(sink, webhook, Behaviour::Refuse(status), time).await,
        Ailment::Flaps => {
            let end = Instant::now() + time;
            while Instant::now() < end {
                turn(sink, webhook, Behaviour::Refuse(500), FLAP).await;
                turn(sink, webhook, WELL, FLAP).await;
            }
        }
    }
}

async fn turn(sink: &Sink, webhook: usize, behaviour: Behaviour, time: Duration) {
    sink.behave_at(webhook, behaviour);
    sleep(time).await;
}
