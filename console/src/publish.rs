//! The one way in which the console makes a delivery happen: a deliverer is asked to send it.

use dockbell_backends::Bus;
use dockbell_backends::bus::{Outgoing, PublishError, Queue};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::message::Message;

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
