//! The routes about the standing of a webhook, and about what it missed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use dockbell_backends::store::Health;
use dockbell_proto::health::{Standing, StandingChange, StandingWord};
use dockbell_proto::ids::WebhookId;
use dockbell_proto::operations::OperatorEvent;
use dockbell_proto::webhook::Webhook;

use crate::auth::Caller;
use crate::draft::read_period;
use crate::extract::{IdInPath, JsonObject};
use crate::problem::Problem;
use crate::request::Period;
use crate::view::{Discarded, Replayed, StandingView, WebhookView};
use crate::webhooks::{find, shown};
use crate::{Console, replay};

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(read_standing))
        .routes(routes!(resume_webhook))
        .routes(routes!(replay_skipped))
        .routes(routes!(discard_skipped))
}

/// Look at how a webhook stands, and why
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}/standing", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 200, description = "How it stands, and how it came to that", body = StandingView),
        (status = 404, description = "There is none"),
    ),
)]
async fn read_standing(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(id): IdInPath<WebhookId>,
) -> Result<Json<StandingView>, Problem> {
    let webhook = find(&console, &caller, &id).await?;
    let (health, changes) = (console.store.health(&id).await?, console.store.changes_of(&id).await?);
    Ok(Json(StandingView::new(&webhook, &health, changes)))
}

/// Try a suspended webhook now
///
/// Its failures are forgotten, and what is pushed from now on is sent at once. What waits already is sent when its
/// wait is over. Of a webhook that is not suspended nothing changes.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/resume", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 200, description = "The webhook as it is now", body = WebhookView),
        (status = 404, description = "There is none"),
        (status = 409, description = "The webhook is disabled"),
    ),
)]
async fn resume_webhook(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(id): IdInPath<WebhookId>,
) -> Result<Json<WebhookView>, Problem> {
    let webhook = find_enabled(&console, &caller, &id).await?;
    if console.store.health(&id).await?.standing != Standing::Healthy {
        console.store.reset_health(&id).await?;
        note(&console, &webhook, StandingWord::Healthy, "its owner asked for it to be tried again").await?;
    }
    Ok(Json(shown(&console, &webhook).await?))
}

/// Send again what was skipped while a webhook was disabled
///
/// Of each tag only the newest change is sent, each delivery under its own id, oldest first. The history holds the
/// latest 50 deliveries of a webhook for three days; what it does not hold any more cannot be sent, and is counted in
/// the answer. Afterwards no delivery counts as skipped.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/replay", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    request_body = Period,
    responses(
        (status = 200, description = "They are on their way", body = Replayed),
        (status = 400, description = "The body is not a JSON object"),
        (status = 404, description = "There is none"),
        (status = 409, description = "The webhook is disabled"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 422, description = "Some members are not valid or not known; all of them are named"),
    ),
)]
async fn replay_skipped(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(id): IdInPath<WebhookId>,
    JsonObject(body): JsonObject,
) -> Result<Json<Replayed>, Problem> {
    let period = read_period(body)?;
    find_enabled(&console, &caller, &id).await?;
    let replayed = replay::skipped(&console, &id, &period).await?;
    let Replayed { replayed: count, lost, .. } = replayed;
    tracing::info!(webhook.id = %id, deliveries = count, lost, "skipped deliveries are replayed");
    Ok(Json(replayed))
}

/// Give up what was skipped while a webhook was disabled
///
/// It stays in the history for as long as any other delivery.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/discard-skipped", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 200, description = "None counts as skipped any more", body = Discarded),
        (status = 404, description = "There is none"),
    ),
)]
async fn discard_skipped(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(id): IdInPath<WebhookId>,
) -> Result<Json<Discarded>, Problem> {
    find(&console, &caller, &id).await?;
    let Health { skipped, .. } = console.store.health(&id).await?;
    console.store.forget_skipped(&id).await?;
    tracing::info!(webhook.id = %id, deliveries = skipped, "skipped deliveries are given up");
    Ok(Json(Discarded { discarded: skipped }))
}

/// Takes note that the owner has switched the webhook on or off.
pub(crate) async fn note_switch(console: &Console, webhook: &Webhook) -> Result<(), Problem> {
    let (standing, reason) = if webhook.enabled {
        (StandingWord::Enabled, "enabled by its owner")
    } else {
        (StandingWord::Disabled, "disabled by its owner")
    };
    note(console, webhook, standing, reason).await
}

/// Keeps a change of standing that a person made, and lets operators be told of it.
async fn note(console: &Console, webhook: &Webhook, standing: StandingWord, reason: &str) -> Result<(), Problem> {
    let at: Timestamp = console.clock.now();
    let change = StandingChange { at, standing, reason: reason.to_owned() };
    console.store.keep_change(&webhook.id, &change).await?;
    tracing::info!(webhook.id = %webhook.id, standing = standing.as_str(), reason, "the standing of a webhook changed");
    if let Some(event) = OperatorEvent::of_change(webhook, &change) {
        console.operators.tell(event);
    }
    Ok(())
}

async fn find_enabled(console: &Console, caller: &Caller, id: &WebhookId) -> Result<Webhook, Problem> {
    let webhook = find(console, caller, id).await?;
    if webhook.enabled { Ok(webhook) } else { Err(Problem::webhook_disabled(id.as_str())) }
}
