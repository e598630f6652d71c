//! The routes about what a webhook signs with: changing it, and publishing what its receivers verify with.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use dockbell_proto::ids::WebhookId;
use dockbell_proto::proof::{OLDER_LIMIT, ProofsPatch, Rotation};
use dockbell_proto::signature::SigningSecret;
use dockbell_proto::signature::ed25519::SigningKey;
use dockbell_proto::webhook::WebhookPatch;

use crate::Console;
use crate::auth::Caller;
use crate::extract::IdInPath;
use crate::problem::Problem;
use crate::view::{CreatedWebhook, PublicKeys};
use crate::webhooks::{find, no_webhook, shown};

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new().routes(routes!(rotate_secret)).routes(routes!(read_public_keys))
}

/// Change what a webhook signs with
///
/// The answer holds a new signing secret. It is shown this once. For 24 hours the secret and the key of before sign
/// beside the new ones in `webhook-signature`; `x-hub-signature-256` and `x-signature`, which hold a single signature,
/// have that of the new secret from now on.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/rotate", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 200, description = "The webhook as it is now, with its new secret", body = CreatedWebhook),
        (status = 404, description = "There is none"),
        (status = 409, description = "Too many secrets of before sign still"),
    ),
)]
async fn rotate_secret(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(id): IdInPath<WebhookId>,
) -> Result<Json<CreatedWebhook>, Problem> {
    let (current, now) = (find(&console, &caller, &id).await?, console.clock.now());
    if current.proofs.secret.overlapping(now) >= OLDER_LIMIT {
        return Err(Problem::too_many_secrets(id.as_str(), current.proofs.secret.next_end(now)));
    }
    let rotation = Rotation {
        secret: SigningSecret::from_random(console.random()),
        key: SigningKey::from_random(console.random()),
    };
    let proofs = ProofsPatch { rotation: Some(rotation), ..ProofsPatch::default() };
    let patch = WebhookPatch { proofs, ..WebhookPatch::default() };
    let webhook = console.store.patch_webhook(&id, &patch, now).await?.ok_or_else(no_webhook)?;
    tracing::info!(webhook.id = %id, "the signing secret of a webhook was rotated");
    let secret = webhook.proofs.secret.current.expose();
    Ok(Json(CreatedWebhook { webhook: shown(&console, &webhook).await?, secret }))
}

/// Read the public keys of a webhook
///
/// Its receiver verifies signatures of version v1a with them. Everybody may read them.
#[utoipa::path(
    get, path = "/.well-known/webhook-keys/{id}", tag = "webhooks", security(()),
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 200, description = "The keys, the current one first", body = PublicKeys),
        (status = 404, description = "There is no webhook of this id that is signed with v1a"),
        (status = 503, description = "The store is away"),
    ),
)]
async fn read_public_keys(
    State(console): State<Arc<Console>>,
    IdInPath(id): IdInPath<WebhookId>,
) -> Result<Json<PublicKeys>, Problem> {
    let webhook = console.store.webhook(&id).await?;
    let keys = webhook.map(|webhook| webhook.proofs.public_keys(console.clock.now())).unwrap_or_default();
    if keys.is_empty() {
        return Err(Problem::not_found("there is no webhook of this id that is signed with v1a"));
    }
    Ok(Json(PublicKeys { keys: keys.iter().map(ToString::to_string).collect() }))
}
