//! Chains: a webhook that is told of a push once the receiver of another one has reported success.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::WebhookId;

/// How long a report is waited for if the owner does not say.
pub const WITHIN_BY_DEFAULT: Duration = Duration::from_hours(1);
/// The shortest time that may be said.
pub const SHORTEST_WITHIN: Duration = Duration::from_secs(1);
/// The most webhooks of one chain, so that it can be seen through.
pub const CHAIN_LIMIT: usize = 10;

/// What a webhook waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// The webhook whose receiver must report success of the same push.
    pub webhook: WebhookId,
    /// How long that is waited for; then the delivery is given up.
    pub within: Duration,
}
