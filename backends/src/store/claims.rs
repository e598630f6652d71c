//! How processes that share a store keep copies of one attempt apart.

use std::fmt;

use async_trait::async_trait;
use dockbell_proto::ids::AttemptId;
use dockbell_proto::outcome::Verdict;
use jiff::Timestamp;

use super::StoreError;

/// Who makes attempts: one process, from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(String);

impl Holder {
    /// The holder of this number, which must be drawn at random.
    pub fn from_random(number: u128) -> Self {
        Self(format!("{number:032x}"))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An attempt that somebody is about to make, or goes on making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The attempt.
    pub attempt: AttemptId,
    /// Who makes it.
    pub holder: Holder,
    /// Until when nobody else may, unless it is claimed again or recorded before.
    pub until: Timestamp,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It may, and nobody else may make it.
    Ours,
    /// It was made, and recorded within [`SETTLED_KEPT`](super::SETTLED_KEPT). What followed from it.
    Settled(Verdict),
    /// Somebody else is making it.
    Held,
}

/// Attempts under way, of a store that several processes share.
///
/// A message may exist twice, or be handed out again while who had it goes on with it. A claim lets one of the
/// processes make the attempt; the others wait for its record, or for the end of the claim if its holder has died.
#[async_trait]
pub trait Claims: fmt::Debug + Send + Sync {
    /// Claims an attempt, or claims it for longer. The record of the attempt ends the claim.
    async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError>;
}
