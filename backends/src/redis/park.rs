//! Deliveries that wait without having been attempted.

use dockbell_proto::order::Order;
use dockbell_proto::outcome::DeliveryState;

use crate::store::{Parked, Parking, StoreError};

use super::counters::{self, Counted};
use super::entering::{Attempted, Entering, Told};
use super::values;

impl Counted<'_> {
    /// Takes note of the delivery, unless its attempt is settled, others took its place or too many wait.
    pub(super) async fn park(&self, parking: &Parking) -> Result<Parked, StoreError> {
        let Parking { delivery, at, until, reason, limit, is_held } = parking;
        let mut call = self.prepare_to_enter(&self.scripts.park)?;
        let (state, next, parked_because) = (DeliveryState::Parked, Some(*until), Some(reason.as_str()));
        let entering = Entering { delivery, at: *at, state, next, parked_because };
        call.arg(limit).arg(i32::from(*is_held)).arg(Told::of(entering, Attempted::default())?);
        let (kind, because, health, waiting): (String, String, String, u32) = self.side.call(&call).await?;
        let health = || counters::read_health(&health, waiting);
        match kind.as_str() {
            "waits" => Ok(Parked::Waits(health()?)),
            "full" => Ok(Parked::Full(health()?)),
            "settled" => values::json("verdict", &because).map(Parked::Settled),
            _ => Ok(Parked::Superseded { by: Order::try_from(because).map_err(|e| values::unreadable("order", e))? }),
        }
    }
}
