//! Which attempts are under way, and in whose hands.

use std::time::Duration;

use async_trait::async_trait;

use crate::store::StoreError;
use crate::store::claims::{Claim, Claimed, Claims};

use super::counters::Counted;
use super::{RedisStore, values};

#[async_trait]
impl Claims for RedisStore {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError> {
        let answer = self.claims.call(claim.clone(), 1).await?;
        match answer.as_str() {
            "ours" => Ok(Claimed::Ours),
            "held" => Ok(Claimed::Held),
            verdict => Ok(Claimed::Settled(values::json("verdict", verdict)?)),
        }
    }
}

impl Counted<'_> {
    /// What came of each claim: `ours`, `held`, or the verdict of an attempt that is settled.
    pub(super) async fn claim(&self, claims: &[Claim]) -> Result<Vec<String>, StoreError> {
        let mut call = self.side.prepare(&self.scripts.claim_attempts)?;
        let now = self.now.as_microsecond();
        call.arg(now);
        for Claim { attempt, holder, until } in claims {
            let until = until.as_microsecond();
            let kept = Duration::from_micros(until.saturating_sub(now).unsigned_abs());
            call.key(self.settled_key(attempt));
            call.arg(holder.to_string()).arg(until).arg(values::bound_ms(kept));
        }
        self.side.call(&call).await
    }
}
