//! Carrying out what is decided about dead letters.

use std::collections::HashSet;

use dockbell_backends::bus::PublishError;
use dockbell_backends::store::marks::{Decision, LetterId};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::DeliveryId;

use super::find::Found;
use crate::problem::Problem;
use crate::{Console, deliveries, publish};

/// Brings a letter back, and marks it once the bus has custody: a crash between may revive it twice. The number of
/// the request, if it is a delivery.
pub(super) async fn revive(console: &Console, found: &Found) -> Result<Option<u32>, Problem> {
    let request = if let Some(delivery) = found.delivery() {
        Some(send_again(console, delivery).await?)
    } else {
        publish_again(console, found).await?;
        None
    };
    mark(console, &[found], Decision::Revived).await?;
    tracing::info!(letter.position = found.letter.position, "a dead letter was revived");
    Ok(request)
}

/// Brings letters back, a delivery once however often it was given up. How many, and how many of them are not sent
/// because their webhook was removed or is disabled.
pub(super) async fn revive_all(console: &Console, all: &[Found]) -> Result<(usize, usize), Problem> {
    let (mut done, mut skipped) = (0, 0);
    let mut sent: HashSet<&DeliveryId> = HashSet::new();
    for found in all {
        let delivery = found.delivery().map(|delivery| &delivery.id);
        if delivery.is_some_and(|id| sent.contains(id)) {
            mark(console, &[found], Decision::Revived).await?;
            done += 1;
            continue;
        }
        match revive(console, found).await {
            Ok(_) => {
                done += 1;
                sent.extend(delivery);
            }
            Err(problem) if problem.status == http::StatusCode::CONFLICT.as_u16() => skipped += 1,
            Err(problem) => return Err(problem),
        }
    }
    Ok((done, skipped))
}

/// Notes what was decided.
pub(super) async fn mark(console: &Console, all: &[&Found], decision: Decision) -> Result<(), Problem> {
    let ids: Vec<LetterId> = all.iter().map(|found| found.id()).collect();
    Ok(console.store.mark_dead(&ids, decision).await?)
}

async fn send_again(console: &Console, delivery: &Delivery) -> Result<u32, Problem> {
    let webhook = console.store.webhook(&delivery.webhook).await?;
    deliveries::require_addressee(&delivery.webhook, webhook.as_ref())?;
    let request = match console.store.take_request(&delivery.id).await? {
        Some(request) => request,
        // The history has forgotten it, and begins anew with this attempt. The second is above all numbers that were
        // taken before, and below those that are taken after it.
        None => u32::try_from(console.clock.now().as_second()).unwrap_or(u32::MAX),
    };
    publish::ask_for(&*console.bus, publish::as_asked_for(delivery, request, console.clock.now())).await?;
    Ok(request)
}

async fn publish_again(console: &Console, found: &Found) -> Result<(), PublishError> {
    match console.bus.revive(&found.letter).await {
        // It is flagged as a repetition anyway.
        Err(PublishError::Unknown(_)) => console.bus.revive(&found.letter).await,
        done => done,
    }
}
