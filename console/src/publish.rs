//! The one way in which the console makes a delivery happen: a deliverer is asked to send it.

use dockbell_backends::Bus;
use dockbell_backends::bus::{Outgoing, PublishError, Queue};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::message::Message;
use jiff::Timestamp;

use crate::Console;
use crate::problem::Problem;

/// A delivery as a person asks for it, at `now` and with a request number of its own: its attempts and its time in
/// custody begin anew.
pub(crate) fn as_asked_for(delivery: &Delivery, request: u32, now: Timestamp) -> Delivery {
    Delivery { request, ordinal: 1, not_before: None, is_parked: false, first_at: Some(now), ..delivery.clone() }
}

/// Returns once the bus has custody of the delivery. If the future is dropped it may have it nevertheless.
pub(crate) async fn ask_for(bus: &dyn Bus, delivery: Delivery) -> Result<(), PublishError> {
    let message = Outgoing::carrying(&Message::Delivery(delivery));
    match bus.publish(Queue::Redeliveries, message.clone()).await {
        // The id is the same, so that a second copy is known as such.
        Err(PublishError::Unknown(_)) => {
            bus.publish(Queue::Redeliveries, Outgoing { maybe_repeated: true, ..message }).await
        }
        done => done,
    }
}

/// Sends what is recorded again, as a request of its own, whose number it returns.
pub(crate) async fn again(console: &Console, recorded: &Delivery) -> Result<u32, Problem> {
    let request = console.store.take_request(&recorded.id).await?.ok_or_else(unrecorded)?;
    ask_for(&*console.bus, as_asked_for(recorded, request, console.clock.now())).await?;
    Ok(request)
}

/// A delivery that the history does not hold.
pub(crate) fn unrecorded() -> Problem {
    Problem::not_found("no delivery of this id is recorded; a new one is, once it was attempted")
}
