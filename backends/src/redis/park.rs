//! Deliveries that wait without having been attempted.

use dockbell_proto::order::Order;
use dockbell_proto::outcome::DeliveryState;
use serde::Serialize;

use crate::store::{Parked, Parking, StoreError};

use super::counters::{self, Counted, Fields};
use super::entering::{self, Entering};
use super::values;

/// What the script is told.
#[derive(Serialize)]
struct Arguments<'a> {
    #[serde(flatten)]
    entering: entering::Arguments<'a>,
    limit: String,
    is_held: bool,
}

impl Counted<'_> {
    /// Takes note of the delivery, unless its attempt is settled, others took its place or too many wait.
    pub(super) async fn park(&self, parking: &Parking) -> Result<Parked, StoreError> {
        let Parking { delivery, at, until, reason, limit, is_held } = parking;
        let mut call = self.prepare_to_enter(&self.scripts.park)?;
        let (state, next, parked_because) = (DeliveryState::Parked, Some(*until), Some(reason.as_str()));
        let entering = entering::Arguments::of(Entering { delivery, at: *at, state, next, parked_because });
        call.arg(values::to_json(&Arguments { entering, limit: limit.to_string(), is_held: *is_held })?);
        call.arg(values::to_json(&delivery.content)?);
        let (kind, because, health, waiting): (String, String, Fields, u32) = self.side.call(&call).await?;
        let health = || counters::health(&health, waiting);
        match kind.as_str() {
            "waits" => Ok(Parked::Waits(health()?)),
            "full" => Ok(Parked::Full(health()?)),
            "settled" => values::json("verdict", &because).map(Parked::Settled),
            _ => Ok(Parked::Superseded { by: Order::try_from(because).map_err(|e| values::unreadable("order", e))? }),
        }
    }
}
