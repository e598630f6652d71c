//! Which attempts are under way, and in whose hands.

use std::time::Duration;

use async_trait::async_trait;
use dockbell_proto::ids::AttemptId;

use crate::store::StoreError;
use crate::store::claims::{Claim, Claimed, Claims};

use super::counters::Counted;
use super::{RedisStore, values};

#[async_trait]
impl Claims for RedisStore {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError> {
        self.counted().claim(claim).await
    }
}

impl Counted<'_> {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError> {
        let mut call = self.side.prepare(&self.scripts.claim_attempt)?;
        call.key(self.settled_key(&claim.attempt)).key(self.claim_key(&claim.attempt));
        let (now, until) = (self.now.as_microsecond(), claim.until.as_microsecond());
        let kept = Duration::from_micros(until.saturating_sub(now).unsigned_abs());
        call.arg(now).arg(claim.holder.to_string()).arg(until).arg(values::bound_ms(kept));
        let (kind, verdict): (String, String) = self.side.call(&call).await?;
        match kind.as_str() {
            "ours" => Ok(Claimed::Ours),
            "settled" => Ok(Claimed::Settled(values::json("verdict", &verdict)?)),
            "held" => Ok(Claimed::Held),
            _ => Err(values::unreadable("claim", "its kind is none")),
        }
    }

    pub(super) fn claim_key(&self, attempt: &AttemptId) -> String {
        self.side.key(format_args!("claim:{attempt}"))
    }
}
