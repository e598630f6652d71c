//! The note of a delivery that waits without having been attempted.

use dockbell_proto::outcome::DeliveryState;
use rusqlite::Connection;

use crate::store::{Parked, Parking, StoreError};

use super::{enter, newest, rows, settled, standing, waiting, webhooks};

/// A delivery that is to be parked, with its column.
#[derive(Debug)]
pub(super) struct Note {
    parking: Parking,
    content: String,
}

impl Note {
    pub(super) fn new(parking: &Parking) -> Result<Self, StoreError> {
        Ok(Self { content: rows::to_json(&parking.delivery.content)?, parking: parking.clone() })
    }
}

/// Parks the delivery, as of `now`. A note that comes after an attempt of the delivery, or after the removal of its
/// webhook, changes nothing.
pub(super) fn park(file: &Connection, note: &Note, now: i64) -> rusqlite::Result<Parked> {
    let Parking { delivery, limit, .. } = &note.parking;
    let health = || standing::health(file, &delivery.webhook, now);
    if !webhooks::exists(file, &delivery.webhook)? {
        return health().map(Parked::Waits);
    }
    if let Some(verdict) = settled::verdicts(file, &[delivery.attempt_id()], now)?.into_iter().flatten().next() {
        return Ok(Parked::Settled(verdict));
    }
    if settled::is_settled_from(file, delivery, delivery.ordinal, now)? {
        return health().map(Parked::Waits);
    }
    // What a person asked for is sent in any case.
    if delivery.request == 0
        && let Some(by) = newest::later(file, delivery, now)?
    {
        return Ok(Parked::Superseded { by });
    }
    let before = health()?;
    let waits = waiting::contains(file, delivery, now)?;
    if before.waiting >= *limit && !waits {
        return Ok(Parked::Full(before));
    }
    // What waits and is not in the history was trimmed from it: looking at it again does not bring it back to its top.
    if !waits || enter::is_in(file, delivery)? {
        show(file, note)?;
    }
    waiting::enter(file, delivery, now)?;
    if !note.parking.is_held {
        newest::raise(file, delivery, newest::Because::Waits, now)?;
    }
    health().map(Parked::Waits)
}

fn show(file: &Connection, note: &Note) -> rusqlite::Result<()> {
    let Parking { delivery, at, until, reason, .. } = &note.parking;
    let entry = enter::Entry {
        delivery,
        content: &note.content,
        state: DeliveryState::Parked,
        at: rows::at(*at),
        next_at: Some(rows::at(*until)),
        parked_because: Some(reason),
    };
    enter::parked(file, &entry)?;
    enter::trim(file, &delivery.webhook)
}
