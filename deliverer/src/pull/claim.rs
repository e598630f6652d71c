//! Attempts of which another process may have a copy: one of them makes it.

use std::pin::pin;
use std::time::Duration;

use dockbell_backends::store::claims::{Claim, Claimed, Claims};
use dockbell_proto::health::later;
use dockbell_proto::ids::AttemptId;
use tokio::time::{Instant, interval_at};

use super::Deliverer;

/// How long a claim outlasts a deliverer that died: what it had under way is attempted again then.
const LEASE: Duration = Duration::from_secs(5);
/// How often a claim is renewed while its attempt goes on. Two renewals may fail before it ends.
const RENEWED_EVERY: Duration = Duration::from_millis(1_500);

impl Deliverer {
    /// Claims an attempt. Without an answer it is made, perhaps once more: the store may be away for long, and the
    /// receiver can tell by the id.
    pub(super) async fn claim(&self, attempt: AttemptId) -> Claimed {
        let Some(claims) = self.settler.store.claims() else { return Claimed::Ours };
        self.claim_with(claims, attempt).await
    }

    async fn claim_with(&self, claims: &dyn Claims, attempt: AttemptId) -> Claimed {
        let until = later(self.settler.clock.now(), LEASE);
        let claim = Claim { attempt, holder: self.holder.clone(), until };
        claims.claim(&claim).await.unwrap_or_else(|error| {
            self.settler.told("claim an attempt", &error, Duration::ZERO);
            Claimed::Ours
        })
    }

    /// What `work` yields, which the claim of `attempt` outlasts.
    pub(super) async fn while_claimed<T>(&self, attempt: AttemptId, work: impl Future<Output = T>) -> T {
        let Some(claims) = self.settler.store.claims() else { return work.await };
        let mut work = pin!(work);
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
                _ = self.claim_with(claims, attempt.clone()) => {}
            }
        }
    }
}
