//! Attempts of which another process may have a copy: one of them makes it.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dockbell_backends::store::StoreError;
use dockbell_backends::store::claims::{Claim, Claimed, Claims};
use dockbell_proto::health::later;
use dockbell_proto::ids::AttemptId;
use tokio::time::{Instant, interval_at, sleep};

use super::Deliverer;

/// How long a claim outlasts a deliverer that died: what it had under way is attempted again then.
const LEASE: Duration = Duration::from_secs(5);
/// How often a claim is renewed while its attempt goes on. Two renewals may fail before it ends.
const RENEWED_EVERY: Duration = Duration::from_millis(1_500);
/// A store that was silent for so long is away, and no claim waits for it any more. A busy one is silent for a moment.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon a claim is asked for again that was not answered.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Since when no claim is answered.
#[derive(Debug, Default)]
pub struct Silence(Mutex<Option<Instant>>);

impl Silence {
    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes note that there was no answer, and says whether one may still come soon.
    fn goes_on(&self) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        since.elapsed() < PATIENCE
    }
}

impl Deliverer {
    /// Claims an attempt. Without an answer for a while it is made, perhaps once more: the store may be away for long, and the
    /// receiver can tell by the id.
    pub(super) async fn claim(&self, attempt: AttemptId) -> Claimed {
        let Some(claims) = self.settler.store.claims() else { return Claimed::Ours };
        loop {
            match self.claim_with(claims, attempt.clone()).await {
                Ok(claimed) => {
                    self.silence.end();
                    return claimed;
                }
                Err(error) => {
                    self.settler.told("claim an attempt", &error, ASKED_AGAIN_AFTER);
                    if !self.silence.goes_on() {
                        return Claimed::Ours;
                    }
                }
            }
            sleep(ASKED_AGAIN_AFTER).await;
        }
    }

    async fn claim_with(&self, claims: &dyn Claims, attempt: AttemptId) -> Result<Claimed, StoreError> {
        let until = later(self.settler.clock.now(), LEASE);
        claims.claim(&Claim { attempt, holder: self.holder.clone(), until }).await
    }

    /// What `work` yields, which the claim of `attempt` outlasts.
    pub(super) async fn while_claimed<T>(
        &self,
        attempt: AttemptId,
        mut work: Pin<&mut (dyn Future<Output = T> + Send)>,
    ) -> T {
        let Some(claims) = self.settler.store.claims() else { return work.await };
        let mut ticks = interval_at(Instant::now() + RENEWED_EVERY, RENEWED_EVERY);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                biased;
                done = &mut work => return done,
                // Whatever is answered, the attempt is under way.
                renewed = self.claim_with(claims, attempt.clone()) => {
                    if let Err(error) = renewed {
                        self.settler.told("claim an attempt", &error, RENEWED_EVERY);
                    }
                }
            }
        }
    }
}
